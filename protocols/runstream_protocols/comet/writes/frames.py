"""Batches of Comet's client, values and printed lines, as frames. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from runstream.events import limits
from runstream.events.control import OthersLogged, OutputAppended, encode_event
from runstream.events.frame import encode_events, encode_frame, encode_ragged
from runstream.events.names import NO_STEP
from runstream_protocols.kit.statements import Statement, digest, portions
from runstream_protocols.kit.values import (
    at_us_of,
    bounded,
    metric_name,
    number_of,
    parameter_name,
    size_of,
    step_of,
)

#: Points that the client logged within one of its milliseconds are told apart, in their order, by microseconds.
_PER_MS: Final = 1000

#: A line of what was printed has so many numbers: the client's longest, 5,000,000 characters, in pieces of 32,000.
_PIECES: Final = 256
#: What a point takes of a frame beside its name: 24 for the row, 8 for the epoch, 12 for the value.
_POINT_BYTES: Final = 44
#: A text in place of a metric's number is cut here; the client cuts at 1,000.
_TEXT_CHARS: Final = 10_000


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


def value_of(fields: Mapping[str, Any]) -> Value:
    """One value of a batch, or the body of one that is sent alone."""
    return Value(
        metric_name(fields.get("metricName"), fields.get("context")),
        bounded(fields.get("metricValue"), _TEXT_CHARS),
        number_of(fields.get("metricValue")),
        step_of(fields.get("step")),
        step_of(fields.get("epoch")),
        at_us_of(fields.get("timestamp")),
    )


def values_frames(statement: Statement, values: Sequence[Value]) -> list[bytes]:
    """Frames of the values, in their order: numbers are points, what is no number is kept as another value of the run
    under the metric's name."""
    timed = list(zip(values, _times_us(statement, values), strict=True))
    parts = portions(timed, lambda one: _POINT_BYTES + len(one[0].name) + _text_size(one[0]))
    return [_values_frame(statement, some, part) for part, some in enumerate(parts)]


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


def output_frames(key: str, lines: Sequence[Line], at_us: int) -> list[bytes]:
    """What was printed, in the order of the lines' places, which are the numbers of one writer: reads are in their
    order, and what comes twice counts once."""
    writer_id = digest(16, b"output", key.encode()).hex()
    pieces = [piece for line in lines for piece in _pieces(line, at_us)]
    encoded = [(seq, encode_event(event)) for seq, event in _joined(pieces)]
    parts = list(portions(encoded, lambda one: len(one[1])))
    # A frame covers what the next one does not: the numbers of lines that were joined to others too.
    begins = [some[0][0] for some in parts]
    ends = [*begins[1:], (lines[-1].place + 1) * _PIECES] if begins else []
    return [
        encode_frame(writer_id, key, begin, end, encode_events(some))
        for begin, end, some in zip(begins, ends, parts, strict=True)
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
