"""What a summary says of the points of a (run, metric), as data. `runstream_model.summaries` computes it.

From `STATISTICS` follow the columns of `summary_states`, the members of a summary in responses and exports, and what
filters, sort keys and the columns of runs may name.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runstream_model.projection import COUNT, INTEGER, NAME, NUMBER, POSITION, TIME, Column, Projection

#: A number that rows of an earlier version do not have.
_UNKNOWN_BEFORE: Final = f"Nullable({NUMBER})"


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number that a summary gives.

    aggregate: what filters, sort keys and columns call it, as in `metric.loss.min`; None: they do not know it.
    of_point: it is the value of one of the points, whose step and time are kept beside it.
    expression, computed: how it is computed from the others when it is read, by the store and in Python; None: it is
    stored.
    since: the version of `SUMMARY_STATES` that it came with.
    """

    name: str
    type: str
    meaning: str
    aggregate: str | None = None
    of_point: bool = False
    expression: str | None = None
    since: int = 1
    computed: Callable[[Mapping[str, Any]], float] | None = None

    @property
    def number(self) -> str:
        """The expression over the columns of `summary_states` that gives it as a Float64."""
        value = self.name if self.expression is None else self.expression
        if self.type == _UNKNOWN_BEFORE:
            return f"ifNull({value}, nan)"
        return value if self.type == NUMBER else f"toFloat64({value})"

    def value(self, row: Mapping[str, Any]) -> float:
        """Return it as a float, of a row with the visible columns of `summary_states`: what `number` gives."""
        found = row[self.name] if self.computed is None else self.computed(row)
        return math.nan if found is None else float(found)

    def columns(self) -> Iterator[Column]:
        """Its columns in `summary_states`, but for those of `ENDS`, which came later."""
        if self.expression is not None:
            return
        yield Column(self.name, self.type, self.meaning, since=self.since)
        if self.of_point:
            yield Column(f"{self.name}_step", INTEGER, f"the step of `{self.name}`")
            yield Column(f"{self.name}_at", TIME, f"the time of `{self.name}`")


def _mean(row: Mapping[str, Any]) -> float:
    total, count = float(row["total"]), int(row["count"])
    return total / count


#: In the order of responses and exports.
STATISTICS: Final = (
    Statistic("count", COUNT, "how many points there are", "count"),
    Statistic("nan_count", COUNT, "how many of them are NaN"),
    Statistic("minimum", NUMBER, "the smallest value that is no NaN; NaN if there is none", "min", of_point=True),
    Statistic("maximum", NUMBER, "the largest value that is no NaN; NaN if there is none", "max", of_point=True),
    Statistic(
        "first", NUMBER, "the value at the beginning: the lowest step, of that the earliest", "first", of_point=True
    ),
    Statistic("last", NUMBER, "the value at the end: the highest step, of that the latest", "last", of_point=True),
    Statistic("total", NUMBER, "the correctly rounded sum of all values", "sum"),
    Statistic("mean", NUMBER, "the sum by the count", "mean", expression="total / count", computed=_mean),
    Statistic(
        "std",
        _UNKNOWN_BEFORE,
        "the population standard deviation; NaN if a value is NaN or infinite; null: the summary was made by a server "
        "that did not know it, and is being made anew",
        "std",
        since=2,
    ),
)
#: The points of a series that are kept, by the name of the statistic that is their value.
KEPT_POINTS: Final = tuple(statistic.name for statistic in STATISTICS if statistic.of_point)
#: Those of them that are an end of the series: the order of points decides which they are.
ENDS: Final = ("first", "last")
#: What filters, sort keys and columns of runs call a statistic.
AGGREGATES: Final = {statistic.aggregate: statistic for statistic in STATISTICS if statistic.aggregate is not None}


def _order_columns(end: str) -> Iterator[Column]:
    """What decides between points of one step and time."""
    yield Column(f"{end}_writer", COUNT, f"the writer of `{end}`, as in `points`", internal=True, since=3)
    yield Column(f"{end}_seq", COUNT, "its number among what that writer wrote", internal=True, since=3)


SUMMARY_STATES: Final = Projection(
    name="summary_states",
    version=3,
    key=("run", "metric"),
    view="summaries",
    columns=(
        Column("run", NAME, "the run"),
        Column("metric", NAME, "the metric's name"),
        *(column for statistic in STATISTICS for column in statistic.columns()),
        Column("total_exponent", "Int32", "the exact sum that `total` is rounded from: its exponent", internal=True),
        Column("total_digits", f"Array({INTEGER})", "and its digits (runstream_model.exact_sum)", internal=True),
        Column("squares_exponent", "Int32", "the same of the exact sum of squares, for `std`", internal=True, since=2),
        Column("squares_digits", f"Array({INTEGER})", "and its digits", internal=True, since=2),
        *POSITION,
        *(column for end in ENDS for column in _order_columns(end)),
    ),
)
