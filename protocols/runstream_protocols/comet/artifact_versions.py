"""How versions of artifacts are called by Comet's client, which takes nothing but semantic versions, and how it finds
one. Both sides agree on it."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, TypeVar

#: What the client's user is told to give: MAJOR.MINOR.PATCH of https://semver.org.
SEMANTIC: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
#: The alias of the newest version; nobody gives it.
LATEST: Final = "Latest"


class Labelled(Protocol):
    """A version, of the read models or of the fold's state."""

    @property
    def ordinal(self) -> int: ...
    @property
    def version(self) -> str: ...
    @property
    def aliases(self) -> Sequence[str]: ...


V = TypeVar("V", bound=Labelled)


def semantic_versions(versions: Sequence[Labelled]) -> Mapping[int, str]:
    """Return what each version is called, by number: its text if that is a semantic version, else `NUMBER.0.0`, with
    the number once more or more often behind it where other versions are called so."""
    found = {one.ordinal: one.version for one in versions if SEMANTIC.fullmatch(one.version)}
    taken = set(found.values())
    for one in versions:
        if one.ordinal not in found:
            text, sign = f"{one.ordinal}.0.0", "+"
            while text in taken:
                text, sign = f"{text}{sign}{one.ordinal}", "."
            found[one.ordinal] = text
            taken.add(text)
    return found


def shown_aliases(version: Labelled, versions: Sequence[Labelled]) -> list[str]:
    """Return the aliases of a version, with LATEST if it is the newest of all."""
    own = [alias for alias in version.aliases if alias != LATEST]
    newest = max(one.ordinal for one in versions)
    return [*own, LATEST] if version.ordinal == newest else own


def given_aliases(aliases: Sequence[str]) -> tuple[str, ...]:
    """Return aliases as they are kept: LATEST is no alias of a version, but found out."""
    return tuple(alias for alias in aliases if alias != LATEST)


def find_version(
    versions: Sequence[V], *, version: str | None = None, alias: str | None = None, either: str | None = None
) -> V | None:
    """Return the version with this text or alias, or with `either` of them; without any the newest; None if there is
    none."""
    wanted_text, wanted_alias = version or either, alias or either
    names = semantic_versions(versions)
    if wanted_text:
        for one in versions:
            if wanted_text in (one.version, names[one.ordinal]):
                return one
    if wanted_alias:
        for one in versions:
            if wanted_alias in one.aliases:
                return one
    if not (wanted_text or wanted_alias) or (wanted_alias or "").lower() == LATEST.lower():
        return max(versions, key=lambda one: one.ordinal, default=None)
    return None
