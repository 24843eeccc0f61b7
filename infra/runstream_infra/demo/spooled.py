"""What of the demo's points still waits in the spool."""

from pathlib import Path
from typing import Final

from runstream.events import limits
from runstream.sender.sync import sync
from runstream.spool.format import Acked, SpoolCorrupt
from runstream.spool.reader import SpoolReader, always
from runstream_infra.demo.reading import METRICS

_WANTED: Final = frozenset(metric.encode() for metric in METRICS)


def waiting_points(spool_dir: Path) -> int:
    """Points of the demo's metrics that were logged and are not acknowledged, counted in the files themselves. A
    writer's folder is removed once everything in it is acknowledged."""
    return sum(_waiting(folder) for folder in (spool_dir / "writers").glob("*"))


def _waiting(folder: Path) -> int:
    reader, points = SpoolReader(folder), 0
    try:
        place = Acked.read(folder)
        if place == Acked():
            place = reader.first() or place
        while (window := reader.read(place, limits.TARGET_FRAME_RAW_BYTES, limits.MAX_REQUEST_BYTES, always)).seqs:
            for group in window.groups.values():
                points += group.rows * len(_WANTED.intersection(group.schema.names.split(b"\n")))
            place = window.end
        return points
    except (FileNotFoundError, SpoolCorrupt):
        return points  # removed while it was read: all of it is acknowledged; a damaged one is told by `doctor`
    finally:
        reader.close()


def sync_spool(spool_dir: Path, timeout_s: float) -> int:
    """Wait until the spool is empty, at most `timeout_s`. Returns how many records are left."""
    return sum(left.records for left in sync(spool_dir, timeout_s=timeout_s).left)
