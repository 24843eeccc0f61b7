"""The smallest and the largest of the values that were logged under one name."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream.events.control import OthersLogged, ParametersLogged
from runstream_model.attributes import OTHER, PARAMETER, rows_from_events
from runstream_model.past import LoggedEvent
from runstream_query.http.context import Context
from runstream_query.repositories.events import About

_LOGGED: Final = {PARAMETER: ParametersLogged, OTHER: OthersLogged}


@dataclass(frozen=True, slots=True)
class Extreme:
    """A value, as a person would read it, and when it was logged: milliseconds since 1970 UTC."""

    text: str
    ms: int
    number: float


@dataclass(frozen=True, slots=True)
class Extremes:
    """Of several values of a name that are all numbers. The earliest of equal ones counts."""

    low: Extreme
    high: Extreme


async def extremes_of_run(context: Context, run: str, kind: str) -> dict[str, Extremes]:
    """Return the extremes of a run's parameters or other values, by name, of those that were logged several times as
    numbers. One statement where nothing was. None of a run with more such records than a request may fold."""
    logged = _LOGGED[kind].model_fields["type"].default
    if not await context.repositories.events.logs_again(context.scope, run, logged):
        return {}
    prefix = logged.partition("_")[0] + "_"
    limit = context.settings.max_past_events
    events = await context.repositories.events.of_key(context.scope, run, About(prefix), limit + 1)
    return {} if len(events) > limit else await context.off_loop(extremes_of, events)


def extremes_of(events: Sequence[LoggedEvent]) -> dict[str, Extremes]:
    """Return the extremes by name. What was deleted is forgotten; texts have no order."""
    found: dict[str, list[Extreme | None]] = {}
    for row in _rows(events):
        if row["deleted"]:
            found.pop(row["name"], None)
        else:
            found.setdefault(row["name"], []).append(_extreme(row))
    return {name: _of(values) for name, values in found.items() if len(values) > 1 and None not in values}


def _rows(events: Iterable[LoggedEvent]) -> Iterable[dict[str, Any]]:
    for one in events:
        yield from rows_from_events("", one.writer, [(one.seq, one.event())], one.part, one.offset).attributes


def _extreme(row: dict[str, Any]) -> Extreme | None:
    """None of what has no place in the order of numbers."""
    number = row["number"]
    if number is None:
        try:
            number = float(row["text"])
        except ValueError:
            return None
    return None if math.isnan(number) else Extreme(row["text"], row["at"] // 1_000, number)


def _of(values: Sequence[Extreme | None]) -> Extremes:
    known = [one for one in values if one is not None]
    return Extremes(min(known, key=lambda one: one.number), max(known, key=lambda one: one.number))
