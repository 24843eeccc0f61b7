"""Files of an experiment: assets of every type, figures, pages, code, graphs, patches."""

import hashlib
import mimetypes
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from runstream.events.control import AssetDeleted, AssetLogged, RunEvent
from runstream_protocols.comet.conventions import CODE, GRAPH, HTML, LINK, MODEL, OVERRIDES, PATCH, kind_of_asset
from runstream_protocols.comet.paths import asset_link
from runstream_protocols.comet.writes.bodies import Said
from runstream_protocols.comet.writes.files import Upload, metadata_of
from runstream_protocols.comet.writes.recording import Recorder
from runstream_protocols.comet.writes.values import asset_name, fitted, step_of

Answer = dict[str, object]

_MAX_ID_CHARS: Final = 64
_MAX_KIND_CHARS: Final = 100
#: Files of a remote model: each is written and appended by itself.
_MAX_REMOTE_FILES: Final = 1_000
#: The client's word for a name that it leaves to the server.
_YOURS: Final = "auto-generated-in-the-backend"


async def asset(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """An asset. How it is called stands in the query string; names in the body mean nothing."""
    key = await recorder.require(said.key)
    upload = await recorder.files.received(request)
    query = request.query
    name, group = query.get("fileName") or query.get("figName"), query.get("groupingName")
    if name in (None, "", _YOURS):
        name = _named(upload, query)
    logged = AssetLogged(
        at_us=recorder.stamp(),
        asset_id=_asset_id(query, key, upload),
        name=asset_name(f"{group}/{name}" if group else name),
        kind=_kind(query.get("type") or ("image" if "imageId" in query else "asset")),
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        content_type=_content_type(name, query.get("extension")),
        step=step_of(query.get("step")),
        context=fitted(query["context"], _MAX_KIND_CHARS) if query.get("context") else None,
        metadata=_metadata(upload, query),
    )
    events: list[RunEvent] = []
    if said.flag("overwrite"):
        before = await recorder.lookup.assets_named(key, logged.name)
        events += [AssetDeleted(at_us=logged.at_us, asset_id=old) for old in before if old != logged.asset_id]
    await recorder.say(key, said.words, [*events, logged])
    link = asset_link(request, experimentKey=key, assetId=logged.asset_id)
    return {"assetId": logged.asset_id, "imageId": logged.asset_id, "link": link}


async def patch(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """What was changed since the commit, as the archive that the client made."""
    key = await recorder.require(said.key)
    upload = await recorder.files.received(request)
    logged = AssetLogged(
        at_us=recorder.stamp(),
        asset_id=PATCH,
        name="comet/git_patch.zip",
        kind="git-patch",
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        content_type="application/zip",
    )
    await recorder.say(key, said.words, [logged])
    return {}


async def item(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """One piece of an asset of several (points in space), or an asset's small picture. Who sends it stands in a part
    of the body."""
    upload = await recorder.files.received(request)
    parameters = {**said.fields, **(upload.parameters or {})}
    key = await recorder.require(Said(parameters, b"").key)
    is_picture = "asset" in request.match_info
    parent = request.match_info.get("asset") or str(parameters.get("assetId") or "asset")
    what = "thumbnail" if is_picture else "asset-item"
    logged = AssetLogged(
        at_us=recorder.stamp(),
        asset_id=fitted(f"{parent[:40]}-{upload.sha256[:16]}", _MAX_ID_CHARS),
        name=asset_name(f"{parent}/{what}-{upload.sha256[:8]}"),
        kind=what,
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        step=step_of(parameters.get("step")),
        metadata={name: value for name, value in parameters.items() if name not in ("apiKey", "experimentKey")},
    )
    await recorder.say(key, said.words, [logged])
    return {"assetId": logged.asset_id}


async def page(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """A piece of the experiment's page, behind the others or in their place."""
    piece = HTML + hashlib.sha256(said.words).hexdigest()[:24]
    return await _text(recorder, said, "html", piece, {OVERRIDES: True} if said.flag("override") else {})


async def code(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """The experiment's code, in place of what was there."""
    return await _text(recorder, said, "code", CODE)


async def graph(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """The model's graph, in place of what was there."""
    return await _text(recorder, said, "graph", GRAPH)


async def _text(
    recorder: Recorder, said: Said, what: str, asset_id: str, metadata: Mapping[str, Any] | None = None
) -> Answer:
    """The text of the member `what` as a file of that kind."""
    content = str(said.fields.get(what) or "").encode(errors="replace")
    suffix, content_type = ("html", "text/html") if what == "html" else ("txt", "text/plain")
    await _log(
        recorder,
        said,
        content,
        asset_id=asset_id,
        name=f"comet/{what}.{suffix}",
        kind=what,
        content_type=content_type,
        metadata=dict(metadata or {}),
    )
    return {}


async def empty(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """An asset whose pieces come one by one."""
    asset_id = hashlib.sha256(said.words + b"%d" % recorder.stamp()).hexdigest()[:32]
    await _log(
        recorder,
        said,
        b"",
        asset_id=asset_id,
        name=asset_name(said.fields.get("userFileName") or "unnamed"),
        kind=_kind(said.fields.get("assetType") or "asset"),
        step=step_of(said.fields.get("step")),
        metadata=metadata_of(said.fields.get("metadata")),
    )
    return {"assetId": asset_id}


async def remote_model(recorder: Recorder, request: web.Request, said: Said) -> Answer:
    """Files of a model that are somewhere else."""
    model = said.text("modelName")
    for one in said.listed("remoteEntities", _MAX_REMOTE_FILES):
        if not isinstance(one, dict):
            continue
        uri = str(one.get("remoteUrl") or one.get("link") or "")
        made = hashlib.sha256(f"{model}\n{uri}".encode(errors="replace")).hexdigest()[:32]
        await _log(
            recorder,
            said,
            uri.encode(errors="replace"),
            asset_id=fitted(one.get("assetId") or made, _MAX_ID_CHARS),
            name=asset_name(f"{model}/{one.get('fileName') or uri.rpartition('/')[2] or 'model'}"),
            kind="model",
            content_type="text/uri-list",
            metadata={**metadata_of(one.get("metadata")), LINK: uri, MODEL: model},
        )
    return {}


async def _log(recorder: Recorder, said: Said, content: bytes, **fields: Any) -> None:
    key = await recorder.require(said.key)
    sha256, size_bytes = await recorder.files.kept(content)
    logged = AssetLogged(at_us=recorder.stamp(), sha256=sha256, size_bytes=size_bytes, **fields)
    await recorder.say(key, said.words + logged.asset_id.encode(), [logged])


def _metadata(upload: Upload, query: Mapping[str, str]) -> dict[str, Any]:
    found = dict(upload.metadata or {})
    if upload.link:
        found[LINK] = upload.link
    if query.get("groupingName") and kind_of_asset(query.get("type", "")) == "model":
        # A folder may be below the model's: the file's own folder says nothing.
        found[MODEL] = query["groupingName"]
    epoch = step_of(query.get("epoch"))
    if epoch is not None:
        found.setdefault("epoch", epoch)
    return found


def _asset_id(query: Mapping[str, str], key: str, upload: Upload) -> str:
    """The client's own; else one that the same file under the same name and step has again: the client may be sending
    it a second time."""
    made = query.get("assetId") or query.get("imageId")
    if made:
        return fitted(made, _MAX_ID_CHARS)
    said = (key, *(query.get(name, "") for name in ("fileName", "step", "type", "context")), upload.sha256)
    return hashlib.sha256("\n".join(said).encode(errors="replace")).hexdigest()[:32]


def _kind(asset_type: Any) -> str:
    return fitted(kind_of_asset(str(asset_type)), _MAX_KIND_CHARS)


def _named(upload: Upload, query: Mapping[str, str]) -> str:
    extension = query.get("extension", "").lstrip(".")
    return f"{query.get('type') or 'asset'}-{upload.sha256[:8]}{'.' if extension else ''}{extension}"


def _content_type(name: str, extension: str | None) -> str:
    guessed = mimetypes.guess_type(name)[0]
    if guessed is None and extension:
        guessed = mimetypes.guess_type(f"a.{extension.lstrip('.')}")[0]
    return guessed or "application/octet-stream"
