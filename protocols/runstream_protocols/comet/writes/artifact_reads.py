"""The one read of Comet's artifacts that writes: whoever gets a version for an experiment used it there."""

import json
from urllib.parse import unquote

from aiohttp import web

from runstream.events.artifacts import USED_BY, ArtifactVersionRemarked
from runstream_model.artifact_state import ArtifactState
from runstream_model.artifact_versions import VersionState
from runstream_protocols.comet.artifact_versions import find_version, semantic_versions, shown_aliases
from runstream_protocols.comet.conventions import own_metadata, registry_item_id
from runstream_protocols.comet.errors import ARTIFACT_NOT_FINAL, no_artifact_named, no_version, refused
from runstream_protocols.comet.writes.artifacts import (
    Meant,
    artifact_named,
    artifact_with_id,
    key_of_artifact,
    meant_by_id,
    where_of,
)
from runstream_protocols.comet.writes.experiments import checked_key, existing
from runstream_protocols.kit.outcomes import event_of
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.recorder import Recorder
from runstream_service.access import Action
from runstream_service.lookup import KnownArtifact

Response = dict[str, object]


async def version(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """A version by its id, or by the artifact with the version's text or alias; announced ones by their id alone."""
    version_id = payload.optional("versionId")
    meant = await (meant_by_id(recorder, version_id) if version_id else _meant(recorder, payload))
    consumer = payload.optional("consumerExperimentKey")
    if consumer is not None and meant.ordinal in meant.state.versions:
        with recorder.responding(request, Action.LOG):
            await _used(recorder, meant, await existing(recorder, checked_key(consumer)))
    return await _shown(recorder, meant)


async def _meant(recorder: Recorder, payload: Payload) -> Meant:
    """Raises Problem."""
    artifact = await _artifact(recorder, payload)
    state = await recorder.lookup.artifact_state(artifact.artifact)
    text, alias, either = (payload.optional(name) for name in ("version", "alias", "versionOrAlias"))
    if state is not None:
        wanted = {"version": text, "alias": alias, "either": either}
        found = find_version([*state.versions.values()], **wanted)
        if found is not None:
            return Meant(artifact, state, found.ordinal)
        announced = [one.version for one in state.reserved.values()]
        if find_version(announced, **wanted) is not None:
            detail = f"the files of this version of artifact {artifact.name!r} are still on their way: ask again"
            raise refused(detail, code=ARTIFACT_NOT_FINAL)
    raise no_version(artifact.name, text or alias or either)


async def _artifact(recorder: Recorder, payload: Payload) -> KnownArtifact:
    """Return the artifact that a request names, which is one of the experiment's workspace if it names none. Raises
    Problem."""
    artifact_id = payload.optional("artifactId")
    if artifact_id is not None:
        return await artifact_with_id(recorder, artifact_id)
    name, workspace = unquote(payload.text("artifactName")), payload.optional("workspace")
    if workspace is None:
        key = await existing(recorder, checked_key(payload.fields.get("experimentKey")))
        run = await recorder.lookup.run(key)
        workspace = "" if run is None else run.workspace
    found = artifact_named(await recorder.lookup.artifacts_named(workspace, name))
    if found is None:
        raise no_artifact_named(name, workspace)
    await recorder.require(key_of_artifact(found))
    return found


async def _used(recorder: Recorder, meant: Meant, run: str) -> None:
    """Record that the run used the version, once."""
    remarks = await recorder.lookup.artifact_remarks(meant.artifact.artifact, [meant.ordinal])
    if any(one.remark.get(USED_BY) == run for one in remarks):
        return
    remark = event_of(
        ArtifactVersionRemarked,
        at_us=recorder.stamp(),
        **where_of(meant.artifact),
        ordinal=meant.ordinal,
        remark={USED_BY: run},
    )
    content = f"{meant.artifact.artifact} {meant.ordinal} used by {run}".encode()
    # Whoever asks next has to find it: the request itself waits for nothing that is recorded here.
    await recorder.visible(await recorder.record(remark.key, content, [remark], wait=False))


async def _shown(recorder: Recorder, meant: Meant) -> Response:
    state, ordinal = meant.state, meant.ordinal
    one, metadata = await _contents(recorder, meant)
    own = own_metadata(metadata)
    return {
        "artifact": {
            "artifactId": meant.artifact.artifact,
            "artifactName": meant.artifact.name,
            "artifactType": meant.artifact.artifact_type,
            "workspaceName": meant.artifact.workspace,
            "projectName": meant.artifact.project,
            "description": meant.artifact.description,
            "tags": list(meant.artifact.tags),
            "isPublic": meant.artifact.public,
        },
        "artifactVersionId": registry_item_id(meant.artifact.artifact, ordinal),
        "artifactVersion": semantic_versions(_versions(state))[ordinal],
        "alias": shown_aliases(one, _versions(state)),
        "tags": list(one.tags),
        "metadata": json.dumps(own, ensure_ascii=False) if own else None,
        "sizeInBytes": one.size_bytes,
        "experimentKey": one.run or None,
        "added": one.created_at_us // 1000,
        "state": "CLOSED" if ordinal in state.versions else "OPEN",
    }


def _versions(state: ArtifactState) -> list[VersionState]:
    return [*state.versions.values(), *(one.version for one in state.reserved.values())]


async def _contents(recorder: Recorder, meant: Meant) -> tuple[VersionState, dict[str, object]]:
    """Return what is known of the version, and its metadata."""
    reservation = meant.state.reserved.get(meant.ordinal)
    if reservation is not None:
        return reservation.version, json.loads(reservation.metadata)
    found = await recorder.lookup.artifact_versions(meant.artifact.artifact, [meant.ordinal])
    return meant.state.versions[meant.ordinal], dict(found[0].metadata) if found else {}
