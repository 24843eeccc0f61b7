"""From what a person passes to `log()` to rows of numbers. Pure; nothing here raises for bad data."""

import operator
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runstream.events import limits
from runstream.events.names import InvalidName, check_metric

_DOUBLE: Final = struct.Struct("<d")
_I64: Final = struct.Struct("<q")
_MAX_DEPTH: Final = 20
#: Names travel in a frame with at least one row: 160 kB of values (limits.MAX_METRICS_PER_ROW) and 200 kB of names
#: stay under limits.TARGET_FRAME_RAW_BYTES.
MAX_NAMES_BYTES: Final = 200_000
_MAX_SHOWN_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One value, name or step that was left out. `key` is the same for the same cause of the same metric."""

    key: str
    message: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A value of `log()` that is no number, and what to tell of it unless somebody else takes it."""

    name: str
    value: object
    problem: Problem


@dataclass(frozen=True, slots=True)
class CleanRow:
    """Names that may be used, none twice, and as many numbers."""

    names: tuple[str, ...]
    values: tuple[float, ...]


def clean_rows(data: object) -> tuple[list[CleanRow], list[Refused], list[Problem]]:
    """The rows that `data` holds (one, or several if it is too wide for one; none if nothing is usable), values that
    are no numbers, and what else was left out. Nested mappings are flattened with "/"."""
    refused: list[Refused] = []
    problems: list[Problem] = []
    if not isinstance(data, Mapping):
        what = f"log() got {shown(data)} of type {_type_name(data)}: give a dict of metric name to number"
        return [], [], [Problem("data", what)]
    found: dict[str, float] = {}
    for name, value in _flattened(data, "", 0, problems):
        number = _number(name, value, refused)
        if number is None:
            continue
        if name in found:
            problems.append(
                Problem(f"twice {name}", f"metric {name!r} stands twice in one log() call: the last counts")
            )
        found[name] = number
    return list(_split(found.items())), refused, problems


def clean_step(step: object) -> tuple[int | None, Problem | None]:
    """The step as an int; None (the writer then counts) for None and, with a problem, for what is no whole number."""
    if step is None:
        return None, None
    try:
        whole = operator.index(step)  # type: ignore[arg-type]
    except Exception:
        try:
            number = float(step)  # type: ignore[arg-type]
            whole = int(number)
            usable = whole == number and not isinstance(step, str)
        except Exception:
            usable = False
        if not usable:
            return None, _bad_step(step)
    try:
        _I64.pack(whole)
    except struct.error:
        return None, _bad_step(step)
    return whole, None


def shown(value: object) -> str:
    """`repr(value)`, short, whatever `repr` does."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<a value whose repr raises {type(error).__name__}>"
    return text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + "..."


def _bad_step(step: object) -> Problem:
    return Problem(
        "step",
        f"step {shown(step)} of type {_type_name(step)} is no whole number of 64 bits: the values were logged one "
        "step after the last instead; give step=int(...)",
    )


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _flattened(
    data: Mapping[Any, Any], prefix: str, depth: int, problems: list[Problem]
) -> Iterator[tuple[str, object]]:
    try:
        items = list(data.items())
    except Exception as error:
        problems.append(Problem(f"items {prefix}", f"the items of {shown(data)} cannot be read ({error!r}): left out"))
        return
    for key, value in items:
        try:
            name = check_metric(prefix + key if isinstance(key, str) else key)
        except InvalidName as error:
            problems.append(Problem(f"name {shown(key)}", f"{error} (its value {shown(value)} was left out)"))
            continue
        if not isinstance(value, Mapping):
            yield str(name), value
        elif depth < _MAX_DEPTH:
            yield from _flattened(value, f"{name}/", depth + 1, problems)
        else:
            problems.append(Problem(f"depth {prefix}", f"{name[:100]!r} nests deeper than {_MAX_DEPTH}: left out"))


def _number(name: str, value: object, refused: list[Refused]) -> float | None:
    try:
        # The same conversion as on the hot path, so that what a value means does not depend on the way it took.
        number: float = _DOUBLE.unpack(_DOUBLE.pack(value))[0]
        return number
    except Exception as error:
        cause = "" if isinstance(error, struct.error | TypeError) else f" ({shown(error)})"
        what = f"metric {name!r} got {shown(value)} of type {_type_name(value)}{cause}, which is no single number"
        told = Problem(f"value {name}", f"{what}, and was left out: {_fix(value)}")
        refused.append(Refused(name, value, told))
        return None


def _fix(value: object) -> str:
    if isinstance(value, str):
        return "use log_other() or log_text() for text, or float() for a number in a string"
    if value is None:
        return "leave it out, or log float('nan')"
    if isinstance(value, list | tuple) or _has_shape(value):
        return "log one number of it, such as its mean"
    return "give a number"


def _has_shape(value: object) -> bool:
    try:
        return hasattr(value, "shape")
    except Exception:  # an object whose attributes raise
        return False


def _split(items: Iterable[tuple[str, float]]) -> Iterator[CleanRow]:
    names: list[str] = []
    values: list[float] = []
    size = 0
    for name, value in items:
        name_bytes = len(name.encode()) + 1
        if names and (len(names) == limits.MAX_METRICS_PER_ROW or size + name_bytes > MAX_NAMES_BYTES):
            yield CleanRow(tuple(names), tuple(values))
            names, values, size = [], [], 0
        names.append(name)
        values.append(value)
        size += name_bytes
    if names:
        yield CleanRow(tuple(names), tuple(values))
