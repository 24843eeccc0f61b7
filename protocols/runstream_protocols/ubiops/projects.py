"""Handlers of projects, and of what every project has: the deployment of trainings, environments, buckets."""

from typing import Final

from runstream.events.control import ProjectCreated
from runstream.events.names import project_id
from runstream_protocols.kit.entities import Entity, EntityExists
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.places import Place, key_of_project, place_of
from runstream_protocols.ubiops.models import (
    Bucket,
    Buckets,
    Deployment,
    Environment,
    Environments,
    EnvironmentTag,
    EnvironmentTags,
    Projects,
    ShownProject,
    Template,
    Templates,
)
from runstream_protocols.ubiops.presets import (
    DEFAULT_BUCKET,
    DEPLOYMENT,
    ENVIRONMENT_TAG,
    ENVIRONMENTS,
    TEMPLATE_ID,
    require_deployment,
    require_environment,
)
from runstream_protocols.ubiops.side import UbiopsSide, place_in, place_to_change, require_version
from runstream_protocols.ubiops.values import description_of, labels_of, name_of
from runstream_query.http.details import projects_of
from runstream_query.responses import Project
from runstream_service.routing import Call

_BUCKET: Final = "bucket"


async def projects(side: UbiopsSide, call: Call[object]) -> Projects:
    """Return all projects, by workspace and name."""
    require_version(call)
    return Projects([_project(one) for one in await projects_of(side.context, None)])


async def project(side: UbiopsSide, call: Call[object]) -> ShownProject:
    """Return a project."""
    place = place_in(call)
    for one in await projects_of(side.context, place.workspace):
        if one.project == place.project:
            return _project(one)
    raise Refused(f"there is no project {place.record_key}: it is there with its first experiment", status=404)


async def create_project(side: UbiopsSide, call: Call[object], payload: Payload) -> ShownProject:
    """Create a project, which is refused if there is one with the name."""
    require_version(call)
    place = place_of(payload.text("name"))
    recorder = side.recorder
    await recorder.require(place.record_key)
    if await recorder.lookup.project_exists(place.workspace, place.project):
        raise Refused(f"there is a project {place.record_key} already: give another name", status=409)
    created = ProjectCreated(at_us=recorder.stamp(), workspace=place.workspace, project=place.project)
    await recorder.record(place.record_key, payload.content, [created])
    return ShownProject(
        id=project_id(place.workspace, place.project), name=key_of_project(place.workspace, place.project)
    )


async def templates(side: UbiopsSide, call: Call[object]) -> Templates:
    """Return the one template of deployments."""
    require_version(call)
    return Templates([Template(id=TEMPLATE_ID, details={"name": DEPLOYMENT})])


async def deployment(side: UbiopsSide, call: Call[object]) -> Deployment:
    """Return the deployment of trainings, which every project has."""
    return _deployment(place_in(call))


async def create_deployment(side: UbiopsSide, call: Call[object], payload: Payload) -> Deployment:
    """Return the deployment of trainings: the client creates it where it does not know that it is there."""
    place = await place_to_change(side, call)
    require_deployment(payload.text("name"))
    return _deployment(place)


async def environments(side: UbiopsSide, call: Call[object]) -> Environments:
    """Return the environments, which are the same for all projects."""
    place_in(call)
    return Environments([_environment(name) for name in ENVIRONMENTS])


async def environment(side: UbiopsSide, call: Call[object]) -> Environment:
    """Return an environment."""
    place_in(call)
    return _environment(require_environment(call.path["environment"]))


async def environment_tags(side: UbiopsSide, call: Call[object]) -> EnvironmentTags:
    """Return the one tag of an environment."""
    place_in(call)
    return EnvironmentTags([_tag(require_environment(call.path["environment"]))])


async def environment_tag(side: UbiopsSide, call: Call[object]) -> EnvironmentTag:
    """Return the tag of an environment."""
    place_in(call)
    name = require_environment(call.path["environment"])
    if (tag := call.path["tag"]) != ENVIRONMENT_TAG:
        raise Refused(f"the environment {name} has no tag {tag[:80]!r}: it has {ENVIRONMENT_TAG} alone", status=404)
    return _tag(name)


async def buckets(side: UbiopsSide, call: Call[object]) -> Buckets:
    """Return the buckets of a project, by name."""
    place = place_in(call)
    found = {entity.name: _bucket(place, entity) for entity in await side.entities.list(place.pair, _BUCKET)}
    found.setdefault(DEFAULT_BUCKET, _default_bucket(place))
    return Buckets([found[name] for name in sorted(found)])


async def bucket(side: UbiopsSide, call: Call[object]) -> Bucket:
    """Return a bucket."""
    place = place_in(call)
    return await require_bucket(side, place, call.path["bucket"])


async def create_bucket(side: UbiopsSide, call: Call[object], payload: Payload) -> Bucket:
    """Create a bucket of this server's own; those of clouds are refused, with their credentials."""
    place = await place_to_change(side, call)
    name = name_of(_BUCKET, payload.text("name"))
    if payload.fields.get("credentials") or payload.optional("provider") not in (None, "ubiops"):
        raise Refused("a bucket is kept by this server: leave provider and credentials out")
    properties = {"description": description_of(payload) or "", "labels": labels_of(payload) or {}}
    if name == DEFAULT_BUCKET:
        raise _bucket_taken(place, name)
    try:
        return _bucket(place, await side.entities.create(place.pair, _BUCKET, name, properties))
    except EntityExists:
        raise _bucket_taken(place, name) from None


async def require_bucket(side: UbiopsSide, place: Place, name: str) -> Bucket:
    """Return a bucket; every project has the default one. Raises Refused (404)."""
    if name == DEFAULT_BUCKET:
        return _default_bucket(place)
    entity = await side.entities.find(place.pair, _BUCKET, name_of(_BUCKET, name))
    if entity is None:
        detail = f"{place.record_key} has no bucket {name!r}: create it, or use {DEFAULT_BUCKET}"
        raise Refused(detail, status=404)
    return _bucket(place, entity)


def _bucket_taken(place: Place, name: str) -> Refused:
    return Refused(f"{place.record_key} has a bucket {name!r} already: give another name", status=409)


def _project(found: Project) -> ShownProject:
    return ShownProject(
        id=project_id(found.workspace, found.project),
        name=key_of_project(found.workspace, found.project),
        creation_date=found.created_at,
    )


def _deployment(place: Place) -> Deployment:
    return Deployment(
        id=project_id(place.workspace, place.project), project=key_of_project(place.workspace, place.project)
    )


def _environment(name: str) -> Environment:
    return Environment(id=name, name=name, display_name=ENVIRONMENTS[name])


def _tag(environment: str) -> EnvironmentTag:
    return EnvironmentTag(id=f"{environment}-{ENVIRONMENT_TAG}", environment=environment)


def _default_bucket(place: Place) -> Bucket:
    project = key_of_project(place.workspace, place.project)
    return Bucket(id=DEFAULT_BUCKET, name=DEFAULT_BUCKET, project=project)


def _bucket(place: Place, entity: Entity) -> Bucket:
    return Bucket(
        id=entity.id,
        name=entity.name,
        project=key_of_project(place.workspace, place.project),
        description=entity.properties["description"],
        labels=entity.properties["labels"],
        creation_date=entity.created_at,
    )
