"""What a dead writer could not say itself, and writing it behind the end of its spool, in the spool's own format."""

import errno
import os
from pathlib import Path
from typing import Final

from runstream.events.control import PointsDropped, RunEvent, RunFinished, WriterLost
from runstream.private import open_own
from runstream.spool.ending import Ending, read_exit_code, status_of_exit_code
from runstream.spool.format import (
    COMMIT_BYTES,
    KIND_EVENT,
    SEGMENT_HEADER_BYTES,
    SIZED,
    Acked,
    SegmentHeader,
    WriterInfo,
    segment_path,
)

_CHUNK_BYTES: Final = 1 << 20


def last_event(folder: Path, info: WriterInfo, next_seq: int, at_us: int) -> RunEvent:
    """Return the next event of a writer that is dead and did not end: points that its disk did not take, then how it
    ended as far as its `Ending` or its exit code tells; else that it was lost, at `at_us` but not before it began."""
    ending = Ending.read(folder)
    lost = WriterLost(at_us=max(at_us, info.created_us), reason=f"process {info.pid} is gone without finishing")
    if ending is None:
        return lost
    if (ending.lost_points or ending.lost_events) and next_seq == ending.end_seq:
        reason = "the spool could not grow when the run ended (a full disk, or a limit of the process)"
        if ending.lost_events:
            reason += f"; {ending.lost_events} control events were dropped too"
        return PointsDropped(at_us=ending.at_us, count=max(ending.lost_points, 1), reason=reason)
    if ending.status is not None:
        return RunFinished(at_us=ending.at_us, status=ending.status, message=ending.message)
    if (code := read_exit_code(folder)) is None:
        return lost
    status = status_of_exit_code(code)
    message = None if status == "finished" else f"the program left with exit code {code & 0xFF}"
    return RunFinished(at_us=ending.at_us, status=status, message=message)


def append_event(folder: Path, writer_id: str, end: Acked, event: bytes, at_us: int) -> None:
    """Put `event` at `end`, which must be the end of what is committed; the caller holds the writer's lock.

    What a torn record left there is zeroed first. The commit mark is written last and after the rest, so a sender that
    dies in here leaves a torn record, which the next one zeroes. A segment that was never made is made. Blocks until
    the bytes are durable. Raises OSError; then nothing is committed.
    """
    path = segment_path(folder, end.segment)
    record = SIZED.pack(KIND_EVENT, len(event)) + event
    descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
    try:
        _zero_rest(descriptor, end.offset)
        if end.offset == SEGMENT_HEADER_BYTES:
            _write(descriptor, SegmentHeader(end.next_seq, writer_id, at_us).pack(), 0)
        _write(descriptor, record, end.offset)
        os.fsync(descriptor)
        _write(descriptor, COMMIT_BYTES, end.offset + len(record))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _zero_rest(descriptor: int, begin: int) -> None:
    size = os.fstat(descriptor).st_size
    for at in range(begin, size, _CHUNK_BYTES):
        chunk = os.pread(descriptor, min(_CHUNK_BYTES, size - at), at)
        if chunk.strip(b"\0"):
            _write(descriptor, bytes(len(chunk)), at)


def _write(descriptor: int, data: bytes, at: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, at)
        if not written:
            raise OSError(errno.EIO, "nothing could be written")
        data, at = data[written:], at + written
