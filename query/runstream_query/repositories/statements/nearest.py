"""Statements for the logged points that are nearest to a place: what a chart shows under the cursor."""

from typing import Final

from runstream.events.names import NO_EPOCH, NO_STEP
from runstream_query.repositories.arguments import Range
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.series import Names, points_condition
from runstream_service.access import Scope

_PLACES: Final = {"step": "step", "time": "toUnixTimestamp64Micro(at)"}


def nearest_statement(
    names: Names, wanted: Range, axis: str, to: int, most: int, parameters: Parameters, scope: Scope
) -> str:
    """Of each series the `most` points that are nearest to the place `to` on an axis (step, or time in microseconds
    since 1970 UTC): run, metric, step, at, value, writer and epoch, in order. Of two points that are as near the one at
    the lower place comes first, then whichever comes first in the order of points."""
    place = _PLACES[axis]
    condition = points_condition(names, wanted, parameters, scope)
    if axis == "step":
        condition += f" AND step != {parameters.integer(NO_STEP)}"
    without = parameters.integer(NO_EPOCH)
    # The difference of two int64 needs one bit more. No NULL may stand in what is compared.
    distance = f"toUInt64(abs(toInt128({place}) - {parameters.integer(to)}))"
    one = f"({distance}, {place}, step, at, writer, seq, value, ifNull(epoch, {without}))"
    return (
        f"SELECT run, metric, one.3 AS step, one.4 AS at, one.7 AS value, one.5 AS writer, "
        f"nullIf(one.8, {without}) AS epoch FROM (SELECT run, metric, "
        f"arrayJoin(groupArraySorted({most:d})({one})) AS one FROM points WHERE {condition} GROUP BY run, metric) "
        "ORDER BY run, metric, step, at, writer, one.6, value"
    )
