"""The model registry: registered models are artifacts of the type `model` of whole workspaces.

The fold gives numbers and says whose a version's name is, so that any number of gateways may serve at once: each
appends events, and reads back what came of them.
"""

import reprlib
from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from runstream.events.artifacts import (
    AboutArtifact,
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactUpdated,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    ArtifactVersionUpdated,
)
from runstream_protocols.comet.artifact_versions import SEMANTIC
from runstream_protocols.comet.conventions import (
    DEFAULT_WORKSPACE,
    MODEL_TYPE,
    NO_STATUS,
    REGISTERED_FROM,
    REMARK_CONFIGURATION,
    REMARK_METADATA,
    registered,
    registry_item_id,
    registry_model_id,
)
from runstream_protocols.comet.errors import BAD_VERSION, no_experiment, refused
from runstream_protocols.comet.writes.artifact_files import artifact_file, labels_of, metadata_of_files
from runstream_protocols.comet.writes.experiments import key_of, place
from runstream_protocols.comet.writes.models import files_of_model, model_with_id
from runstream_protocols.comet.writes.outcomes import append_and_wait
from runstream_protocols.comet.writes.renaming import rename
from runstream_protocols.kit.outcomes import event_of
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.recorder import Recorder
from runstream_service.lookup import KnownArtifact, KnownFile

Response = dict[str, object]

_FIRST_VERSION: Final = "1.0.0"


