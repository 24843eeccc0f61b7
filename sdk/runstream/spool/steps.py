"""The highest step in a writer's spool: where a run that goes on here has to count from."""

import struct
from pathlib import Path
from typing import Final

from runstream.events.names import SYSTEM_METRICS
from runstream.spool.format import ROW_HEAD_BYTES, SpoolCorrupt, segment_numbers
from runstream.spool.reader import RowGroup, SpoolReader

#: Newest segments that are looked at: some 0.1 s.
_MAX_SEGMENTS: Final = 8


def highest_step(folder: Path) -> int | None:
    """Return the highest step of a metric in what the spool still has (of a large one, in its newest segments); None if
    there is none. Metrics of the system count steps of their own. Never raises."""
    reader = SpoolReader(folder)
    try:
        return max(_steps(reader, folder), default=None)
    except (OSError, SpoolCorrupt):  # who sends it comes upon that as well, and says so
        return None
    finally:
        reader.close()


def _steps(reader: SpoolReader, folder: Path) -> list[int]:
    found: list[int] = []
    numbers = segment_numbers(folder)[-_MAX_SEGMENTS:]
    place = reader.begin_of(numbers[0]) if numbers else None
    while place is not None:
        window = reader.read(place)
        found += [step for group in window.groups.values() if (step := _highest(group)) is not None]
        place = window.end if window.seqs else None
    return found


def _highest(group: RowGroup) -> int | None:
    if group.schema.names.startswith(SYSTEM_METRICS.encode()):
        return None
    width = group.schema.width
    row = struct.Struct(f"<{ROW_HEAD_BYTES}xq{width - ROW_HEAD_BYTES - 8}x")
    return max((step for piece in group.pieces for (step,) in row.iter_unpack(piece)), default=None)
