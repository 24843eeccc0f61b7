"""Values of metrics as frames: numbers are points, what is no number is kept beside them. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream.events.control import OthersLogged, encode_event
from runstream.events.encoding import encode_events, encode_frame, encode_ragged
from runstream.events.names import NO_STEP
from runstream_protocols.kit.statements import Statement, portions
from runstream_protocols.kit.values import parameter_name, size_of

#: Points that the client logged within one of its milliseconds are told apart, in their order, by microseconds.
_PER_MS: Final = 1000
#: What a point takes of a frame beside its name: 24 for the row, 8 for the epoch, 12 for the value.
_POINT_BYTES: Final = 44


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a metric. `number` is None if it is none; `raw` is what came. at_us: None if no time was given."""

    name: str
    raw: Any
    number: float | None
    step: int | None
    epoch: int | None
    at_us: int | None


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
