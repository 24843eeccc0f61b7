"""Which artifact and version a request is about, and appending events about one.

To ML Aide a name is one artifact of the project; here the type belongs to what an artifact is called. So the first
version of a name claims it for its type, by an entity, whose name the fold gives to one of several that ask. Later
versions of another type stand in the same artifact, and keep their type in their metadata.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream.events.artifacts import ArtifactEvent
from runstream.events.moments import micros_of
from runstream_model.artifact_state import NO_SUCH_ARTIFACT, NO_SUCH_VERSION
from runstream_protocols.kit.entities import Entity, EntityChanged, EntityExists, EntityMissing
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.outcomes import append_and_wait
from runstream_protocols.kit.places import Place, place_of
from runstream_protocols.mlaide.side import MlaideSide
from runstream_query.repositories.artifacts import ArtifactQuery, ArtifactRecord, VersionRecord
from runstream_service.lookup import ArtifactOutcome
from runstream_service.routing import Call

#: Members of metadata that begin so are ours; TYPE is the type of a version that is not of its artifact's.
RESERVED: Final = "@"
TYPE: Final = "@type"
_CLAIM: Final = "artifact name"
#: A request makes the artifact of the name that it claimed within this time.
_CLAIM_US: Final = 600_000_000
_LATEST: Final = "latest"
_ORDINAL: Final = re.compile(r"[1-9][0-9]{0,17}\Z", re.ASCII)
#: Artifacts of a project with one name: they differ in their type.
_MAX_NAMED: Final = 1_000
#: What the fold refuses, as sentences that say what to do.
_REFUSALS: Final = {
    "too many files": "it has as many files as a version may have: pack them into an archive, or begin a version",
    "version sealed": "its files never change, because another client made it: create a version, and add files to that",
    "artifact full": "the artifact has no room for more: delete old versions, or begin one under another name",
}


@dataclass(frozen=True, slots=True)
class Meant:
    """The version that a request is about."""

    place: Place
    artifact: ArtifactRecord
    version: VersionRecord

    @property
    def about(self) -> dict[str, Any]:
        """What events about its artifact say of it."""
        return about(self.place, self.artifact.artifact_type, self.artifact.name)


def about(place: Place, artifact_type: str, name: str) -> dict[str, Any]:
    """Return what events about an artifact say of it."""
    return {
        "workspace": place.workspace,
        "project": place.project,
        "artifact_type": artifact_type,
        "name": name,
    }


async def artifact_named(side: MlaideSide, place: Place, name: str) -> ArtifactRecord | None:
    """Return the artifact that a name means: of several, which differ in their type, the one of the type that claimed
    the name, else the oldest. None if there is none."""
    query = ArtifactQuery(place.workspace, place.project, None, name)
    found = await side.context.repositories.artifacts.page(side.context.scope, query, None, _MAX_NAMED)
    if len(found) < 2:
        return found[0] if found else None
    claim = await side.entities.find(place.pair, _CLAIM, name)
    claimed = None if claim is None else claim.properties.get("type")
    return min(found, key=lambda one: (one.artifact_type != claimed, one.created_at, one.artifact))


async def type_of_name(side: MlaideSide, place: Place, name: str, artifact_type: str) -> str:
    """Return the type of the artifact of this name. One that is not there gets `artifact_type`, unless somebody else
    claims the name for another at the same time."""
    artifact = await artifact_named(side, place, name)
    if artifact is not None:
        return artifact.artifact_type
    try:
        await side.entities.create(place.pair, _CLAIM, name, {"type": artifact_type})
    except EntityExists as error:
        return artifact_type if error.entity is None else await _claimed(side, error.entity, artifact_type)
    return artifact_type


async def _claimed(side: MlaideSide, claim: Entity, artifact_type: str) -> str:
    """The type of a name that is claimed and has no artifact: somebody makes that now. An old claim is of a request
    that ended between the two, or of an artifact that was deleted, and is taken over."""
    claimed = claim.properties.get("type")
    is_old = side.context.now_us() - micros_of(claim.updated_at) > _CLAIM_US
    if isinstance(claimed, str) and (claimed == artifact_type or not is_old):
        return claimed
    try:
        await side.entities.replace(claim, {"type": artifact_type})
    except EntityChanged as error:
        now = None if error.entity is None else error.entity.properties.get("type")
        return now if isinstance(now, str) else artifact_type
    except EntityMissing:
        pass
    return artifact_type


async def version_in(side: MlaideSide, call: Call[Any], stages: Sequence[str] | None = None) -> Meant:
    """Return the version that the path of a request means: by its number, or the latest, with `stages` of those that
    are in one of them. Raises Refused (404)."""
    place, name, given = place_of(call.path["project_key"]), call.path["artifact_name"], call.path["artifact_version"]
    return await version_named(side, place, name, given, stages)


async def version_named(
    side: MlaideSide, place: Place, name: str, given: str, stages: Sequence[str] | None = None
) -> Meant:
    """Return the version with a number, or the latest. Raises Refused (404)."""
    artifacts, scope = side.context.repositories.artifacts, side.context.scope
    artifact = await artifact_named(side, place, name)
    if artifact is None:
        raise Refused(f"{place.record_key} has no artifact {name[:140]!r}: create it", status=404)
    found: VersionRecord | None = None
    if given == _LATEST:
        found = next(iter(await artifacts.versions(scope, artifact.artifact, stages=stages, limit=1)), None)
    elif _ORDINAL.match(given):
        found = await artifacts.version(scope, artifact.artifact, int(given))
    if found is None:
        of_stage = "" if stages is None else f" in the stage {stages[0]}"
        raise Refused(f"the artifact {name[:140]!r} has no version {given[:40]!r}{of_stage}", status=404)
    return Meant(place, artifact, found)


async def version_to_change(side: MlaideSide, call: Call[Any]) -> Meant:
    """Return the version that the path of a request means, which the request may write to. Raises Problem."""
    place = place_of(call.path["project_key"])
    await side.recorder.require(place.record_key)
    return await version_in(side, call)


async def append(side: MlaideSide, place: Place, events: Sequence[ArtifactEvent]) -> ArtifactOutcome:
    """Append events about one artifact, and return what the fold made of the last of them. Each request is a statement
    of its own: the client sends none again by itself. Raises Problem."""
    outcome = await append_and_wait(side.recorder, place.record_key, os.urandom(16), events[-1].at_us, events)
    if outcome.refused:
        gone = outcome.refused in (NO_SUCH_ARTIFACT, NO_SUCH_VERSION)
        words = "somebody deleted it meanwhile" if gone else _REFUSALS.get(outcome.refused, outcome.refused)
        name = events[-1].name
        raise Refused(f"version {outcome.ordinal} of {name[:140]!r}: {words}", status=404 if gone else 400)
    return outcome


def type_of(artifact: ArtifactRecord, metadata: dict[str, Any]) -> str:
    """Return the type of a version, by its metadata."""
    given = metadata.get(TYPE)
    return given if isinstance(given, str) else artifact.artifact_type


def own_metadata(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metadata (JSON) of a version, all of it and without what is not its user's."""
    found: dict[str, Any] = json.loads(text or "{}")
    return found, {name: value for name, value in found.items() if not name.startswith(RESERVED)}
