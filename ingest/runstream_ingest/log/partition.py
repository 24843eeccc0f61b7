"""The files of one partition: the writing side, used by the log's one writer thread, and the view that readers get."""

import contextlib
import logging
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from runstream.private import make_tight
from runstream_ingest.log.disk import Disk, fsync_folder, write_all
from runstream_ingest.log.format import (
    SEGMENT_HEADER_BYTES,
    Mark,
    encode_group,
    group_size,
    segment_header,
)
from runstream_ingest.log.recovery import MARK_NAME, recover
from runstream_ingest.log.segment import (
    INDEX_EVERY_BYTES,
    IndexEntry,
    Segment,
    index_path,
    segment_path,
    write_index,
)
from runstream_service.log import LogUnavailable

logger = logging.getLogger(__name__)

_US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class View:
    """What of a partition is durable. Replaced as a whole, so readers in other threads need no lock."""

    segments: tuple[Segment, ...]
    #: The index of the last segment while it is written; it may already reach beyond what is durable.
    active_index: list[IndexEntry]
    begin_offset: int
    next_offset: int

    def segment_of(self, offset: int) -> Segment:
        """The segment that holds a durable offset."""
        return self.segments[bisect_right(self.segments, offset, key=lambda segment: segment.base_offset) - 1]


@dataclass(frozen=True, slots=True)
class Shape:
    """How a partition keeps its files. None keeps everything: the log is the truth."""

    segment_bytes: int
    retention_bytes: int | None
    retention_s: float | None


