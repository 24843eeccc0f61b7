"""Comet's model registry: artifacts of the type `model` of whole workspaces."""

import json
from collections.abc import Sequence

from aiohttp import web

from runstream.events.moments import millis_of
from runstream_protocols.comet.conventions import (
    MODEL_TYPE,
    REMARK_CONFIGURATION,
    REMARK_METADATA,
    STATUSES,
    experiment_model_id,
    registered,
    registry_file_id,
    registry_item_id,
    type_of_asset,
)
from runstream_protocols.comet.paths import asset_link
from runstream_protocols.comet.reads import registry_responses as a
from runstream_protocols.comet.reads.registered import (
    File,
    Registered,
    Version,
    find_model,
    model_with_id,
    numbers_of,
    registered_models,
    remarks_on,
    versions_of,
    with_files_of,
)
from runstream_protocols.comet.reads.registry_history import changes_of
from runstream_protocols.comet.reads.requests import (
    EmptyRequest,
    HistoryRequest,
    ItemsRequest,
    LatestRequest,
    RegisteredModelRequest,
    VersionRequest,
    WorkspaceRequest,
)
from runstream_protocols.comet.reads.responses import CometAsset, CometNotes
from runstream_protocols.kit.archives import stream_zip
from runstream_query.errors import NotFound
from runstream_query.http.context import Context


async def models(context: Context, request: web.Request, parameters: WorkspaceRequest) -> a.CometRegistryModels:
    """By name."""
    found = await registered_models(context, parameters.workspace_name)
    return a.CometRegistryModels(registry_models=[a.CometRegistryModel(**_about(one)) for one in found])


async def count(context: Context, request: web.Request, parameters: WorkspaceRequest) -> a.CometModelCount:
    return a.CometModelCount(registry_model_count=len(await registered_models(context, parameters.workspace_name)))


async def details(context: Context, request: web.Request, parameters: RegisteredModelRequest) -> a.CometModelDetails:
    """A model with all its versions and their files."""
    model = await find_model(context, parameters.workspace_name, parameters.model_name)
    versions = await versions_of(context, model.artifact, with_files=True)
    return _details(request, model, versions)


async def latest(context: Context, request: web.Request, parameters: LatestRequest) -> a.CometModelDetails:
    """A model with its highest version, of those that the request names. Raises NotFound."""
    model = await find_model(context, parameters.workspace_name, parameters.model_name)

    def is_meant(one: Version) -> bool:
        numbers = numbers_of(one.version) or (None, None)
        return (
            (parameters.stage is None or parameters.stage in one.labels)
            and parameters.version_major in (None, numbers[0])
            and parameters.version_minor in (None, numbers[1])
        )

    found = [one for one in await versions_of(context, model.artifact) if is_meant(one)]
    if not found:
        raise NotFound(f"{model.name} has no such version: see get_registry_model_versions")
    return _details(request, model, [await with_files_of(context, model.artifact, found[0])])


async def compact(context: Context, request: web.Request, parameters: RegisteredModelRequest) -> a.CometCompactModel:
    """The same without files."""
    model = await find_model(context, parameters.workspace_name, parameters.model_name)
    versions = await versions_of(context, model.artifact)
    return a.CometCompactModel(**_about(model), versions=[_item(model, one) for one in versions])


async def item(context: Context, request: web.Request, parameters: VersionRequest) -> a.CometModelVersion:
    model, found = await _meant(context, parameters, with_files=False)
    return _item(model, found)


async def items(context: Context, request: web.Request, parameters: ItemsRequest) -> a.CometModelItems:
    """The highest first."""
    model = await find_model(context, parameters.workspace_name, parameters.model_name)
    found = [
        one
        for one in await versions_of(context, model.artifact)
        if one.version.startswith(parameters.version_prefix)
        and parameters.status in (None, one.status)
        and (parameters.tag is None or parameters.tag in one.labels)
    ]
    return a.CometModelItems(items=[_item(model, one) for one in found])


async def instructions(context: Context, request: web.Request, parameters: VersionRequest) -> a.CometModelDownload:
    """Where the files of a version are."""
    model, found = await _meant(context, parameters, with_files=True)
    versions = [_with_assets(request, model, found)]
    return a.CometModelDownload(registry_model_id=model.artifact, model_name=model.name, versions=versions)


async def download(context: Context, request: web.Request, parameters: VersionRequest) -> web.StreamResponse:
    """The files of a version as one archive, without those that are elsewhere."""
    model, found = await _meant(context, parameters, with_files=True)
    stored = [(one.name, one.sha256, one.size_bytes) for one in found.files if one.sha256]
    return await stream_zip(context, request, f"{model.name}_{found.version}.zip", stored)


async def notes(context: Context, request: web.Request, parameters: RegisteredModelRequest) -> CometNotes:
    return CometNotes(notes=(await find_model(context, parameters.workspace_name, parameters.model_name)).notes)


async def allowed_statuses(
    context: Context, request: web.Request, parameters: WorkspaceRequest
) -> a.CometAllowedStatus:
    """Every text is allowed. Shown are the usual ones, and those that are in use in the workspace."""
    used = await context.repositories.artifacts.statuses(context.scope, parameters.workspace_name, MODEL_TYPE)
    return a.CometAllowedStatus(allowed_status=list(dict.fromkeys((*STATUSES, *used))))


