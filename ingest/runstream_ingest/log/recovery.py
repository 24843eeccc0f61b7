"""What a partition's folder holds when the log is opened: a torn tail is cut, damage of what was durable is refused.

A write that never finished its sync was never acknowledged, and no reader saw it: its remains are cut, with a line in
the log. Whether bytes had been durable is known from three witnesses: the next segment (an older one is complete up
to its base offset), the mark (written after every sync), and records whose own write began behind the damage.
"""

import contextlib
import itertools
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from runstream_ingest.log.disk import Disk, fsync_folder, write_all
from runstream_ingest.log.format import SEGMENT_HEADER_BYTES, Damage, Mark, later_group_start
from runstream_ingest.log.segment import (
    IndexEntry,
    Scan,
    Segment,
    base_offsets,
    index_path,
    load_index,
    scan,
    segment_path,
    write_index,
)
from runstream_service.log import LogCorrupt, LogUnavailable

logger = logging.getLogger(__name__)

MARK_NAME: Final = "durable"
_REWRITE_BYTES: Final = 1 << 22


@dataclass(frozen=True, slots=True)
class Recovered:
    """The sealed segments, oldest first, and the one to go on with (None in a folder without any)."""

    sealed: tuple[Segment, ...]
    active: Segment | None
    active_index: list[IndexEntry]


def recover(folder: Path, partition: int, disk: Disk) -> Recovered:
    """Bring the folder of a partition into order and make all that it holds durable. Blocks; needs the log's lock.

    Raises LogCorrupt where durable records are damaged or missing, LogUnavailable where the disk does not answer.
    """
    try:
        mark = _read_mark(folder)
        bases = base_offsets(folder)
        last = None
        while bases and last is None:
            last = _recover_last(folder, partition, bases[-1], mark, disk)
            if last is None:
                bases.pop()
        _check_nothing_missing(folder, last, mark)
        sealed = tuple(
            _recover_sealed(folder, partition, base, next_base) for base, next_base in itertools.pairwise(bases)
        )
    except OSError as error:
        raise LogUnavailable(
            f"the log in {folder} cannot be opened: {error}; repair the disk and open again"
        ) from error
    return Recovered(sealed, last.segment if last else None, last.index if last else [])


def _read_mark(folder: Path) -> Mark | None:
    try:
        return Mark.unpack((folder / MARK_NAME).read_bytes())
    except FileNotFoundError:
        return None


def _recover_sealed(folder: Path, partition: int, base_offset: int, next_base: int) -> Segment:
    path = segment_path(folder, base_offset)
    known = load_index(path, partition, base_offset)
    if known is not None and known.segment.next_offset == next_base:
        size = path.stat().st_size
        if size < known.segment.size_bytes:
            _refuse(path, Damage(size, f"the file ends here, {known.segment.size_bytes} bytes belong to it"))
        return known.segment
    try:
        found = scan(path, partition, base_offset, next_base)
    except Damage as damage:
        _refuse(path, damage)
    if found.segment.next_offset != next_base:
        end = Damage(found.segment.size_bytes, f"records {found.segment.next_offset} to {next_base - 1} are missing")
        _refuse(path, found.damage or end)
    logger.info("made the index of %s again (%d records)", path, next_base - base_offset)
    with contextlib.suppress(OSError):  # a full disk is no reason not to open: it is made again at the next start
        write_index(found.segment, found.index)
    return found.segment


def _recover_last(folder: Path, partition: int, base_offset: int, mark: Mark | None, disk: Disk) -> Scan | None:
    """The newest segment, cut behind its last whole record; None if it never came to hold one and was removed."""
    path = segment_path(folder, base_offset)
    durable_bytes = mark.size_bytes if mark and mark.base_offset == base_offset else 0
    try:
        found = scan(path, partition, base_offset)
    except Damage as damage:
        found = None
        _refuse_if_durable(path, damage, durable_bytes, base_offset)
    if found is None or found.segment.next_offset == base_offset:
        if found is not None and found.damage is not None:
            _refuse_if_durable(path, found.damage, durable_bytes, base_offset)
        logger.warning("removed %s: %d bytes, no whole record, none was acknowledged", path, path.stat().st_size)
        path.unlink()
        index_path(path).unlink(missing_ok=True)
        fsync_folder(folder)
        return None
    if found.damage is not None:
        _refuse_if_durable(path, found.damage, durable_bytes, found.segment.next_offset)
    _make_durable(found, durable_bytes, disk)
    return found


def _make_durable(found: Scan, durable_bytes: int, disk: Disk) -> None:
    """Cut what is torn, and write what no sync is known to have reached once more before it is synced.

    Writing again matters: a sync that failed leaves pages that look clean, and the next sync of them would succeed
    without a byte having reached the disk.
    """
    segment = found.segment
    descriptor = os.open(segment.path, os.O_RDWR)
    try:
        excess = os.fstat(descriptor).st_size - segment.size_bytes
        if excess:
            reason = found.damage.reason if found.damage else "excess"
            logger.warning(
                "cut a torn write off %s: %d bytes from byte %d on (%s); %d records are whole, next offset is %d; "
                "nothing that was acknowledged is lost",
                segment.path,
                excess,
                segment.size_bytes,
                reason,
                segment.next_offset - segment.base_offset,
                segment.next_offset,
            )
            os.ftruncate(descriptor, segment.size_bytes)
        start = durable_bytes
        while start < segment.size_bytes:
            piece = os.pread(descriptor, min(_REWRITE_BYTES, segment.size_bytes - start), start)
            write_all(disk, descriptor, piece, start)
            start += len(piece)
        disk.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    fsync_folder(segment.path.parent)


def _refuse_if_durable(path: Path, damage: Damage, durable_bytes: int, next_offset: int) -> None:
    """Raises LogCorrupt if the damaged bytes, where the record `next_offset` belongs, had been durable; returns if they
    are the remains of a torn write."""
    if damage.position < durable_bytes or not damage.maybe_torn:
        _refuse(path, damage)
    with path.open("rb") as file:
        file.seek(damage.position)
        rest = file.read()
    witness = later_group_start(rest, damage.position, max(damage.position, SEGMENT_HEADER_BYTES), next_offset)
    if witness is not None:
        _refuse(path, Damage(damage.position, f"{damage.reason}, and a later write stands at byte {witness}"))


def _check_nothing_missing(folder: Path, last: Scan | None, mark: Mark | None) -> None:
    if mark is None:
        return
    next_offset = last.segment.next_offset if last else 0
    if next_offset < mark.next_offset:
        path = last.segment.path if last else segment_path(folder, mark.base_offset)
        end = last.segment.size_bytes if last else 0
        _refuse(path, Damage(end, f"records {next_offset} to {mark.next_offset - 1} were durable and are missing"))


def _refuse(path: Path, damage: Damage) -> NoReturn:
    raise LogCorrupt(
        f"{path} is damaged at byte {damage.position}: {damage.reason}. These bytes were durable, so acknowledged "
        "records are lost. Restore the file from a copy of the log; docs/design/log.md says how to go on without it"
    )
