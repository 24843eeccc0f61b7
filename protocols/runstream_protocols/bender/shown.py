"""Trials as Bender's client reads them: the runs of an algorithm, whoever logged them."""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from runstream_model.search.dimensions import is_number
from runstream_protocols.bender.models import ShownTrial
from runstream_protocols.bender.side import Algo
from runstream_query.filters.tree import And, Compare, Expression, Field
from runstream_query.http.context import Context
from runstream_query.repositories.attributes import Kind
from runstream_query.repositories.reader import rows_in_slices
from runstream_query.repositories.runs import RunOrder, RunRecord

#: Other values of a run that Bender's client gives to it.
WEIGHT: Final = "weight"
COMMENT: Final = "comment"
_NEWEST_FIRST: Final = RunOrder("created", descending=True)


@dataclass(frozen=True, slots=True)
class KnownTrial:
    """A run of an algorithm: its hyperparameters and the last value of each metric, as far as it has them."""

    run: RunRecord
    parameters: dict[str, Any]
    results: dict[str, float]
    others: dict[str, Any]

    @property
    def created(self) -> datetime:
        """Return when it began."""
        return self.run.created_at


def of_algo(algo: Algo) -> Expression:
    """Return the filter of its trials: they are in its experiment, and in the group of its name."""
    place = algo.experiment.place
    return And(
        (
            Compare(Field("workspace"), "=", place.workspace),
            Compare(Field("project"), "=", place.project),
            Compare(Field("experiment"), "=", place.experiment),
            Compare(Field("group"), "=", algo.name),
            Compare(Field("deleted"), "=", False),
        )
    )


async def ids_of_trials(context: Context, algo: Algo, limit: int, offset: int = 0) -> list[str]:
    """Return the ids of its trials, the newest first."""
    return await context.repositories.runs.matching(
        context.scope, of_algo(algo), context.clock(), _NEWEST_FIRST, limit, offset
    )


async def trials_of(context: Context, algo: Algo, limit: int, offset: int = 0) -> list[KnownTrial]:
    """Return its trials, the newest first."""
    ids = await ids_of_trials(context, algo, limit, offset)
    if not ids:
        return []
    runs = await context.repositories.runs.shown(context.scope, ids, context.clock())
    values = await _values_of(context, algo, ids)
    results = await _results_of(context, algo, ids)
    return [
        KnownTrial(one, values["parameter", one.run], results[one.run], values["other", one.run])
        for one in runs.values()
    ]


async def _values_of(context: Context, algo: Algo, ids: Sequence[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return (kind, run) -> its values by name, the hyperparameters in the order of the algorithm."""
    names = algo.hyperparameters
    kinds = (
        [Kind("parameter", names), Kind("other", (WEIGHT, COMMENT))] if names else [Kind("other", (WEIGHT, COMMENT))]
    )
    cells = await context.repositories.attributes.cells(context.scope, ids, kinds)
    places = {name: place for place, name in enumerate(names)}
    found: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for cell in sorted(cells, key=lambda cell: places.get(cell.name, 0)):
        found[cell.kind, cell.run][cell.name] = json.loads(cell.value)
    return found


async def _results_of(context: Context, algo: Algo, ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return run -> the last value of each metric of the experiment that is a finite number."""
    names = list(algo.experiment.metrics)
    limit = context.settings.max_page * len(names)
    table = await context.repositories.summaries.of_runs(context.scope, ids, names, limit)
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows_in_slices(table.select(["run", "metric", "last"])):
        # Names are taken for globs, which may find others.
        if row["metric"] in algo.experiment.metrics and math.isfinite(row["last"]):
            found[row["run"]][row["metric"]] = row["last"]
    return found


def weight_of(trial: KnownTrial) -> float:
    """Return how much a trial counts: 1 where its run says nothing of it, or something else."""
    given = trial.others.get(WEIGHT, 1)
    return float(given) if is_number(given) and given >= 0 else 1.0


def shown_trial(algo: Algo, trial: KnownTrial) -> ShownTrial:
    """Return a trial as the client reads it."""
    return ShownTrial(
        id=trial.run.run,
        algo=algo.id,
        algo_name=algo.name,
        experiment=algo.experiment.id,
        owner=trial.run.user,
        parameters=trial.parameters,
        results={name: trial.results.get(name) for name in algo.experiment.metrics},
        weight=trial.others.get(WEIGHT, 1),
        comment=trial.others.get(COMMENT),
        created=trial.created,
        modified=trial.run.ended_at or trial.run.started_at,
    )
