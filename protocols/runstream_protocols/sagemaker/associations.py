"""Handlers of associations: which artifact a component made or used.

A file in a bucket of this server becomes a file of the run by it: the client's charts belong to a component in no other
way.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runstream.events.control import AssetDeleted
from runstream.events.moments import micros_of
from runstream.events.names import project_key
from runstream_protocols.kit.entities import Entities, Entity, EntityExists, EntityRefused
from runstream_protocols.kit.statements import digest
from runstream_protocols.kit.values import asset_name
from runstream_protocols.sagemaker.addresses import (
    INPUT,
    OUTPUT,
    address_of,
    asset_id,
    asset_of,
    metadata_of,
    object_at,
)
from runstream_protocols.sagemaker.errors import AwsError, invalid, not_found
from runstream_protocols.sagemaker.lineage_models import (
    AddAssociationRequest,
    AssociatedArns,
    AssociationReference,
    ListAssociationsRequest,
    ListAssociationsResponse,
    ListedAssociation,
)
from runstream_protocols.sagemaker.names import (
    ARTIFACT,
    COMPONENT,
    EXPERIMENT,
    PROJECT,
    TRIAL,
    WORKSPACE,
    arn_of,
    component_of_run,
    kind_of_arn,
    name_in,
)
from runstream_protocols.sagemaker.paging import Key, page_by
from runstream_protocols.sagemaker.shown import seconds
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.things import KINDS, PLACE, Thing, Things

_KEY: Final = project_key(WORKSPACE, PROJECT)
_ENTITY_KIND: Final = "lineage-association"
_PAGE: Final = 5_000
_ID_BYTES: Final = 16
#: What the kinds of files begin with that only an association makes files of a run.
_KIND: Final = "sagemaker-"
_PLAIN_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,60}\Z", re.ASCII)
_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class End:
    """One of both that are associated. `run`: of a component; `artifact`: of lineage. `name` is how it is shown."""

    kind: str
    id: str
    name: str
    type: str
    run: str | None = None
    artifact: Thing | None = None


@dataclass(frozen=True, slots=True)
class Association:
    """An association as it is kept. Ends are KIND/ID, in small letters."""

    name: str
    source: str
    destination: str
    type: str | None
    types: tuple[str, str]
    names: tuple[str, str]
    created_at: datetime
    entity: Entity


async def add(side: SagemakerSide, request: AddAssociationRequest) -> AssociatedArns:
    """Associate a component with an artifact, or two of either, once for each call of the client."""
    await side.recorder.require(_KEY)
    source, destination = await _end(side, request.source_arn), await _end(side, request.destination_arn)
    references = _reference(source.kind, source.id), _reference(destination.kind, destination.id)
    properties = {
        "source": references[0],
        "destination": references[1],
        "type": request.association_type,
        "types": [source.type, destination.type],
        "names": [source.name, destination.name],
        "invocation": side.invocation,
    }
    try:
        await Entities(side.recorder, side.context).create(PLACE, _ENTITY_KIND, _name(*references), properties)
    except EntityExists as exists:
        invocation = None if exists.entity is None else exists.entity.properties["invocation"]
        if not invocation or invocation != side.invocation:
            raise invalid("the association already exists: delete it first, to make another one") from None
    await _show_file(side, source, destination)
    return _arns(side, source, destination)


async def delete(side: SagemakerSide, request: AssociationReference) -> AssociatedArns:
    """Delete an association, and with it the file that it made one of the run."""
    await side.recorder.require(_KEY)
    source, destination = _given(request.source_arn), _given(request.destination_arn)
    entities = Entities(side.recorder, side.context)
    found = await entities.find(PLACE, _ENTITY_KIND, _name(_reference(*source), _reference(*destination)))
    if found is None:
        raise not_found("Association of", f"{request.source_arn} with {request.destination_arn}")
    ends = await _end(side, request.source_arn), await _end(side, request.destination_arn)
    try:
        await entities.delete(found)
    except EntityRefused:
        raise AwsError("ConflictException", "the association was changed meanwhile: look at it again") from None
    await _hide_file(side, *ends)
    return _arns(side, *ends)


async def list_associations(side: SagemakerSide, request: ListAssociationsRequest) -> ListAssociationsResponse:
    """Return a page of associations."""
    source, destination = (
        None if arn is None else _reference(*_given(arn)) for arn in (request.source_arn, request.destination_arn)
    )
    found = await _all(side, "" if source is None else _hash(source))
    wanted = [
        one
        for one in found
        if source in (None, one.source)
        and destination in (None, one.destination)
        and request.association_type in (None, one.type)
        and request.source_type in (None, one.types[0])
        and request.destination_type in (None, one.types[1])
    ]
    keys = {"SourceArn": lambda one: one.source, "DestinationArn": lambda one: one.destination}
    keys |= {"SourceType": lambda one: one.types[0], "DestinationType": lambda one: one.types[1]}

    def key(one: Association) -> Key:
        return keys[request.sort_by](one) if request.sort_by in keys else micros_of(one.created_at)

    some, token = page_by(wanted, key, request)
    return ListAssociationsResponse(association_summaries=[_shown(side, one) for one in some], next_token=token)


async def associations_of(side: SagemakerSide, kind: str, name: str) -> list[Association]:
    """Return the associations in which a thing is, as the source or the destination."""
    reference = _reference(kind, name)
    return [one for one in await _all(side, "") if reference in (one.source, one.destination)]


async def _show_file(side: SagemakerSide, source: End, destination: End) -> None:
    """Make the artifact a file of the component's run. One that the component has as its own artifact is that file
    already: where it was stored anew since, the file is what is stored now."""
    found = _file_of(source, destination)
    if found is None:
        return
    run, artifact, kind = found
    await side.recorder.require(run)
    assert artifact.entity is not None
    properties = artifact.entity.properties
    address, name = properties["source"]["source_uri"], properties["artifact_name"] or artifact.name
    own = await side.context.repositories.assets.of_run(side.context.scope, run, kind)
    same = next((one for one in own if one.name == asset_name(name) and address_of(one) == address), None)
    about = {"artifact_type": properties["type"]}
    if same is not None:
        stored = await object_at(side, address)
        if stored is None or stored.sha256 == same.sha256:
            return
        event = await asset_of(side, run, kind, name, address, metadata_of(same))
    else:
        event = await asset_of(side, run, kind_of_type(properties["type"]), name, address, about)
    await side.recorder.record(run, side.content, [event])


async def _hide_file(side: SagemakerSide, source: End, destination: End) -> None:
    found = _file_of(source, destination)
    if found is None:
        return
    run, artifact, _ = found
    await side.recorder.require(run)
    assert artifact.entity is not None
    properties = artifact.entity.properties
    kind = kind_of_type(properties["type"])
    asset = asset_id(run, kind, properties["artifact_name"] or artifact.name)
    own = await side.context.repositories.assets.of_run(side.context.scope, run, kind)
    if any(one.asset == asset for one in own):
        await side.recorder.record(run, side.content, [AssetDeleted(at_us=side.recorder.stamp(), asset_id=asset)])


def _file_of(source: End, destination: End) -> tuple[str, Thing, str] | None:
    """Return the run, the artifact, and the kind that files have which the run made, or used; None where the
    association is none of a component and an artifact."""
    if source.run is not None and destination.artifact is not None:
        return source.run, destination.artifact, OUTPUT
    if destination.run is not None and source.artifact is not None:
        return destination.run, source.artifact, INPUT
    return None


def kind_of_type(artifact_type: str) -> str:
    """Return the kind of the file that an artifact of a type is: `ROCCurve` is `sagemaker-roc-curve`. A type that is no
    word (a media type) tells nothing."""
    if not _PLAIN_TYPE.match(artifact_type):
        return f"{_KIND}artifact"
    return f"{_KIND}{_WORD.sub('-', artifact_type).lower()}"


async def _end(side: SagemakerSide, arn: str) -> End:
    """Return what is at one end. Raises AwsError where it is not there."""
    kind, name = _given(arn)
    if kind == COMPONENT:
        run = await side.component(arn)
        component = component_of_run(run.run)
        return End(kind, component.lower(), component, "TrialComponent", run=run.run)
    found = await Things(side).get(kind, arn)
    if kind != ARTIFACT:
        return End(kind, name.lower(), found.name, KINDS[kind])
    assert found.entity is not None
    properties = found.entity.properties
    return End(kind, found.name, properties["artifact_name"] or found.name, properties["type"], artifact=found)


def _given(arn: str) -> tuple[str, str]:
    """Return the kind and the name in an ARN. Raises AwsError for things that cannot be associated here."""
    kind = kind_of_arn(arn)
    if kind not in (COMPONENT, ARTIFACT, EXPERIMENT, TRIAL):
        raise invalid(f"{arn[:200]!r} cannot be associated: give the ARN of a trial component or an artifact")
    return kind, name_in(arn, kind).lower()


async def _all(side: SagemakerSide, prefix: str) -> list[Association]:
    entities, found = Entities(side.recorder, side.context), list[Entity]()
    some = await entities.list(PLACE, _ENTITY_KIND, prefix, limit=_PAGE)
    found += some
    while len(some) == _PAGE:
        some = await entities.list(PLACE, _ENTITY_KIND, prefix, after=(found[-1].name, found[-1].id), limit=_PAGE)
        found += some
    return await side.context.off_loop(lambda: list(map(_association, found)))


def _association(entity: Entity) -> Association:
    properties = entity.properties
    (source_type, destination_type), (source, destination) = properties["types"], properties["names"]
    return Association(
        entity.name,
        properties["source"],
        properties["destination"],
        properties["type"],
        (source_type, destination_type),
        (source, destination),
        entity.created_at,
        entity,
    )


def _shown(side: SagemakerSide, one: Association) -> ListedAssociation:
    return ListedAssociation(
        source_arn=_arn(side, one.source),
        destination_arn=_arn(side, one.destination),
        source_type=one.types[0],
        destination_type=one.types[1],
        association_type=one.type,
        source_name=one.names[0],
        destination_name=one.names[1],
        creation_time=seconds(one.created_at),
    )


def _arns(side: SagemakerSide, source: End, destination: End) -> AssociatedArns:
    return AssociatedArns(
        source_arn=arn_of(source.kind, source.id, side.region),
        destination_arn=arn_of(destination.kind, destination.id, side.region),
    )


def _arn(side: SagemakerSide, reference: str) -> str:
    kind, _, name = reference.partition("/")
    return arn_of(kind, name, side.region)


def _reference(kind: str, name: str) -> str:
    return f"{kind}/{name.lower()}"


def _name(source: str, destination: str) -> str:
    """Names begin with their source, by which most lists are made."""
    return f"{_hash(source)}/{_hash(destination)}"


def _hash(reference: str) -> str:
    return digest(_ID_BYTES, reference.encode()).hex()
