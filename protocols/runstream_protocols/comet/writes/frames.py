"""What Comet's client said, as frames. Pure.

The client sends a batch again when it got no answer, byte for byte, and numbers nothing. So a statement is told from
another by what it says: its writer is made of the run and of ten minutes of the client's clock, its sequence number of
the bytes. The fold knows which numbers of a writer it has seen, so that whoever takes the second sending, another
gateway or the same one after a crash, it counts once. Ten minutes keep the list of what is seen short: a batch every
two seconds is 300 ranges.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from runstream.events import limits
from runstream.events.control import AnyEvent, OthersLogged, OutputAppended, RunEvent, encode_event
from runstream.events.frame import encode_events, encode_frame, encode_ragged, heartbeat
from runstream.events.names import NO_STEP
from runstream_protocols.comet.writes.values import (
    at_us_of,
    bounded,
    metric_name,
    number_of,
    parameter_name,
    size_of,
    step_of,
)

_T = TypeVar("_T")

#: The numbers of one frame; the client's own batches have 1,000 values.
MAX_NUMBERS: Final = 1024
#: A statement begins at one of 2**53 places of MAX_NUMBERS numbers each. With 300 statements that two of them begin at
#: the same place has a probability of 300**2 / 2 / 2**53 = 5e-12.
_PLACES_BITS: Final = 53
_BUCKET_US: Final = 600_000_000
#: One value a request, five requests a second: 300 ranges, too.
_STAMPED_BUCKET_US: Final = 60_000_000
#: Points that the client logged within one of its milliseconds are told apart, in their order, by microseconds.
_PER_MS: Final = 1000

#: A line of what was printed has so many numbers: the client's longest, 5,000,000 characters, in pieces of 32,000.
_PIECES: Final = 256
#: A frame has at most so many bytes of events, if none alone is larger, which are at most limits.MAX_EVENT_BYTES:
#: below limits.MAX_FRAME_BYTES, even if nothing of it can be compressed.
_FRAME_BYTES: Final = 500_000
#: What a point takes of a frame beside its name: 24 for the row, 8 for the epoch, 12 for the value.
_POINT_BYTES: Final = 44
#: A text in place of a metric's number is cut here; the client cuts at 1,000.
_TEXT_CHARS: Final = 10_000

#: A writer says nothing but that it began (0) and that it ended (1).
STARTED: Final = 0
ENDED: Final = 1


@dataclass(frozen=True, slots=True)
class Statement:
    """One request of the client. `words`: its path and body; `at_us`: when, by the client's clock where that stands in
    the words, else (`stamped`) by ours: then the same words at another time are another statement."""

    key: str
    words: bytes
    at_us: int
    stamped: bool = False

    @property
    def writer_id(self) -> str:
        bucket_us = _STAMPED_BUCKET_US if self.stamped else _BUCKET_US
        kind = b"stamped" if self.stamped else b"said"
        return _hashed(16, kind, self.key.encode(), b"%d" % (self.at_us // bucket_us)).hex()

    def first_seq(self, part: int = 0) -> int:
        """The first number of one part of it."""
        stamp = b"%d" % self.at_us if self.stamped else b""
        place = int.from_bytes(_hashed(8, self.words, stamp, b"%d" % part), "big") >> (64 - _PLACES_BITS)
        return place * MAX_NUMBERS


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was printed. `place`: its number among all lines of the experiment, ascending."""

    place: int
    text: str
    is_error: bool


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a metric. `number` is None if it is none; `raw` is what came. at_us: None if no time was given."""

    name: str
    raw: Any
    number: float | None
    step: int | None
    epoch: int | None
    at_us: int | None


def value_of(said: Mapping[str, Any]) -> Value:
    """One value of a batch, or the body of one that is sent alone."""
    return Value(
        metric_name(said.get("metricName"), said.get("context")),
        bounded(said.get("metricValue"), _TEXT_CHARS),
        number_of(said.get("metricValue")),
        step_of(said.get("step")),
        step_of(said.get("epoch")),
        at_us_of(said.get("timestamp")),
    )


def events_frame(statement: Statement, events: Sequence[AnyEvent]) -> bytes:
    """One frame of a few events."""
    return _frame_of(statement, [encode_event(event) for event in events], 0)


def events_frames(statement: Statement, events: Sequence[AnyEvent]) -> list[bytes]:
    """Frames of the events, in their order."""
    return list(encoded_frames(statement, [encode_event(event) for event in events]))


def encoded_frames(statement: Statement, encoded: Sequence[bytes]) -> Iterator[bytes]:
    """The same of events that are encoded."""
    for part, some in enumerate(_portions(encoded, len)):
        yield _frame_of(statement, some, part)


def _frame_of(statement: Statement, events: Sequence[bytes], part: int) -> bytes:
    first = statement.first_seq(part)
    numbered = encode_events((first + number, event) for number, event in enumerate(events))
    return encode_frame(statement.writer_id, statement.key, first, first + len(events), numbered)


def _portions(items: Sequence[_T], size: Callable[[_T], int]) -> Iterator[Sequence[_T]]:
    """The items in portions that fit into a frame each: at most MAX_NUMBERS, and of _FRAME_BYTES where none alone is
    larger."""
    begin = held = 0
    for number, item in enumerate(items):
        added = size(item)
        if number - begin == MAX_NUMBERS or (number > begin and held + added > _FRAME_BYTES):
            yield items[begin:number]
            begin, held = number, 0
        held += added
    if begin < len(items):
        yield items[begin:]


def values_frames(statement: Statement, values: Sequence[Value]) -> list[bytes]:
    """Frames of the values, in their order: numbers are points, what is no number is kept as another value of the run
    under the metric's name."""
    timed = list(zip(values, _times_us(statement, values), strict=True))
    portions = _portions(timed, lambda one: _POINT_BYTES + len(one[0].name) + _text_size(one[0]))
    return [_values_frame(statement, some, part) for part, some in enumerate(portions)]


