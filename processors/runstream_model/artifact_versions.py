"""What can be changed of a version of an artifact."""

from dataclasses import dataclass
from typing import Final

#: What a version counts for beside its texts: its numbers, times and the names of its fields.
_VERSION_CHARS: Final = 150
#: What each remark on it counts for: it is one more row.
REMARK_CHARS: Final = 150


@dataclass(frozen=True, slots=True)
class VersionState:
    """What can be changed of a version, and what lists show of it. Times: us since 1970 UTC."""

    ordinal: int
    version: str
    created_at_us: int
    updated_at_us: int
    comment: str = ""
    status: str = ""
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    run: str = ""
    files: int = 0
    size_bytes: int = 0
    remarks: int = 0

    @property
    def chars(self) -> int:
        """About how much of the artifact's state it takes."""
        labels = (*self.tags, *self.aliases, *self.stages)
        counted = _VERSION_CHARS + REMARK_CHARS * self.remarks
        return counted + len(self.comment) + len(self.status) + sum(len(label) + 3 for label in labels)
