"""The handler that says what to try next."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream_model.search.dimensions import Coordinate
from runstream_model.search.spaces import Space
from runstream_model.search.suggesting import MAX_TRIALS, METHODS, Method, Trial, Wanted, coordinates, suggest
from runstream_protocols.bender.keys import SUGGESTIONS, suggestions_key
from runstream_protocols.bender.models import Suggestion
from runstream_protocols.bender.shown import trials_of, weight_of
from runstream_protocols.bender.side import Algo, BenderSide, missing
from runstream_protocols.bender.spaces import space_in
from runstream_protocols.bender.trials import unknown_metric
from runstream_protocols.kit.entities import Entity, EntityChanged, EntityExists, EntityMissing
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_service.problems import RETRY_AFTER_S, Problem
from runstream_service.routing import Call

_DEFAULT_METHOD: Final[Method] = "parzen_estimator"
_DEFAULT_MINIMUM: Final = 30
_MAX_MINIMUM: Final = 1_000
#: Suggestions of which no trial was reported: the last so many keep others from the same place.
_MAX_UNDER_WAY: Final = 50
#: Other gateways may take the number that this one wanted to take.
_ATTEMPTS: Final = 20
#: A number that a client sends back as it came has the same place, as near as a float can tell.
_SAME: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Counted:
    """How many suggestions were made, and where those are that nobody reported yet."""

    entity: Entity | None
    index: int
    under_way: Sequence[Sequence[Coordinate]]


async def suggestion(side: BenderSide, call: Call[object], payload: Payload) -> Suggestion:
    """Return values to try next. No two requests get the same number of a suggestion, at whichever gateways: each takes
    it by replacing the count that it read. What was suggested and not reported is known to the next."""
    algo = await side.algo(call.path["algo"])
    await side.recorder.require(algo.experiment.place.record_key)
    kind, wanted = _wanted(algo, payload)
    space = space_in(algo.entity.properties["parameters"])
    if space is None:
        raise Refused("nothing can be suggested: a hyperparameter has no search_space; create the algo anew with all")
    async with side.turn(algo.id):
        finished = await _finished(side, algo, wanted.metric, kind)
        for _ in range(_ATTEMPTS):
            counted = await _counted(side, algo)
            async with side.searching:
                found = await asyncio.to_thread(_next, space, finished, counted, wanted, algo.id)
            if await _taken(side, algo, counted, found.under_way):
                return Suggestion(found.values)
    detail = "others took each suggestion first: send the request again"
    raise Problem(503, "busy", "Too many ask at once", detail, retry_after_s=RETRY_AFTER_S)


@dataclass(frozen=True, slots=True)
class _Request:
    metric: str
    method: Method
    minimum: int


@dataclass(frozen=True, slots=True)
class _Next:
    """A suggestion, and where those are that nobody reported when it is made."""

    values: dict[str, Any]
    under_way: list[list[Coordinate]]


def _wanted(algo: Algo, payload: Payload) -> tuple[str, _Request]:
    """The type of the metric, and what is asked for. Raises Refused."""
    metric = payload.fields.get("metric")
    kind = algo.experiment.metrics.get(metric) if isinstance(metric, str) else None
    if kind is None or not isinstance(metric, str):
        raise unknown_metric(algo, metric)
    given = payload.optional("optimizer") or _DEFAULT_METHOD
    method = next((one for one in METHODS if one == given), None)
    if method is None:
        raise Refused(f"optimizer is {given[:100]!r}: give one of {', '.join(METHODS)}", name="optimizer")
    minimum = payload.fields.get("minimum_observations", _DEFAULT_MINIMUM)
    if not isinstance(minimum, int) or isinstance(minimum, bool) or not 1 <= minimum <= _MAX_MINIMUM:
        detail = f"minimum_observations is {str(minimum)[:100]}: give a whole number from 1 to {_MAX_MINIMUM}"
        raise Refused(detail, name="minimum_observations")
    return kind, _Request(metric, method, minimum)


async def _finished(side: BenderSide, algo: Algo, metric: str, kind: str) -> list[Trial]:
    """The newest trials that have the metric, the oldest first: the less their loss, the better."""
    sign = -1.0 if kind == "reward" else 1.0
    found = await trials_of(side.context, algo, min(MAX_TRIALS, side.context.settings.max_page))
    return [
        Trial(one.parameters, sign * one.results[metric], weight_of(one))
        for one in reversed(found)
        if metric in one.results
    ]


async def _counted(side: BenderSide, algo: Algo) -> Counted:
    found = await side.entities.find(algo.entity.place, SUGGESTIONS, suggestions_key(algo.entity.name))
    if found is None or found.properties["algo"] != algo.id:
        # Somebody asked for one while an earlier algorithm of the name was deleted.
        return Counted(found, 0, ())
    return Counted(found, found.properties["next"], found.properties["under_way"])


def _next(space: Space, finished: Sequence[Trial], counted: Counted, request: _Request, series: str) -> _Next:
    reported = [places for trial in finished if (places := coordinates(space, trial.values)) is not None]
    left = [list(places) for places in counted.under_way if not any(_same(places, other) for other in reported)]
    under_way = [Trial(_values(space, places), None) for places in left]
    wanted = Wanted(series, counted.index, request.method, request.minimum)
    values = suggest(space, [*finished, *under_way], wanted)
    return _Next(values, [*left, list(coordinates(space, values) or ())][-_MAX_UNDER_WAY:])


def _values(space: Space, places: Sequence[Coordinate]) -> dict[str, Any]:
    return {one.name: one.value(place) for one, place in zip(space.dimensions, places, strict=True)}


def _same(one: Sequence[Coordinate], other: Sequence[Coordinate]) -> bool:
    return all(math.isclose(a, b, rel_tol=0.0, abs_tol=_SAME) for a, b in zip(one, other, strict=True))


async def _taken(side: BenderSide, algo: Algo, counted: Counted, under_way: list[list[Coordinate]]) -> bool:
    """Take the number of a suggestion; False: somebody else has it. Raises Refused where the algorithm is gone."""
    properties = {"algo": algo.id, "next": counted.index + 1, "under_way": under_way}
    name = suggestions_key(algo.entity.name)
    try:
        if counted.entity is None:
            await side.entities.create(algo.entity.place, SUGGESTIONS, name, properties)
        else:
            await side.entities.replace(counted.entity, properties)
    except (EntityChanged, EntityExists):
        return False
    except EntityMissing:
        raise missing("algo", algo.id) from None
    return True