def _text_size(value: Value) -> int:
    return 0 if value.number is not None else size_of(value.raw)


def _times_us(statement: Statement, values: Sequence[Value]) -> list[int]:
    """The time of each value. Those of one metric within one millisecond ascend from its beginning; but where the batch
    began in the middle of a millisecond, to its end: the batch before has what stands at its beginning."""
    times_us = [statement.at_us if value.at_us is None else value.at_us for value in values]
    moments = [(value.name, at_us) for value, at_us in zip(values, times_us, strict=True)]
    counts = Counter(moments)
    first_us = times_us[0] if values else 0
    is_one_moment = all(at_us == first_us for at_us in times_us)
    before: Counter[tuple[str, int]] = Counter()
    for number, (name, at_us) in enumerate(moments):
        nth = before[name, at_us]
        before[name, at_us] += 1
        if at_us == first_us and not is_one_moment:
            nth += max(0, _PER_MS - counts[name, at_us])
        times_us[number] += min(nth, _PER_MS - 1)
    return times_us


def _values_frame(statement: Statement, values: Sequence[tuple[Value, int]], part: int) -> bytes:
    first = statement.first_seq(part)
    names: dict[str, int] = {}
    rows, epochs, events = [], [], []
    for number, (value, at_us) in enumerate(values):
        if value.number is None:
            other = OthersLogged(at_us=at_us, values={parameter_name(value.name): value.raw})
            events.append((first + number, encode_event(other)))
            continue
        index = names.setdefault(value.name, len(names))
        step = NO_STEP if value.step is None else value.step
        rows.append((number, step, at_us * 1000, (index,), (value.number,)))
        epochs.append(value.epoch)
    groups = [encode_ragged(list(names), rows, epochs)] if rows else []
    end = first + len(values)
    return encode_frame(statement.writer_id, statement.key, first, end, encode_events(events), groups)


def attempt_writer(key: str, said: str) -> str:
    """The writer of one attempt at an experiment: the client's own words for it (a time) make it the same again."""
    return _hashed(16, b"attempt", key.encode(), said.encode()).hex()


def attempt_frame(writer_id: str, key: str, number: int, event: RunEvent) -> bytes:
    """One of the two things that an attempt's writer says: STARTED, ENDED."""
    return encode_frame(writer_id, key, number, number + 1, encode_events([(number, encode_event(event))]))


def alive_frame(writer_id: str, key: str) -> bytes:
    """The attempt goes on."""
    return heartbeat(writer_id, key, ENDED)


def output_frames(key: str, lines: Sequence[Line], at_us: int) -> list[bytes]:
    """What was printed, in the order of the lines' places, which are the numbers of one writer: reads are in their
    order, and what comes twice counts once."""
    writer_id = _hashed(16, b"output", key.encode()).hex()
    pieces = [piece for line in lines for piece in _pieces(line, at_us)]
    encoded = [(seq, encode_event(event)) for seq, event in _joined(pieces)]
    portions = list(_portions(encoded, lambda one: len(one[1])))
    # A frame covers what the next one does not: the numbers of lines that were joined to others too.
    begins = [some[0][0] for some in portions]
    ends = [*begins[1:], (lines[-1].place + 1) * _PIECES] if begins else []
    return [
        encode_frame(writer_id, key, begin, end, encode_events(some))
        for begin, end, some in zip(begins, ends, portions, strict=True)
    ]


def _pieces(line: Line, at_us: int) -> Iterator[tuple[int, OutputAppended]]:
    size = limits.MAX_OUTPUT_CHARS
    for piece, begin in enumerate(range(0, min(len(line.text), size * _PIECES), size)):
        text = line.text[begin : begin + size]
        stream: Literal["stdout", "stderr"] = "stderr" if line.is_error else "stdout"
        yield line.place * _PIECES + piece, OutputAppended(at_us=at_us, stream=stream, text=text)


def _joined(pieces: Sequence[tuple[int, OutputAppended]]) -> Iterator[tuple[int, OutputAppended]]:
    """Neighbours of one stream as one event, as long as it may be: a line is short, and an event is not free."""
    begin = 0
    size = 0
    for number, (_, piece) in enumerate(pieces):
        is_other = number > begin and piece.stream != pieces[begin][1].stream
        if is_other or size + len(piece.text) > limits.MAX_OUTPUT_CHARS:
            yield _as_one(pieces[begin:number])
            begin, size = number, 0
        size += len(piece.text)
    if begin < len(pieces):
        yield _as_one(pieces[begin:])


def _as_one(pieces: Sequence[tuple[int, OutputAppended]]) -> tuple[int, OutputAppended]:
    seq, first = pieces[0]
    return seq, first.model_copy(update={"text": "".join(piece.text for _, piece in pieces)})


def _hashed(size_bytes: int, *parts: bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=size_bytes)
    for part in parts:
        digest.update(b"%d:" % len(part) + part)
    return digest.digest()
