"""Handlers of artifacts of lineage: what something is that components make or use, and where it is."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

from runstream.events.moments import micros_of
from runstream.events.names import project_key
from runstream_protocols.kit.statements import digest
from runstream_protocols.sagemaker.associations import associations_of
from runstream_protocols.sagemaker.errors import invalid, not_found
from runstream_protocols.sagemaker.lineage_models import (
    ArtifactArn,
    ArtifactReference,
    ArtifactSource,
    CreateArtifactRequest,
    DeleteArtifactRequest,
    DescribeArtifactResponse,
    ListArtifactsRequest,
    ListArtifactsResponse,
    ListedArtifact,
    UpdateArtifactRequest,
)
from runstream_protocols.sagemaker.names import ARTIFACT, PROJECT, WORKSPACE
from runstream_protocols.sagemaker.paging import page_by
from runstream_protocols.sagemaker.shown import seconds
from runstream_protocols.sagemaker.side import SagemakerSide
from runstream_protocols.sagemaker.things import Thing, Things

_KEY: Final = project_key(WORKSPACE, PROJECT)
#: Of 160 bits none is drawn twice.
_ID_BYTES: Final = 16


async def create(side: SagemakerSide, request: CreateArtifactRequest) -> ArtifactArn:
    """Create an artifact, once for each call of the client. Several may be of one source."""
    await side.recorder.require(_KEY)
    identity = side.invocation or uuid.uuid4().hex
    name = digest(_ID_BYTES, identity.encode(), request.source.source_uri.encode()).hex()
    properties = {
        "artifact_name": request.artifact_name,
        "source": request.source.model_dump(),
        "type": request.artifact_type,
        "properties": request.properties,
        "tags": {tag.key: tag.value for tag in request.tags},
    }
    await Things(side).create(ARTIFACT, name, properties)
    return ArtifactArn(artifact_arn=side.arn(ARTIFACT, name))


async def describe(side: SagemakerSide, request: ArtifactReference) -> DescribeArtifactResponse:
    """Return an artifact."""
    found = await Things(side).get(ARTIFACT, request.artifact_arn)
    return DescribeArtifactResponse(**_members(side, found), properties=properties_of(found)["properties"])


async def update(side: SagemakerSide, request: UpdateArtifactRequest) -> ArtifactArn:
    """Change the name of an artifact, or some of its properties."""
    things = Things(side)
    await side.recorder.require(_KEY)
    found = await things.get(ARTIFACT, request.artifact_arn)
    kept = {**properties_of(found)["properties"], **request.properties}
    changes: dict[str, Any] = {
        "properties": {name: value for name, value in kept.items() if name not in request.properties_to_remove}
    }
    if request.artifact_name is not None:
        changes["artifact_name"] = request.artifact_name
    await things.change(found, changes)
    return ArtifactArn(artifact_arn=found.arn(side.region))


async def delete(side: SagemakerSide, request: DeleteArtifactRequest) -> ArtifactArn:
    """Delete an artifact that nothing is associated with any more. Its file stays."""
    things = Things(side)
    await side.recorder.require(_KEY)
    if (request.artifact_arn is None) is (request.source is None):
        raise invalid("an artifact is deleted by its ArtifactArn or by its Source: give one of them")
    if request.artifact_arn is not None:
        found = await things.get(ARTIFACT, request.artifact_arn)
    else:
        assert request.source is not None
        found = await _of_source(things, request.source)
    held = await associations_of(side, ARTIFACT, found.name)
    if held:
        raise invalid(f"Artifact {found.name!r} has {len(held)} associations: delete them first")
    await things.delete(found)
    return ArtifactArn(artifact_arn=found.arn(side.region))


async def list_artifacts(side: SagemakerSide, request: ListArtifactsRequest) -> ListArtifactsResponse:
    """Return a page of artifacts by the time of their creation."""
    found = await Things(side).all(ARTIFACT)
    wanted = (one for one in found if _is_wanted(properties_of(one), request))
    some, token = page_by(wanted, lambda one: micros_of(one.created_at), request)
    return ListArtifactsResponse(
        artifact_summaries=[ListedArtifact(**_members(side, one)) for one in some], next_token=token
    )


def properties_of(artifact: Thing) -> Mapping[str, Any]:
    """Return what an artifact was created with."""
    assert artifact.entity is not None
    return artifact.entity.properties


async def _of_source(things: Things, source: ArtifactSource) -> Thing:
    wanted = source.model_dump()
    found = [one for one in await things.all(ARTIFACT) if properties_of(one)["source"] == wanted]
    if not found:
        raise not_found("Artifact of the source", source.source_uri)
    if len(found) > 1:
        raise invalid(f"{len(found)} artifacts are of {source.source_uri[:200]!r}: give the ArtifactArn of one")
    return found[0]


def _is_wanted(properties: Mapping[str, Any], request: ListArtifactsRequest) -> bool:
    uri, kind = request.source_uri, request.artifact_type
    return uri in (None, properties["source"]["source_uri"]) and kind in (None, properties["type"])


def _members(side: SagemakerSide, found: Thing) -> dict[str, Any]:
    properties = properties_of(found)
    return {
        "artifact_arn": found.arn(side.region),
        "artifact_name": properties["artifact_name"],
        "source": ArtifactSource.model_validate(properties["source"]),
        "artifact_type": properties["type"],
        "creation_time": seconds(found.created_at),
        "last_modified_time": seconds(found.updated_at),
    }
