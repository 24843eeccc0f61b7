"""What `API` raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runstream.errors import Invalid, Unavailable, Unusable


class ServerUnreachable(Unavailable):
    """No response came, or not all of it. The message names the address."""


class ServerFailed(Unavailable):
    """The server responded that it cannot now, or that it has a fault: try again later."""


class Refused(Invalid):
    """The server says that the request is wrong. `problem` has its members: `detail`, `name`, and for a
    filter `column` and `pointed`, the line with a caret under the mistake."""

    def __init__(self, message: str, problem: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.problem = dict(problem)


class NotFound(Refused):
    """There is no such run, metric, asset, artifact or version."""


class NameTaken(Refused):
    """What was to be created is there already, made by somebody else or earlier."""


class VersionTaken(NameTaken):
    """A version of the artifact is called so already. `problem` has its `ordinal`."""


class ViewChanged(Refused):
    """A saved view is not as it was read: somebody saved it meanwhile. `problem` has its `revision`."""


class UnknownName(UserWarning):
    """A request names a project, metric or parameter that nothing there has. It is a warning, because what is missing
    may come: `warnings.simplefilter("error", UnknownName)` makes it an error."""


class DataPackageMissing(Unusable, ImportError):
    """pyarrow or pandas is not installed; the message says how to install it."""
