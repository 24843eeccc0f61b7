"""Which experiments and runs are in a project."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runstream_protocols.kit.entities import Entity
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place
from runstream_protocols.ubiops.side import UbiopsSide
from runstream_query.errors import LimitExceeded
from runstream_query.filters.tree import And, Compare, Expression, Field
from runstream_query.repositories.projects import ExperimentRecord
from runstream_query.repositories.runs import RunOrder

#: What UbiOps' client says of an experiment beyond its description.
EXPERIMENT: Final = "experiment"


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment of Runstream. `entity`: what this client said of it; None of one that others made."""

    place: Place
    record: ExperimentRecord
    entity: Entity | None

    @property
    def name(self) -> str:
        return self.record.experiment


async def experiments_in(side: UbiopsSide, place: Place, name: str | None = None) -> list[ExperimentRecord]:
    """Return the experiments of a project, by name; or the one with a name."""
    context = side.context
    return await context.repositories.projects.experiments(
        context.scope, place.workspace, place.project, name, text_bytes=context.settings.max_text_bytes
    )


async def require_experiment(side: UbiopsSide, place: Place, name: str) -> Experiment:
    """Return an experiment. Raises Refused (404)."""
    records = await experiments_in(side, place, name)
    if not records:
        raise no_experiment(place, name)
    return Experiment(place, records[0], await side.entities.find(place.pair, EXPERIMENT, name))


def no_experiment(place: Place, name: str) -> Refused:
    """Return the refusal of a request about an experiment that is not there."""
    detail = f"{place.record_key} has no experiment {name[:100]!r}: create it with experiments_create"
    return Refused(detail, status=404)


async def runs_of(side: UbiopsSide, place: Place, experiment: str, within: Sequence[Expression] = ()) -> list[str]:
    """Return the ids of an experiment's runs that fulfil all of `within`, the newest first. Raises LimitExceeded."""
    context = side.context
    conditions = (
        Compare(Field("workspace"), "=", place.workspace),
        Compare(Field("project"), "=", place.project),
        Compare(Field("experiment"), "=", experiment),
        Compare(Field("deleted"), "=", False),
        *within,
    )
    most = context.settings.max_page
    order = RunOrder("created", descending=True)
    found = await context.repositories.runs.matching(context.scope, And(conditions), context.clock(), order, most + 1)
    if len(found) > most:
        raise LimitExceeded(
            f"the experiment {experiment!r} has more than {most} such runs, which is the limit of one request "
            "(RUNSTREAM_QUERY_MAX_PAGE): ask for those of a time (start_date, end_date)",
            limit="max_page",
            value=most,
        )
    return found
