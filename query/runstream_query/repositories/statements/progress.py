"""How far series are: their first points from some steps on, and what they had up to one."""

from collections.abc import Sequence
from typing import Final

from runstream.events.names import NO_STEP
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.series import Names
from runstream_service.access import Scope

#: The order of points within a step, after which `argMin` takes the first.
_PLACE: Final = "(step, at, writer, seq)"


def first_points(names: Names, steps: Sequence[int], parameters: Parameters, scope: Scope) -> str:
    """Of each run (one metric), and each stretch from one of the steps to before the next: the number of the stretch,
    from 0, and the value and the time (microseconds) of the first point in it. steps: ascending, the last stretch has
    no end. Each point is looked at once, however many steps there are."""
    bounds = [parameters.integer(step) for step in steps]
    stretch = " + ".join(f"(step >= {bound})" for bound in bounds)
    return (
        f"SELECT run, {stretch} - 1 AS stretch, argMin(value, {_PLACE}) AS value, "
        f"argMin(toUnixTimestamp64Micro(at), {_PLACE}) AS at_us FROM points "
        f"WHERE {names.condition(parameters, scope)} AND step >= {bounds[0]} "
        "GROUP BY run, stretch ORDER BY run, stretch"
    )


def progress_until(names: Names, until: int, parameters: Parameters, scope: Scope) -> str:
    """Of each run (one metric) with points up to a step: their mean, the lowest and the highest finite value (NaN
    without one), and the highest step that the run has at all."""
    bound = parameters.integer(until)
    there = f"step <= {bound}"
    finite = f"{there} AND isFinite(value)"
    return (
        f"SELECT run, avgIf(value, {there}) AS mean, if(countIf({finite}) = 0, nan, minIf(value, {finite})) AS low, "
        f"if(countIf({finite}) = 0, nan, maxIf(value, {finite})) AS high, max(step) AS last_step "
        f"FROM points WHERE {names.condition(parameters, scope)} AND step != {parameters.integer(NO_STEP)} "
        f"GROUP BY run HAVING countIf({there}) > 0 ORDER BY run"
    )
