"""Handlers of projects and experiments."""

from runstream.events.control import ExperimentCreated, ProjectCreated
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place, checked, key_of_project, place_of
from runstream_protocols.mlaide.models import (
    IN_PROGRESS,
    ShownExperiment,
    ShownExperiments,
    ShownProject,
    ShownProjects,
)
from runstream_protocols.mlaide.side import MlaideSide
from runstream_query.http.context import Context
from runstream_query.http.details import projects_of
from runstream_query.repositories.projects import ExperimentRecord
from runstream_query.responses import Project
from runstream_service.routing import Call


async def projects(side: MlaideSide, call: Call[object]) -> ShownProjects:
    """Return all projects, by workspace and name."""
    return ShownProjects(items=[_project(one) for one in await projects_of(side.context, None)])


async def project(side: MlaideSide, call: Call[object]) -> ShownProject:
    """Return a project."""
    place = place_of(call.path["project_key"])
    for one in await projects_of(side.context, place.workspace):
        if one.project == place.project:
            return _project(one)
    raise Refused(f"there is no project {place.record_key}: it is there with its first run", status=404)


async def create_project(side: MlaideSide, call: Call[object], payload: Payload) -> ShownProject:
    """Create a project, which is refused if there is one with the key."""
    place, name = place_of(payload.text("key")), payload.optional("name")
    recorder = side.recorder
    await recorder.require(place.record_key)
    if await recorder.lookup.project_exists(place.workspace, place.project):
        raise Refused(f"there is a project {place.record_key} already: give another key")
    key = key_of_project(place.workspace, place.project)
    description = name if name and name != key else ""
    created = ProjectCreated(
        at_us=recorder.stamp(), workspace=place.workspace, project=place.project, description=description
    )
    await recorder.record(place.record_key, payload.content, [created])
    return ShownProject(key=key, name=key)


async def experiments(side: MlaideSide, call: Call[object]) -> ShownExperiments:
    """Return the experiments of a project, by name."""
    found = await _found(side.context, place_of(call.path["project_key"]))
    return ShownExperiments(items=[_experiment(one) for one in found])


async def experiment(side: MlaideSide, call: Call[object]) -> ShownExperiment:
    """Return an experiment. The client takes a 404 for one that is not there yet, which it creates then."""
    place = place_of(call.path["project_key"])
    key = checked("experiment", call.path["experiment_key"])
    found = await _found(side.context, place, key)
    if not found:
        raise no_experiment(place, key, 404)
    return _experiment(found[0])


async def create_experiment(side: MlaideSide, call: Call[object], payload: Payload) -> ShownExperiment:
    """Create an experiment. One that is there stays: two programs that begin together both find none."""
    recorder, place = side.recorder, place_of(call.path["project_key"])
    await recorder.require(place.record_key)
    key = checked("experiment", payload.text("key"))
    if (name := payload.optional("name")) not in (None, key):
        raise Refused(f"name is {name[:100]!r}: an experiment is called as its key here, leave the name out")
    if (status := payload.optional("status")) not in (None, IN_PROGRESS):
        raise Refused(f"status is {status[:100]!r}: experiments are {IN_PROGRESS} here, their runs have the status")
    created = ExperimentCreated(
        at_us=recorder.stamp(), workspace=place.workspace, project=place.project, experiment=key
    )
    positions = await recorder.record(place.record_key, payload.content, [created], wait=False)
    await side.require_found(positions)
    side.experiments.add(place, key)
    return ShownExperiment(key=key, name=key)


async def require_experiment(side: MlaideSide, place: Place, key: str) -> None:
    """Refuse an experiment that is not there. One that was created here a moment ago may be on its way."""
    if (place, key) in side.experiments or await _found(side.context, place, key):
        return
    await side.settle()
    if not await _found(side.context, place, key):
        raise no_experiment(place, key, 400)


def no_experiment(place: Place, key: str, status: int) -> Refused:
    """Return the refusal of a request about an experiment that is not there."""
    detail = (
        f"{place.record_key} has no experiment {key[:140]!r}: create it, or start the run with auto_create_experiment"
    )
    return Refused(detail, status=status)


async def _found(context: Context, place: Place, experiment: str | None = None) -> list[ExperimentRecord]:
    return await context.repositories.projects.experiments(
        context.scope, place.workspace, place.project, experiment, text_bytes=context.settings.max_text_bytes
    )


def _project(found: Project) -> ShownProject:
    key = key_of_project(found.workspace, found.project)
    return ShownProject(key=key, name=key, created_at=found.created_at)


def _experiment(found: ExperimentRecord) -> ShownExperiment:
    return ShownExperiment(key=found.experiment, name=found.experiment, created_at=found.created_at)
