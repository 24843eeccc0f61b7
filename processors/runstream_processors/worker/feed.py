"""Records of all partitions as decoded batches, read ahead while the last batch is folded."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from runstream.events import limits
from runstream.events.frame import Frame, InvalidFrame, UnsupportedFrame, decode_frame
from runstream_service.log import LogReader, Record

#: One read of a partition.
_READ_BYTES: Final = 4_000_000
#: How long one read waits before it asks again; only bounds how fast a stop is noticed.
_READ_WAIT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Decoded:
    """A record and its frame, or why it has none."""

    record: Record
    frame: Frame | None
    cause: str = ""
    detail: str = ""

    @property
    def raw_bytes(self) -> int:
        """What its events and points unpack to."""
        return len(self.frame.events) + sum(group.raw_size for group in self.frame.groups) if self.frame else 0


class Guard(Protocol):
    """Knows records that are not to be decoded, and is told which one is."""

    def objection(self, record: Record) -> str | None: ...

    def under_way(self, record: Record) -> None: ...


def decode(record: Record, guard: Guard | None = None) -> Decoded:
    """Decode a record; what cannot be decoded keeps its place and says why."""
    if guard is not None:
        if (objection := guard.objection(record)) is not None:
            return Decoded(record, None, "brought_down_worker", objection)
        guard.under_way(record)
    try:
        frame = decode_frame(record.value)
    except UnsupportedFrame as error:
        return Decoded(record, None, "unsupported_frame", str(error))
    except InvalidFrame as error:
        return Decoded(record, None, "invalid_frame", str(error))
    except MemoryError:
        raise  # the machine's fault
    except Exception as error:
        return Decoded(record, None, "fold_error", f"decoding it raised {error!r}")
    if frame.header.key.encode() != record.key:
        detail = f"the record's key is {record.key!r}, the frame in it is for {frame.header.key!r}"
        return Decoded(record, None, "wrong_key", detail)
    if frame.groups and "/" in frame.header.key:
        detail = f"the frame has points, and {frame.header.key!r} is a project: points belong to runs"
        return Decoded(record, None, "wrong_key", detail)
    return Decoded(record, frame)


class Feed:
    """Reads partitions, each from its next offset on, ahead of the fold, within a bound of bytes.

    Used from one event loop. A failed read is raised by the next `take`.
    """

    def __init__(
        self,
        log: LogReader,
        next_offsets: Mapping[int, int],
        *,
        max_ahead_bytes: int,
        guard: Guard | None = None,
    ) -> None:
        self._log = log
        self._guard = guard
        self._next_offsets = dict(next_offsets)
        self._max_ahead_bytes = max_ahead_bytes
        self._ahead: deque[Record] = deque()
        self._ahead_bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._failure: BaseException | None = None
        self._tasks = [asyncio.create_task(self._read(part)) for part in next_offsets]

    @property
    def waiting_bytes(self) -> int:
        """Read and not yet taken."""
        return self._ahead_bytes

    async def take(
        self,
        *,
        max_raw_bytes: int,
        max_records: int,
        timeout_s: float,
        max_events_bytes: int = limits.MAX_FRAME_RAW_BYTES,
        max_groups: int = 2**31,
    ) -> list[Decoded]:
        """The next records in order of each partition, until they would unpack to more than `max_raw_bytes`, or have
        more events or groups than given (but at least one record). Empty when none came within `timeout_s`. Raises what
        a read raised."""
        if not self._ahead and self._failure is None:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return []
        if self._failure is not None:
            raise self._failure
        batch: list[Decoded] = []
        raw_bytes = events_bytes = groups = 0
        while self._ahead and len(batch) < max_records:
            decoded = decode(self._ahead[0], self._guard)
            raw_bytes += decoded.raw_bytes
            if decoded.frame is not None:
                events_bytes += len(decoded.frame.events)
                groups += len(decoded.frame.groups)
            if batch and (raw_bytes > max_raw_bytes or events_bytes > max_events_bytes or groups > max_groups):
                break
            batch.append(decoded)
            self._ahead_bytes -= len(self._ahead.popleft().value)
        if not self._ahead:
            self._arrived.clear()
        if self._ahead_bytes < self._max_ahead_bytes:
            self._room.set()
        return batch

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self, part: int) -> None:
        try:
            while True:
                await self._room.wait()
                records = await self._log.read(part, self._next_offsets[part], _READ_BYTES, _READ_WAIT_S)
                if not records:
                    continue
                self._next_offsets[part] = records[-1].offset + 1
                self._ahead.extend(records)
                self._ahead_bytes += sum(len(record.value) for record in records)
                if self._ahead_bytes >= self._max_ahead_bytes:
                    self._room.clear()
                self._arrived.set()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._failure = error
            self._arrived.set()
