"""What a file can be to its run beyond a file. An event may name another role: a later version may know it."""

from typing import Final

#: The program that ran, as one text.
CODE: Final = "code"
#: The description of a model's layers.
GRAPH: Final = "graph"
#: What was changed since the commit.
PATCH: Final = "patch"
#: A piece of a page about the run, in HTML. Pieces stand in the order in which they were logged.
PAGE: Final = "page"
#: A file that waits for the version of an artifact which it will belong to.
UPLOAD: Final = "upload"