class Partition:
    """One partition's files. Everything but `view` belongs to the writer thread.

    Opening recovers the folder and makes all of it durable. Raises LogCorrupt, LogUnavailable.
    """

    def __init__(self, folder: Path, number: int, shape: Shape, disk: Disk) -> None:
        self.number = number
        self._folder = folder
        self._shape = shape
        self._disk = disk
        make_tight(folder)
        recovered = recover(folder, number, disk)
        self._mark_descriptor = os.open(folder / MARK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        self._sealed = recovered.sealed
        self._active = recovered.active
        self._index = recovered.active_index
        self._descriptor = -1
        if self._active is not None:
            self._descriptor = os.open(self._active.path, os.O_RDWR)
        segments = (*self._sealed, self._active) if self._active else self._sealed
        self._last_at_us = max((segment.last_at_us for segment in segments), default=-(2**63))
        self.view = self._seen(self._active.next_offset if self._active else 0)
        self._write_mark()

    def commit(self, records: Sequence[tuple[bytes, bytes]], now_us: int) -> int:
        """Write the records with one write and sync them, then show them in `view`; returns the next offset.

        Raises LogUnavailable when they are not durable. Then nothing of them stays: the segment is cut back to its
        durable end and sealed, because after a failed sync the kernel may count pages as written that are not, and
        the next commit begins a new file.
        """
        at_us = max(now_us, self._last_at_us)
        first_offset = self.view.next_offset
        try:
            rolled = self._roll_for(group_size(records), at_us)
            self._write(records, first_offset, at_us)
        except OSError as error:
            self._abandon()
            raise LogUnavailable(
                f"{len(records)} records cannot be written to {self._folder}: {error}; free some space or repair the "
                "disk, then append again"
            ) from error
        self._last_at_us = at_us
        self.view = self._seen(first_offset + len(records))
        self._write_mark()
        if rolled:
            self.retain(now_us)
        return self.view.next_offset

    def retain(self, now_us: int) -> None:
        """Remove the oldest segments that the retention does not keep; never the newest one."""
        removed = self._outlived(now_us)
        if not removed:
            return
        self._sealed = self._sealed[removed:]
        gone, before = self.view.segments[:removed], self.view
        self.view = replace(before, segments=before.segments[removed:], begin_offset=gone[-1].next_offset)
        for segment in gone:
            logger.info("retention removes %s: records up to %d", segment.path, segment.next_offset - 1)
            try:
                segment.path.unlink(missing_ok=True)
                index_path(segment.path).unlink(missing_ok=True)
                fsync_folder(self._folder)
            except OSError as error:
                logger.warning("%s cannot be removed (%s); it goes with the next start", segment.path, error)
                return  # a younger file must not go before an older one

    def close(self) -> None:
        """Release the files."""
        self._release()
        os.close(self._mark_descriptor)

    def _seen(self, next_offset: int) -> View:
        segments = (*self._sealed, self._active) if self._active else self._sealed
        begin = segments[0].base_offset if segments else next_offset
        return View(segments, self._index, begin, next_offset)

    def _roll_for(self, size: int, at_us: int) -> bool:
        """Make sure that a segment is open which this group fits in (any group fits in an empty one). Whether it is
        a new one."""
        if self._active is not None and self._active.size_bytes + size > self._shape.segment_bytes:
            self._seal()
        if self._active is not None:
            return False
        base = self.view.next_offset
        path = segment_path(self._folder, base)
        # A file of that name can only be what a failed attempt left: no record of it was ever durable.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self._index = []
        self._active = Segment(path, self.number, base, base, SEGMENT_HEADER_BYTES, at_us, at_us)
        return True

    def _write(self, records: Sequence[tuple[bytes, bytes]], first_offset: int, at_us: int) -> None:
        active = self._active
        assert active is not None, "a segment is open while a group is written"
        start = active.size_bytes
        data, starts = encode_group(records, first_offset, at_us, start)
        is_new = active.next_offset == active.base_offset
        if is_new:
            write_all(self._disk, self._descriptor, segment_header(self.number, active.base_offset, at_us), 0)
        write_all(self._disk, self._descriptor, data, start)
        self._disk.fdatasync(self._descriptor)
        if is_new:
            fsync_folder(self._folder)
        for offset, at in enumerate(starts, first_offset):
            if not self._index or start + at - self._index[-1].position >= INDEX_EVERY_BYTES:
                self._index.append(IndexEntry(offset, start + at, at_us))
        self._active = replace(
            active, next_offset=first_offset + len(records), size_bytes=start + len(data), last_at_us=at_us
        )

    def _seal(self) -> None:
        """Close the active segment for good; the next commit begins another."""
        active = self._active
        assert active is not None, "only an open segment is sealed"
        with contextlib.suppress(OSError):  # without its index file a segment is scanned again
            write_index(active, self._index)
        self._release()
        self._sealed = (*self._sealed, active)
        self._active = None

    def _abandon(self) -> None:
        """Take back a group that failed. What cannot be cut off is behind the next segment's base: never read."""
        active = self._active
        if active is None:
            return
        if active.next_offset == active.base_offset:
            self._release()
            self._active = None
            with contextlib.suppress(OSError):
                active.path.unlink()
            return
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, active.size_bytes)
        self._seal()

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):  # all that counts in it was synced before
                os.close(descriptor)

    def _write_mark(self) -> None:
        """Say how far all is durable. Not synced: an older mark is as true, it only proves less."""
        if self._active is None:
            return
        mark = Mark(self._active.base_offset, self._active.size_bytes, self._active.next_offset)
        with contextlib.suppress(OSError):
            os.pwrite(self._mark_descriptor, mark.pack(), 0)

    def _outlived(self, now_us: int) -> int:
        """How many of the oldest segments are to go."""
        total = sum(segment.size_bytes for segment in self.view.segments)
        removable = self._sealed if self._active is not None else self._sealed[:-1]
        count = 0
        for segment in removable:
            too_old = (
                self._shape.retention_s is not None and now_us - segment.last_at_us > self._shape.retention_s * _US
            )
            too_much = self._shape.retention_bytes is not None and total > self._shape.retention_bytes
            if not (too_old or too_much):
                break
            total -= segment.size_bytes
            count += 1
        return count
