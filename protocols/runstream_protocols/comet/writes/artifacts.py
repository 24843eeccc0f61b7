"""Comet's artifacts: versions of the artifacts of projects, of every type.

The client asks for a version first and uploads its files then. So the fold announces a version, its files wait as
files of the experiment (`roles.UPLOAD`), and when the client says that all are there, it becomes a version with them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from runstream.events import limits
from runstream.events.artifacts import (
    ArtifactUpdated,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionReserved,
    ArtifactVersionUpdated,
    artifact_key,
)
from runstream.events.control import AssetDeleted
from runstream_model.artifact_reservations import Reservation
from runstream_model.artifact_state import ArtifactState
from runstream_protocols.comet.artifact_versions import SEMANTIC, given_aliases, semantic_versions
from runstream_protocols.comet.conventions import (
    FILE_LINKS,
    is_registered_model,
    registered,
    registry_item_id,
    upload_kind,
)
from runstream_protocols.comet.errors import BAD_VERSION, NO_ARTIFACT, no_artifact, no_experiment, refused
from runstream_protocols.comet.writes.artifact_files import (
    artifact_file,
    artifact_path,
    labels_of,
    metadata_of_files,
)
from runstream_protocols.comet.writes.experiments import key_of, place
from runstream_protocols.comet.writes.metadata import metadata_of
from runstream_protocols.comet.writes.outcomes import ARTIFACT, append_and_wait
from runstream_protocols.kit.outcomes import event_of
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.recorder import Recorder
from runstream_service.lookup import KnownArtifact, KnownFile, KnownRun
from runstream_service.problems import RETRY_AFTER_S, Problem

Response = dict[str, object]

_CLOSED: Final = "CLOSED"
_FAILED: Final = "ERROR"


@dataclass(frozen=True, slots=True)
class Meant:
    """The version that a request is about, as its artifact is known. `ordinal`: its number, announced or logged."""

    artifact: KnownArtifact
    state: ArtifactState
    ordinal: int

    @property
    def where(self) -> dict[str, Any]:
        """Return what events about the artifact say of its place."""
        return where_of(self.artifact)


def where_of(artifact: KnownArtifact) -> dict[str, Any]:
    """Return what events about an artifact say of its place."""
    return {
        "workspace": artifact.workspace,
        "project": artifact.project,
        "artifact_type": artifact.artifact_type,
        "name": artifact.name,
    }


async def upsert(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Announce a version. A new artifact is of the experiment's project."""
    key = key_of(payload)
    known = await recorder.lookup.run(key)
    if known is None or known.deleted:
        raise no_experiment(key)
    await recorder.require(key)
    version = payload.optional("version")
    if version is not None and not SEMANTIC.fullmatch(version):
        detail = f"version {version[:80]!r} is no semantic version: give MAJOR.MINOR.PATCH, such as 1.0.0"
        raise refused(detail, code=BAD_VERSION)
    where = await _place_of(recorder, payload, known)
    with recorder.until_responded(request, payload.content) as stamp:
        event = event_of(
            ArtifactVersionReserved,
            at_us=stamp,
            **where,
            version=version,
            tags=labels_of(payload.fields.get("versionTags")),
            aliases=given_aliases(labels_of(payload.fields.get("alias"))),
            metadata=metadata_of(payload.fields.get("versionMetadata")),
            run=key,
        )
        outcome = await append_and_wait(recorder, event.key, payload.content, stamp, [event], ARTIFACT)
    state = await recorder.lookup.artifact_state(event.artifact)
    return {
        "artifactId": event.artifact,
        "artifactVersionId": registry_item_id(event.artifact, outcome.ordinal),
        "currentVersion": outcome.version,
        "previousVersion": _newest_version(state),
    }


def _newest_version(state: ArtifactState | None) -> str | None:
    if state is None or not state.versions:
        return None
    return semantic_versions([*state.versions.values()])[max(state.versions)]


async def _place_of(recorder: Recorder, payload: Payload, known: KnownRun) -> dict[str, Any]:
    """Return where the artifact of this name is, or is to be. To Comet a name is one artifact of the workspace. Raises
    Problem."""
    name = place("artifact", payload.text("artifactName"))
    artifact_type = place("artifact type", payload.text("artifactType"))
    wanted = KnownArtifact("", known.workspace, known.project, artifact_type, name, 0)
    found = artifact_named(await recorder.lookup.artifacts_named(known.workspace, name), wanted)
    if found is None:
        return where_of(wanted)
    if found.artifact_type != artifact_type:
        raise refused(
            f"artifact {name!r} of {known.workspace} has the type {found.artifact_type!r}, not {artifact_type!r}: "
            "log it with that type, or under another name"
        )
    return where_of(found)


def artifact_named(found: Sequence[KnownArtifact], wanted: KnownArtifact | None = None) -> KnownArtifact | None:
    """Return the artifact that a name means among those of the workspace that have it, which may be several here: the
    one of the type and the project that are wanted, else the oldest. Registered models have routes of their own."""

    def rank(one: KnownArtifact) -> tuple[bool, bool, int, str]:
        if wanted is None:
            return (False, False, one.created_at_us, one.artifact)
        other_type, other_project = one.artifact_type != wanted.artifact_type, one.project != wanted.project
        return (other_type, other_project, one.created_at_us, one.artifact)

    others = (one for one in found if not is_registered_model(one.artifact_type, one.project))
    return min(others, key=rank, default=None)


