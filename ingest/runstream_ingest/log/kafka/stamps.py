"""The log's clock over a partition that several writers stamp, each with a clock of its own.

Kafka keeps a record's time in milliseconds; a header of 8 bytes beside it holds the microseconds. The clocks of two
writers differ, so stamps can run backwards. What a reader is told never does, and is the same whoever reads and
wherever the reading began, because it depends on nothing but the records before it:

- a record that is stamped in a later millisecond than all before it keeps its stamp;
- in the same millisecond as the latest of them it keeps its stamp, or takes that of its predecessor if that is later;
- one that is stamped in an earlier millisecond counts as written in the last microsecond of the latest one so far.

The third line is what lets a reading that begins in the middle find its place by Kafka's own time index, which
knows the first record at or after a millisecond.
"""

from collections.abc import Iterable

from runstream.events.kafka import STAMP, STAMP_HEADER


def stamp_of(timestamp_ms: int, headers: Iterable[tuple[str, bytes]]) -> int:
    """The stamp of a record in microseconds. Kafka's own time where the header is missing, or is not within the same
    millisecond: the time index goes by Kafka's."""
    for name, value in headers:
        if name == STAMP_HEADER and len(value) == STAMP.size:
            (stamp_us,) = STAMP.unpack(value)
            if stamp_us // 1000 == timestamp_ms:
                return int(stamp_us)
    return timestamp_ms * 1000


def next_at_us(floor_us: int, stamp_us: int) -> int:
    """The log's time of a record behind one whose log's time is `floor_us` (0: it is the first one)."""
    if stamp_us // 1000 < floor_us // 1000:
        return floor_us // 1000 * 1000 + 999
    return max(floor_us, stamp_us)
