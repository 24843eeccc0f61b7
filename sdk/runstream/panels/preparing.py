"""A panel's file as Python: what notebooks have beyond it, lines that install packages, is taken out."""

from __future__ import annotations

import ast
import re
import shlex
from dataclasses import dataclass
from typing import Final

from runstream.errors import Invalid

#: More is no list that somebody wrote.
_MAX_PACKAGES: Final = 100
_MAX_NAME_CHARS: Final = 200
#: `%pip install X`, `!pip install X`, `!python -m pip install X`.
_INSTALL: Final = re.compile(r"^(?P<indent>[ \t]*)[%!](?:python3?[ \t]+-m[ \t]+)?pip3?[ \t]+install[ \t]+(?P<rest>.*)$")
_QUIET: Final = frozenset({"-q", "--quiet", "-U", "--upgrade", "--user"})
#: A name, its extras and bounds (PEP 508 without addresses), nothing that pip would read as an option or a path.
_REQUIREMENT: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._, -]+\])?([<>=!~]=?=?[A-Za-z0-9.*+!_-]+,?)*"
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """`source`: Python with the lines of the panel. `packages`: what it wants to be installed, in its order."""

    source: str
    packages: tuple[str, ...] = ()


def prepared(source: str, *, installs: bool = False) -> Prepared:
    """Return the panel as Python. Where packages are not installed (`installs` is false), a line that installs says so
    on the panel's page. Raises Invalid for a line that names anything but packages."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        pass  # perhaps because of such lines
    else:
        return Prepared(source)
    packages: list[str] = []
    lines = source.split("\n")
    for at, line in enumerate(lines):
        found = _INSTALL.match(line.rstrip("\r"))
        if found is None:
            continue
        wanted = _requirements(found["rest"], at + 1)
        packages += wanted
        told = "pass" if installs else _TELLING.format(wanted)
        lines[at] = found["indent"] + told
    if len(packages) > _MAX_PACKAGES:
        raise Invalid(f"the panel installs {len(packages)} packages: at most {_MAX_PACKAGES}")
    return Prepared("\n".join(lines), tuple(dict.fromkeys(packages)))


_TELLING: Final = '__import__("runstream.panels.installing", fromlist=["told"]).told({!r})'


def _requirements(text: str, line: int) -> list[str]:
    try:
        parts = [part for part in shlex.split(text, comments=True) if part not in _QUIET]
    except ValueError as error:
        raise Invalid(f"line {line} of the panel cannot be read: {error}") from None
    for part in parts:
        if len(part) > _MAX_NAME_CHARS or _REQUIREMENT.fullmatch(part) is None:
            raise Invalid(f"line {line} of the panel installs {part[:_MAX_NAME_CHARS]!r}: give names of packages")
    return parts
