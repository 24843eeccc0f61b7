"""What a summary says of a (run, metric), as data. `runstream_model.summaries` computes it.

Four points of a series are kept whole, each as a value with its step and time; all else is a number.
"""

from typing import Final

from runstream_model.projection import COUNT, INTEGER, NAME, NUMBER, POSITION, TIME, Column, Projection

#: The points that are kept of a series, and what their values are.
KEPT_POINTS: Final = {
    "minimum": "the smallest value that is no NaN; NaN if there is none",
    "maximum": "the largest value that is no NaN; NaN if there is none",
    "first": "the value at the lowest (step, time)",
    "last": "the value at the highest (step, time)",
}


def _kept(name: str, meaning: str) -> tuple[Column, Column, Column]:
    return (
        Column(name, NUMBER, meaning),
        Column(f"{name}_step", INTEGER, f"the step of the {name}"),
        Column(f"{name}_at", TIME, f"the time of the {name}"),
    )


SUMMARY_STATES: Final = Projection(
    name="summary_states",
    version=1,
    key=("run", "metric"),
    view="summaries",
    columns=(
        Column("run", NAME, "the run"),
        Column("metric", NAME, "the metric's name"),
        Column("count", COUNT, "how many points there are"),
        Column("nan_count", COUNT, "how many of them are NaN"),
        *(column for name, meaning in KEPT_POINTS.items() for column in _kept(name, meaning)),
        Column("total", NUMBER, "the correctly rounded sum of all values"),
        Column("total_exponent", "Int32", "the exact sum that `total` is rounded from: its exponent", internal=True),
        Column("total_digits", f"Array({INTEGER})", "and its digits (runstream_model.exact_sum)", internal=True),
        *POSITION,
    ),
)
