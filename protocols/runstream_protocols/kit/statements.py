"""What one request of a foreign client says, as frames. Pure.

Such clients send a request again when they got no response, byte for byte, and number nothing. So a statement is told
from another by its content: its writer is made of the key and of ten minutes of the client's clock, its sequence number
of the bytes. The fold knows which numbers of a writer it has seen, so that whoever takes the second sending, another
gateway or the same one after a crash, it counts once. Ten minutes keep the list of what is seen short: a batch every
two seconds is 300 ranges.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from runstream.events.control import AnyEvent, encode_event
from runstream.events.encoding import encode_events, encode_frame

T = TypeVar("T")

#: The numbers of one frame; the usual batches have 1,000 values.
MAX_NUMBERS: Final = 1024
#: A statement begins at one of 2**53 places of MAX_NUMBERS numbers each. With 300 statements that two of them begin at
#: the same place has a probability of 300**2 / 2 / 2**53 = 5e-12.
_PLACES_BITS: Final = 53
_BUCKET_US: Final = 600_000_000
#: One value a request, five requests a second: 300 ranges, too.
_STAMPED_BUCKET_US: Final = 60_000_000
#: A frame has at most so many bytes of events, if none alone is larger, which are at most limits.MAX_EVENT_BYTES:
#: below limits.MAX_FRAME_BYTES, even if nothing of it can be compressed.
_FRAME_BYTES: Final = 500_000


@dataclass(frozen=True, slots=True)
class Statement:
    """One request of a client. `content`: its path and body; `at_us`: when, by the client's clock where that stands in
    the content, else (`stamped`) by ours: then the same content at another time is another statement."""

    key: str
    content: bytes
    at_us: int
    stamped: bool = False

    @property
    def writer_id(self) -> str:
        bucket_us = _STAMPED_BUCKET_US if self.stamped else _BUCKET_US
        kind = b"stamped" if self.stamped else b"said"
        return digest(16, kind, self.key.encode(), b"%d" % (self.at_us // bucket_us)).hex()

    def first_seq(self, part: int = 0) -> int:
        """Return the first number of one part of it."""
        stamp = b"%d" % self.at_us if self.stamped else b""
        place = int.from_bytes(digest(8, self.content, stamp, b"%d" % part), "big") >> (64 - _PLACES_BITS)
        return place * MAX_NUMBERS


def events_frame(statement: Statement, events: Sequence[AnyEvent]) -> bytes:
    """Return one frame of a few events."""
    return _frame_of(statement, [encode_event(event) for event in events], 0)


def events_frames(statement: Statement, events: Sequence[AnyEvent]) -> list[bytes]:
    """Return frames of the events, in their order."""
    return list(encoded_frames(statement, [encode_event(event) for event in events]))


def encoded_frames(statement: Statement, encoded: Sequence[bytes]) -> Iterator[bytes]:
    """Return the same of events that are encoded."""
    for part, some in enumerate(portions(encoded, len)):
        yield _frame_of(statement, some, part)


def _frame_of(statement: Statement, events: Sequence[bytes], part: int) -> bytes:
    first = statement.first_seq(part)
    numbered = encode_events((first + number, event) for number, event in enumerate(events))
    return encode_frame(statement.writer_id, statement.key, first, first + len(events), numbered)


def portions(items: Sequence[T], size: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """Return the items in portions that fit into a frame each: at most MAX_NUMBERS, and of _FRAME_BYTES where none
    alone is larger."""
    begin = held = 0
    for number, item in enumerate(items):
        added = size(item)
        if number - begin == MAX_NUMBERS or (number > begin and held + added > _FRAME_BYTES):
            yield items[begin:number]
            begin, held = number, 0
        held += added
    if begin < len(items):
        yield items[begin:]


def digest(size_bytes: int, *parts: bytes) -> bytes:
    """Return a hash of the parts, which tells where one ends."""
    made = hashlib.blake2b(digest_size=size_bytes)
    for part in parts:
        made.update(b"%d:" % len(part) + part)
    return made.digest()
