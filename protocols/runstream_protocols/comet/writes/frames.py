"""Batches of Comet's client, values and printed lines, as frames. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from runstream.events import limits
from runstream.events.control import OutputAppended, encode_event
from runstream.events.encoding import encode_events, encode_frame
from runstream_protocols.kit.points import Value
from runstream_protocols.kit.statements import digest, portions
from runstream_protocols.kit.values import at_us_of, bounded, metric_name, number_of, step_of

#: A line of what was printed has so many numbers: the client's longest, 5,000,000 characters, in pieces of 32,000.
_PIECES: Final = 256
#: A text in place of a metric's number is cut here; the client cuts at 1,000.
_TEXT_CHARS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was printed. `place`: its number among all lines of the experiment, ascending."""

    place: int
    text: str
    is_error: bool


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