async def metadata(context: Context, request: web.Request, parameters: EmptyRequest) -> a.CometModelMetadata:
    """What the version was logged with, and what was written later over it."""
    model, found = await _of_item(context, request.match_info["item"])
    values = dict(found.metadata)
    for remark in await remarks_on(context, model, found.ordinal):
        values |= remark.get(REMARK_METADATA, {})
    return a.CometModelMetadata(metadata=[a.CometMember(key=key, value=value) for key, value in values.items()])


async def status_configuration(
    context: Context, request: web.Request, parameters: EmptyRequest
) -> a.CometStatusConfiguration:
    """Return what was written last."""
    model, found = await _of_item(context, request.match_info["item"])
    configurations = [remark[REMARK_CONFIGURATION] for remark in await remarks_on(context, model, found.ordinal)
            if REMARK_CONFIGURATION in remark]  # fmt: skip
    if not configurations:
        return a.CometStatusConfiguration()
    return a.CometStatusConfiguration(
        **{**configurations[-1], "modelItemId": registry_item_id(model.artifact, found.ordinal)}
    )


async def history(context: Context, request: web.Request, parameters: HistoryRequest) -> a.CometModelHistory:
    """What changed in a version, by day, the newest first."""
    model, found = await _of_item(context, parameters.registry_model_item_id)
    days: dict[str, list[a.CometModelChange]] = {}
    for change in reversed(await changes_of(context, model, found.ordinal)):
        response = a.CometModelChange(
            action_type=change.action,
            comment=change.comment,
            previous_value=change.before,
            new_value=change.after,
            registry_model_id=model.artifact,
            registry_model_name=model.name,
            registry_model_item_id=registry_item_id(model.artifact, found.ordinal),
            registry_model_item_version=found.version,
            timestamp=millis_of(change.at),
        )
        days.setdefault(f"{change.at:%B} {change.at.day}, {change.at.year}", []).append(response)
    return a.CometModelHistory(**days)


async def _meant(context: Context, parameters: VersionRequest, *, with_files: bool) -> tuple[Registered, Version]:
    """Raises NotFound."""
    model = await find_model(context, parameters.workspace_name, parameters.model_name)
    for one in await versions_of(context, model.artifact):
        if parameters.version in (None, one.version) and (parameters.stage is None or parameters.stage in one.labels):
            return model, await with_files_of(context, model.artifact, one) if with_files else one
    what = "version"
    if parameters.version:
        what = f"version {parameters.version[:80]}"
    elif parameters.stage:
        what = f"version with the tag {parameters.stage!r}"
    raise NotFound(f"{model.name} has no {what}: see find_versions")


async def _of_item(context: Context, item_id: str) -> tuple[Registered, Version]:
    """Raises NotFound."""
    meant = registered(item_id)
    if meant is not None and meant[2] is None:
        model = await model_with_id(context, meant[0])
        found = await versions_of(context, model.artifact, ordinal=meant[1])
        if found:
            return model, found[0]
    raise NotFound(f"no version of a registered model has the id {item_id[:80]!r}: look it up with get_details")


def _about(model: Registered) -> dict[str, object]:
    return {
        "registry_model_id": model.artifact,
        "model_name": model.name,
        "workspace_name": model.workspace,
        "description": model.description,
        "is_public": model.public,
        "created_at": millis_of(model.created_at),
        "last_updated": millis_of(model.updated_at),
        "number_of_versions": model.versions,
    }


def _details(request: web.Request, model: Registered, versions: Sequence[Version]) -> a.CometModelDetails:
    made = [_with_assets(request, model, one) for one in versions]
    return a.CometModelDetails(**_about(model), notes=model.notes, versions=made)


def _item(model: Registered, found: Version) -> a.CometModelVersion:
    name, run = found.from_model or None, found.run or None
    return a.CometModelVersion(
        registry_model_item_id=registry_item_id(model.artifact, found.ordinal),
        registry_model_id=model.artifact,
        model_name=model.name,
        workspace_name=model.workspace,
        version=found.version,
        comment=found.comment,
        tags=list(found.labels),
        stages=list(found.labels),
        status=found.status,
        experiment_key=run,
        experiment_model=a.CometExperimentModel(
            experiment_model_id=experiment_model_id(run, name) if run and name else None,
            experiment_model_name=name,
            experiment_key=run,
        ),
        created_at=millis_of(found.created_at),
        updated_at=millis_of(found.updated_at),
        last_updated=millis_of(found.updated_at),
    )


def _with_assets(request: web.Request, model: Registered, found: Version) -> a.CometModelVersionWithAssets:
    assets = [_asset(request, model, found, file) for file in found.files]
    return a.CometModelVersionWithAssets(**_item(model, found).model_dump(), assets=assets)


def _asset(request: web.Request, model: Registered, found: Version, file: File) -> CometAsset:
    asset_id = registry_file_id(model.artifact, found.ordinal, file.number)
    link = asset_link(request, experimentKey=found.run, assetId=asset_id)
    about = found.about_files.get(file.name)
    # The client looks into the metadata of a file that is elsewhere without asking whether there are any.
    text = json.dumps(about or {}, ensure_ascii=False) if about or file.link else None
    return CometAsset(
        experiment_key=found.run,
        asset_id=asset_id,
        file_name=file.name,
        file_size=file.size_bytes,
        type=type_of_asset(MODEL_TYPE),
        step=None,
        created_at=millis_of(found.created_at),
        link=file.link or link,
        remote=bool(file.link),
        curl_download=f'curl "{link}" -H "Authorization: $COMET_API_KEY"',
        dir=f"models/{found.from_model or model.name}",
        metadata=text,
        etag=file.sha256,
        audio=False,
        video=False,
        image=False,
        histogram=False,
        can_view=False,
    )
