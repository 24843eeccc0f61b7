"""Records on their way into the spool: the ones a full segment holds up for a moment, a full disk for longer."""

import struct
from dataclasses import dataclass
from typing import Final

from runstream.spool.format import ROW_HEAD_BYTES, ROW_TAIL_BYTES, SIZED

_STEP_AND_TIME: Final = struct.Struct("<qq")
#: What Python keeps besides the bytes: the record, its tuple of names, the headers of both.
_OVERHEAD_BYTES: Final = 250
#: Events may use a quarter more than the bound: one that says how a run ended is worth more than the last points.
_EVENT_SHARE: Final = 4


@dataclass(frozen=True, slots=True)
class RowRecord:
    """A row whose body (step, time in ns, values) is packed. Takes a sequence number."""

    names: tuple[str, ...]
    body: bytes

    @property
    def points(self) -> int:
        return len(self.names)

    @property
    def record_bytes(self) -> int:
        """Its size in a segment, without its schema."""
        return ROW_HEAD_BYTES + len(self.body) + ROW_TAIL_BYTES

    @property
    def memory_bytes(self) -> int:
        return _OVERHEAD_BYTES + len(self.body) + 8 * len(self.names)


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A control event as JSON. Takes a sequence number."""

    payload: bytes

    @property
    def record_bytes(self) -> int:
        return SIZED.size + len(self.payload) + ROW_TAIL_BYTES

    @property
    def memory_bytes(self) -> int:
        return _OVERHEAD_BYTES + len(self.payload)


@dataclass(frozen=True, slots=True)
class Lost:
    """Points and control events that will never be written."""

    points: int = 0
    events: int = 0

    def __bool__(self) -> bool:
        return bool(self.points or self.events)


def pack_row(names: tuple[str, ...], step: int, at_ns: int, values: tuple[float, ...]) -> RowRecord:
    body = _STEP_AND_TIME.pack(step, at_ns) + struct.pack(f"<{len(values)}d", *values)
    return RowRecord(names, body)


class Backlog:
    """A first-in-first-out queue with a bound in bytes, which counts what it has to refuse.

    Not locked: the writer's lock covers it, but for `add`, which a signal handler may call in the middle of any
    other method. That is why taking is two steps: read `first`, and once it is written add one to `next_index`, a
    plain store that nothing can interrupt.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.records: list[RowRecord | EventRecord] = []
        self.next_index = 0
        self._bytes = 0
        self.refused_points = 0
        self.refused_events = 0

    def __len__(self) -> int:
        return len(self.records) - self.next_index

    @property
    def memory_bytes(self) -> int:
        return self._bytes

    def add(self, record: RowRecord | EventRecord) -> bool:
        """Append a record. False if the bound refuses it; it is counted then."""
        size = record.memory_bytes
        is_row = isinstance(record, RowRecord)
        bound = self.max_bytes if is_row else self.max_bytes + self.max_bytes // _EVENT_SHARE
        if self._bytes + size > bound and len(self):
            if isinstance(record, RowRecord):
                self.refused_points += record.points
            else:
                self.refused_events += 1
            return False
        self._bytes += size
        self.records.append(record)
        return True

    @property
    def first(self) -> RowRecord | EventRecord:
        """The oldest record that is not written."""
        return self.records[self.next_index]

    def tidy(self) -> None:
        """Free what is written."""
        if self.next_index == len(self.records):
            self._bytes = 0
        elif self.next_index < 1024:
            return
        else:
            self._bytes -= sum(record.memory_bytes for record in self.records[: self.next_index])
        del self.records[: self.next_index]
        self.next_index = 0

    def points(self) -> int:
        """How many points wait."""
        return sum(r.points for r in self.records[self.next_index :] if isinstance(r, RowRecord))

    def events(self) -> int:
        """How many control events wait."""
        return sum(isinstance(record, EventRecord) for record in self.records[self.next_index :])
