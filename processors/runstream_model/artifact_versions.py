"""What can be changed of a version of an artifact."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

#: What a version counts for beside its texts: its numbers, times and the names of its fields.
_VERSION_CHARS: Final = 150
#: What each remark on it counts for: it is one more row.
REMARK_CHARS: Final = 150
#: What each file of an open version counts for beside its name, and each that was replaced: it is one more row.
_FILE_CHARS: Final = 24
_MAX_SIZE_BYTES: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class VersionState:
    """What can be changed of a version, and what lists show of it. Times: us since 1970 UTC.

    `added_to`: the sizes of the files of an open version, by name: what the fold has to know to count them. None: its
    files never change. `replaced`: how often a file took the place of another.
    """

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
    added_to: Mapping[str, int] | None = None
    replaced: int = 0

    @property
    def is_open(self) -> bool:
        """Whether files can be added to it."""
        return self.added_to is not None

    @property
    def chars(self) -> int:
        """About how much of the artifact's state it takes."""
        labels = (*self.tags, *self.aliases, *self.stages)
        counted = _VERSION_CHARS + REMARK_CHARS * self.remarks
        counted += sum(len(name) + _FILE_CHARS for name in self.added_to or ()) + _FILE_CHARS * self.replaced
        return counted + len(self.comment) + len(self.status) + sum(len(label) + 3 for label in labels)

    def with_files(self, sizes: Mapping[str, int], at_us: int) -> "VersionState":
        """Return the open version with further files, by name; those of a name that it has take the place of its."""
        before = self.added_to or {}
        files = {**before, **sizes}
        return replace(
            self,
            added_to=files,
            replaced=self.replaced + len(before) + len(sizes) - len(files),
            files=len(files),
            size_bytes=total_size(files.values()),
            updated_at_us=max(self.updated_at_us, at_us),
        )


def total_size(sizes_bytes: Iterable[int]) -> int:
    """Return how many bytes files have together, as far as a column of the read models counts."""
    return min(sum(sizes_bytes), _MAX_SIZE_BYTES)
