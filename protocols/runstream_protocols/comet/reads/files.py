"""Assets and models of an experiment."""

import asyncio
import json
from typing import Final

from aiohttp import web

from runstream.events.moments import millis_of
from runstream_protocols.comet.conventions import (
    HISTOGRAM,
    MODEL_TYPE,
    experiment_model_id,
    file_of_model,
    is_asset,
    is_combined,
    model_of_file,
    registered,
    type_of_asset,
)
from runstream_protocols.comet.paths import asset_link
from runstream_protocols.comet.reads.contents import send_content
from runstream_protocols.comet.reads.histograms import combined, send_combined
from runstream_protocols.comet.reads.registered import send_registered
from runstream_protocols.comet.reads.requests import (
    AssetByNameRequest,
    AssetRequest,
    AssetsRequest,
    ExperimentRequest,
    ModelRequest,
)
from runstream_protocols.comet.reads.responses import (
    CometAsset,
    CometAssets,
    CometModel,
    CometModels,
)
from runstream_protocols.comet.reads.runs import require_row
from runstream_protocols.kit.archives import stream_zip
from runstream_query.errors import NotFound
from runstream_query.http.context import Context
from runstream_query.http.files import AssetsParameters as NativeAssetsRequest
from runstream_query.http.files import list_assets
from runstream_query.responses import Asset
from runstream_service.access import Action
from runstream_service.routing import Call

#: What a page can show by itself.
_VIEWED: Final = ("image", "text-sample")


async def assets(context: Context, request: web.Request, parameters: AssetsRequest) -> CometAssets:
    """By name, then by step and time; `all`, or those of one type (Comet's name or ours)."""
    found = combined(await assets_of(context, request, parameters.experiment_key))
    shown = [one for one in found if _is_of(one, parameters.type)]
    return CometAssets(assets=await _assets(context, request, shown))


async def assets_by_name(context: Context, request: web.Request, parameters: AssetByNameRequest) -> CometAssets:
    """By the whole name; of a model's files by what they are called within the model too."""
    found = combined(await assets_of(context, request, parameters.experiment_key))
    name = parameters.asset_name
    named = [one for one in found if name in (one.name, _file_name(one)) and _is_of(one, parameters.type)]
    named.sort(key=lambda one: one.name != name)
    return CometAssets(assets=await _assets(context, request, named))


async def _assets(context: Context, request: web.Request, found: list[Asset]) -> list[CometAsset]:
    def made() -> list[CometAsset]:
        return [_asset(request, one) for one in found]

    return await asyncio.to_thread(made) if context.usage.is_large else made()


async def assets_of(context: Context, request: web.Request, key: str) -> list[Asset]:
    """Every asset of an experiment that was not deleted. Raises NotFound."""
    return [one for one in await files_of(context, request, key) if is_asset(one.role)]


async def files_of(context: Context, request: web.Request, key: str) -> list[Asset]:
    """The assets, and what has a method of its own in Comet. Raises NotFound."""
    await require_row(context, key)
    listed = await list_assets(context, Call.of(request, {"run": key}, NativeAssetsRequest(), Action.READ))
    return listed.assets


def _is_of(asset: Asset, wanted: str) -> bool:
    return wanted in ("", "all", asset.kind, type_of_asset(asset.kind))


def _file_name(found: Asset) -> str:
    """Comet calls files of a model as they are called within it."""
    return file_of_model(found.name, model_of(found)) if found.kind == MODEL_TYPE else found.name


def _asset(request: web.Request, found: Asset) -> CometAsset:
    kind = type_of_asset(found.kind)
    folder = f"models/{model_of(found)}" if found.kind == MODEL_TYPE else found.name.rpartition("/")[0] or "assets"
    link = asset_link(request, experimentKey=found.run, assetId=found.asset)
    return CometAsset(
        experiment_key=found.run,
        asset_id=found.asset,
        file_name=_file_name(found),
        file_size=found.size_bytes,
        type=kind,
        step=found.step,
        run_context=found.context,
        created_at=millis_of(found.at),
        link=found.location or link,
        remote=found.location is not None,
        curl_download=f'curl "{link}" -H "Authorization: $COMET_API_KEY"',
        dir=folder,
        metadata=json.dumps(found.metadata, ensure_ascii=False) if found.metadata else None,
        etag=found.sha256,
        audio=kind == "audio",
        video=kind == "video",
        image=kind == "image",
        histogram=found.kind == HISTOGRAM,
        can_view=kind in _VIEWED,
    )


async def asset(context: Context, request: web.Request, parameters: AssetRequest) -> web.StreamResponse:
    """The bytes as they were logged, whole or one range; of an experiment's asset or of a registered model's file."""
    of_model = registered(parameters.asset_id)
    if of_model is not None:
        return await send_registered(context, request, *of_model)
    key, asset_id = parameters.experiment_key, parameters.asset_id
    await require_row(context, key)
    if is_combined(asset_id):
        return await send_combined(context, request, key, asset_id)
    found = await context.repositories.assets.find(context.scope, key, asset_id)
    if found is None:
        raise NotFound(f"experiment {key} has no asset {asset_id[:80]!r}: see get_asset_list")
    name = found.name.rpartition("/")[2] or asset_id
    return await send_content(context, request, name, found.sha256, found.content_type)


def model_of(asset: Asset) -> str:
    """The model that a file belongs to."""
    return model_of_file(asset.name, asset.model)


async def models(context: Context, request: web.Request, parameters: ExperimentRequest) -> CometModels:
    """Files of the kind `model`, by model."""
    found = await _model_files(context, request, parameters.experiment_key)
    names = sorted({model_of(one) for one in found})
    return CometModels(models=[_model(parameters.experiment_key, name) for name in names])


def _model(key: str, name: str) -> CometModel:
    return CometModel(experiment_model_id=experiment_model_id(key, name), experiment_key=key, model_name=name)


async def model_assets(context: Context, request: web.Request, parameters: ModelRequest) -> CometAssets:
    """Files are called as they are within the model: where a client puts them below a folder, the model is that."""
    found = await _files_of_model(context, request, parameters)
    return CometAssets(assets=[_asset(request, one) for _, one in found])


async def model_archive(context: Context, request: web.Request, parameters: ModelRequest) -> web.StreamResponse:
    """The files of a model as one archive, without those that are elsewhere."""
    found = dict(await _files_of_model(context, request, parameters))
    if not found:
        raise NotFound(
            f"experiment {parameters.experiment_key} has no model {parameters.model_name[:140]!r}: see get_model_names"
        )
    stored = [(name, one.sha256, one.size_bytes) for name, one in found.items() if one.location is None]
    return await stream_zip(context, request, f"{parameters.model_name}.zip", stored)


async def _files_of_model(context: Context, request: web.Request, parameters: ModelRequest) -> list[tuple[str, Asset]]:
    found = await _model_files(context, request, parameters.experiment_key)
    of_model = [one for one in found if model_of(one) == parameters.model_name]
    return [(_file_name(one), one) for one in of_model]


async def _model_files(context: Context, request: web.Request, key: str) -> list[Asset]:
    return [one for one in await assets_of(context, request, key) if one.kind == MODEL_TYPE]
