"""Versions of artifacts that were announced and have no files yet."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from runstream_model.artifact_versions import VersionState

#: Whoever announced a version and did not log it within a day never will.
_LIFETIME_US: Final = 24 * 3600 * 1_000_000
#: The texts of all reservations of an artifact; beyond, the oldest are given up.
_MAX_CHARS: Final = 1_000_000
_MAJOR: Final = re.compile(r"(\d{1,9})(?:\.[0-9A-Za-z.+-]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reservation:
    """A version that was announced: what is known of it, and its metadata as JSON."""

    version: VersionState
    metadata: str = "{}"

    @property
    def chars(self) -> int:
        """About how much of the artifact's state it takes."""
        return self.version.chars + len(self.metadata)


def next_major(texts: Iterable[str]) -> str:
    """Return the first semantic version with a higher major number than any of the texts has."""
    majors = (int(found[1]) for text in texts if (found := _MAJOR.fullmatch(text)))
    return f"{max(majors, default=0) + 1}.0.0"


def kept(reserved: Mapping[int, Reservation], at_us: int) -> dict[int, Reservation]:
    """Return the reservations that still hold at a time, by number."""
    found: dict[int, Reservation] = {}
    chars = 0
    for ordinal in sorted(reserved, reverse=True):
        chars += reserved[ordinal].chars
        if found and chars > _MAX_CHARS:
            break
        if at_us - reserved[ordinal].version.created_at_us <= _LIFETIME_US:
            found[ordinal] = reserved[ordinal]
    return dict(sorted(found.items()))