async def create(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """A version, made of a model of an experiment, in the experiment's workspace."""
    return await _register(
        recorder,
        request,
        payload,
        run=key_of(payload),
        model=payload.text("experimentModelName"),
        description=payload.fields.get("registryModelDescription"),
        public=payload.fields.get("publicModel"),
        comment=payload.fields.get("versionComment"),
    )


async def create_of_model(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """The same as clients before 3.5.42 say it: the experiment's model by its id."""
    model_id = payload.text("experimentModelId")
    found = await model_with_id(recorder.lookup, model_id)
    if found is None:
        raise refused(f"no experiment has a model with the id {model_id[:80]!r}: log it first, or look it up")
    run, model = found
    fields = payload.fields
    return await _register(
        recorder,
        request,
        payload,
        run=run,
        model=model,
        description=fields.get("description"),
        public=fields.get("isPublic"),
        comment=fields.get("comment"),
    )


async def _register(
    recorder: Recorder, request: web.Request, payload: Payload, *, run: str, model: str, description: Any, public: Any,
    comment: Any,
) -> Response:  # fmt: skip
    known = await recorder.lookup.run(run)
    if known is None or known.deleted:
        raise no_experiment(run)
    await recorder.require(run)
    name = place("name of a registered model", payload.optional("registryModelName") or model)
    version = payload.optional("version") or _FIRST_VERSION
    if not SEMANTIC.fullmatch(version):
        detail = f"version {version[:80]!r} is no semantic version: give MAJOR.MINOR.PATCH, such as 1.0.0"
        raise refused(detail, code=BAD_VERSION)
    files = await files_of_model(recorder.lookup, run, model)
    if not files:
        detail = f"experiment {run} has no model {model!r}: log it first (log_model), and wait until it is uploaded"
        raise refused(detail)
    model_id = registry_model_id(known.workspace, name)
    where = {"workspace": known.workspace, "artifact_type": MODEL_TYPE, "name": name}
    with recorder.until_responded(request, payload.content) as stamp:
        # Of a model that is there it changes nothing. Both are written each time, so that a retry writes the same.
        created = event_of(ArtifactCreated, at_us=stamp, **where, description=description or "", public=bool(public))
        logged = event_of(
            ArtifactVersionLogged,
            at_us=stamp,
            **where,
            version=version,
            comment=comment or "",
            tags=labels_of(payload.fields.get("tags") or payload.fields.get("stages")),
            status=_status(payload.fields.get("status")),
            run=run,
            files=tuple(artifact_file(one) for one in files),
            metadata=_from(model, files),
        )
        outcome = await append_and_wait(recorder, logged.key, payload.content, stamp, [created, logged])
    return {"registryModelId": model_id, "registryModelItemId": registry_item_id(model_id, outcome.ordinal)}


def _from(model: str, files: Sequence[KnownFile]) -> dict[str, Any]:
    """Where the version is from, and the metadata of its files."""
    return {REGISTERED_FROM: model} | metadata_of_files(files)


async def update(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Another description, another visibility; another name, by which it is another model: see `renaming`."""
    model = await _model(recorder, payload.text("registryModelId"))
    public = payload.fields.get("isPublic")
    changes = {"description": payload.fields.get("description"), "public": None if public is None else bool(public)}
    if any(change is not None for change in changes.values()):
        await _record(recorder, request, payload, model, ArtifactUpdated, **changes)
    name = place("name of a registered model", payload.optional("registryModelName") or model.name)
    if name != model.name:
        with recorder.until_responded(request, payload.content) as stamp:
            changed = await _model(recorder, model.artifact)
            await rename(recorder, payload.content, stamp, changed, name)
    return {"registryModelId": registry_model_id(model.workspace, name)}


async def notes(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    model = await _named(recorder, payload, "registryModelName")
    text = str(payload.fields.get("notes") or "")
    await _record(recorder, request, payload, model, ArtifactUpdated, notes=text)
    return {"notes": text}


async def delete(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Delete a model with all its versions, and what was written about them."""
    model = await _named(recorder, payload, "modelName")
    return await _record(recorder, request, payload, model, ArtifactDeleted)


async def delete_item(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    model, ordinal = await _item(recorder, payload.text("modelItemId"))
    return await _record(recorder, request, payload, model, ArtifactVersionDeleted, ordinal=ordinal)


async def update_item(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Another comment, other tags: all that it has from now on. (Stages are what the client called tags before.)"""
    model, ordinal = await _item(recorder, payload.text("registryModelItemId"))
    stages = payload.fields.get("stages")
    labels = {} if stages is None else {"tags": labels_of(stages), "stages": ()}
    comment = payload.fields.get("comment")
    return await _record(
        recorder, request, payload, model, ArtifactVersionUpdated, ordinal=ordinal, comment=comment, **labels
    )


async def status(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    model, ordinal = await _item(recorder, payload.text("modelItemId"))
    wanted = _status(payload.text("status"))
    return await _record(recorder, request, payload, model, ArtifactVersionUpdated, ordinal=ordinal, status=wanted)


async def add_tag(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    model, ordinal = await _item(recorder, payload.text("modelItemId"))
    added = labels_of([payload.text("stage")])
    return await _record(recorder, request, payload, model, ArtifactVersionUpdated, ordinal=ordinal, tags_added=added)


async def delete_tag(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """A tag, or one of our stages, which the client cannot tell from tags."""
    model, ordinal = await _item(recorder, payload.text("modelItemId"))
    gone = payload.text("stage")
    fields: dict[str, Any] = {"tags_removed": labels_of([gone])}
    for known in await recorder.lookup.artifact_versions(model.artifact, [ordinal]):
        if gone in known.stages:
            fields["stages"] = tuple(stage for stage in known.stages if stage != gone)
    return await _record(recorder, request, payload, model, ArtifactVersionUpdated, ordinal=ordinal, **fields)


async def metadata(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Metadata by name, over what there is."""
    found: dict[str, Any] = {}
    for one in payload.listed("metadata"):
        if not isinstance(one, dict) or not isinstance(one.get("key"), str):
            raise refused("a member of metadata has no key: give a list of {key, value}", name="metadata")
        found[one["key"]] = one.get("value")
    return await _remark(recorder, request, payload, {REMARK_METADATA: found})


async def status_configuration(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """What is to hold for a version in a status, in place of what was before. It is kept, not enforced."""
    wanted = ("status", "isReviewRequired", "statusConfiguration", "comment")
    payload.text("status")
    configuration = {name: payload.fields[name] for name in wanted if name in payload.fields}
    return await _remark(recorder, request, payload, {REMARK_CONFIGURATION: configuration})


async def _remark(recorder: Recorder, request: web.Request, payload: Payload, content: dict[str, Any]) -> Response:
    """Record something about a version that none of its fields holds."""
    model, ordinal = await _item(recorder, request.match_info["item"])
    return await _record(recorder, request, payload, model, ArtifactVersionRemarked, ordinal=ordinal, remark=content)


async def _record(
    recorder: Recorder,
    request: web.Request,
    payload: Payload,
    model: KnownArtifact,
    kind: type[AboutArtifact],
    **fields: Any,
) -> Response:
    """One event about a model or one of its versions."""
    with recorder.until_responded(request, payload.content) as stamp:
        where = {"workspace": model.workspace, "artifact_type": MODEL_TYPE, "name": model.name}
        event: Any = event_of(kind, at_us=stamp, **where, **fields)
        await append_and_wait(recorder, event.key, payload.content, stamp, [event])
    return {}


def _status(text: Any) -> str:
    """A status as it is kept: empty where there is none. Raises Problem."""
    if not isinstance(text, str | None):
        raise refused(f"status is {reprlib.repr(text)}: give a text", name="status")
    return "" if text in (None, NO_STATUS) else text


async def _model(recorder: Recorder, model_id: str) -> KnownArtifact:
    found = await recorder.lookup.artifact(model_id)
    if found is None or found.artifact_type != MODEL_TYPE or found.project is not None:
        raise refused(f"no registered model has the id {model_id[:80]!r}: look it up by its name", status=404)
    await recorder.require(f"{found.workspace}/{found.name}")
    return found


async def _named(recorder: Recorder, payload: Payload, member: str) -> KnownArtifact:
    workspace, name = payload.optional("workspaceName") or DEFAULT_WORKSPACE, payload.text(member)
    found = await recorder.lookup.artifact(registry_model_id(workspace, name))
    if found is None:
        detail = f"there is no registered model {name[:140]!r} in {workspace[:140]}: see get_registry_model_names"
        raise refused(detail, status=404)
    await recorder.require(f"{found.workspace}/{found.name}")
    return found


async def _item(recorder: Recorder, item_id: str) -> tuple[KnownArtifact, int]:
    """The model and the number of a version that is there. Raises Problem."""
    meant = registered(item_id)
    if meant is not None and meant[2] is None:
        model_id, ordinal, _ = meant
        if ordinal in await recorder.lookup.artifact_ordinals(model_id):
            return await _model(recorder, model_id), ordinal
    raise refused(f"no version of a registered model has the id {item_id[:80]!r}: look it up", status=404)
