"""Globs over names, as the server reads them: `*` is any characters, `?` one, `[*]` and `[?]` are these two characters,
all else is itself. Pure."""

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

#: `*` and `?`, and the same in brackets, which stands for the very character.
SIGNS: Final = re.compile(r"\[[*?]\]|[*?]")


def is_glob(text: str) -> bool:
    """Return whether the text may mean other names than itself."""
    return "*" in text or "?" in text


def exact(name: str) -> str:
    """Return the glob that means this very name alone: `m*` becomes `m[*]`."""
    return re.sub(r"[*?]", r"[\g<0>]", name)


@lru_cache(maxsize=1024)
def matcher(glob: str) -> Callable[[str], bool]:
    """Return what tells whether a glob means a name; a name is always also itself. It never goes back to try another
    length for an earlier `*`, so no glob and no name keep it busy."""
    made, end = "", 0
    for sign in SIGNS.finditer(glob):
        made += glob[end : sign.start()].replace("[", "[[]") + sign[0]
        end = sign.end()
    pattern = re.compile(fnmatch.translate(made + glob[end:].replace("[", "[[]")))
    return lambda name: name == glob or pattern.match(name) is not None