async def set_state(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """All files of an announced version are there, or one of them never will be: then it is given up."""
    wanted = payload.text("state")
    if wanted not in (_CLOSED, _FAILED):
        raise refused(f"state is {wanted[:40]!r}: give {_CLOSED} or {_FAILED}", name="state")
    if not await recorder.settled():
        detail = "files of the version cannot be read yet: send the request again"
        raise Problem(503, "not-visible", "Not visible yet", detail, retry_after_s=RETRY_AFTER_S)
    meant = await meant_by_id(recorder, payload.text("artifactVersionId"))
    reservation = meant.state.reserved.get(meant.ordinal)
    if reservation is None:
        return {}  # It is a version already: the response got lost.
    run = reservation.version.run
    files = await recorder.lookup.run_files(run, upload_kind(_id_of(meant)))
    with recorder.until_responded(request, payload.content) as stamp:
        event: Any
        if wanted == _CLOSED:
            event = _closed(meant, reservation, files, stamp)
        else:
            event = event_of(ArtifactVersionDeleted, at_us=stamp, **meant.where, ordinal=meant.ordinal)
        await append_and_wait(recorder, event.key, payload.content, stamp, [event], ARTIFACT)
    gone = [AssetDeleted(at_us=stamp, asset_id=one.asset) for one in files]
    if gone:
        await recorder.record(run, payload.content, gone, at_us=stamp, wait=False)
    return {}


def _closed(meant: Meant, reservation: Reservation, files: Sequence[KnownFile], stamp: int) -> ArtifactVersionLogged:
    """Return the version with its files. Of several with one name the newest counts. Raises Problem."""
    by_name = {artifact_path(one.name): one for one in files}
    if len(by_name) > limits.MAX_ARTIFACT_FILES:
        raise refused(
            f"the version has {len(by_name)} files, at most {limits.MAX_ARTIFACT_FILES} are allowed: pack them into "
            "one archive, or divide them among several artifacts"
        )
    kept = list(by_name.values())
    links = {artifact_path(one.name): one.location for one in kept if one.location and not _is_address(one.location)}
    return event_of(
        ArtifactVersionLogged,
        at_us=stamp,
        **meant.where,
        ordinal=meant.ordinal,
        run=reservation.version.run or None,
        metadata=json.loads(reservation.metadata) | metadata_of_files(kept) | ({FILE_LINKS: links} if links else {}),
        files=tuple(artifact_file(_with_address(one)) for one in kept),
    )


def _is_address(text: str) -> bool:
    scheme, colon, rest = text.partition(":")
    return bool(colon and rest) and scheme.isascii() and scheme.isalnum() and text.isprintable() and " " not in text


def _with_address(file: KnownFile) -> KnownFile:
    """Return the file with an address; the client takes any text for one, such as a path."""
    if not file.location or _is_address(file.location):
        return file
    return replace(file, location=f"file:{quote(file.location)}")


async def labels(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Other aliases or tags of a version: all that it has from now on."""
    meant = await meant_by_id(recorder, payload.text("artifactVersionId"))
    aliases, tags = payload.fields.get("alias"), payload.fields.get("versionTags")
    with recorder.until_responded(request, payload.content) as stamp:
        event = event_of(
            ArtifactVersionUpdated,
            at_us=stamp,
            **meant.where,
            ordinal=meant.ordinal,
            aliases=None if aliases is None else given_aliases(labels_of(aliases)),
            tags=None if tags is None else labels_of(tags),
        )
        await append_and_wait(recorder, event.key, payload.content, stamp, [event], ARTIFACT)
    return {}


async def details(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Other tags of an artifact."""
    artifact = await artifact_with_id(recorder, payload.text("artifactId"))
    tags = payload.fields.get("tags")
    with recorder.until_responded(request, payload.content) as stamp:
        changed = None if tags is None else labels_of(tags)
        event = event_of(ArtifactUpdated, at_us=stamp, **where_of(artifact), tags=changed)
        await append_and_wait(recorder, event.key, payload.content, stamp, [event], ARTIFACT)
    return {}


async def artifact_with_id(recorder: Recorder, artifact_id: str) -> KnownArtifact:
    """Return an artifact that the request's principal may reach. Raises Problem."""
    found = await recorder.lookup.artifact(artifact_id)
    if found is None or is_registered_model(found.artifact_type, found.project):
        raise no_artifact(artifact_id)
    await recorder.require(key_of_artifact(found))
    return found


def key_of_artifact(artifact: KnownArtifact) -> str:
    """Return the key of the records of all events about an artifact."""
    return artifact_key(artifact.workspace, artifact.project, artifact.name)


async def meant_by_id(recorder: Recorder, version_id: str) -> Meant:
    """Return the version with this id, announced ones too. Raises Problem."""
    meant = registered(version_id)
    if meant is not None and meant[2] is None:
        artifact = await artifact_with_id(recorder, meant[0])
        state = await recorder.lookup.artifact_state(artifact.artifact)
        if state is not None and (meant[1] in state.versions or meant[1] in state.reserved):
            return Meant(artifact, state, meant[1])
    raise refused(f"no version of an artifact has the id {version_id[:80]!r}: log it again", code=NO_ARTIFACT)


def _id_of(meant: Meant) -> str:
    return registry_item_id(meant.artifact.artifact, meant.ordinal)
