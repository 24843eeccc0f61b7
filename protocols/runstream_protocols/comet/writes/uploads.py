"""Files of an experiment: assets of every type, figures, pages, code, graphs, patches."""

import hashlib
import mimetypes
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from runstream.events import roles
from runstream.events.control import AssetDeleted, AssetLogged, RunEvent
from runstream.events.positions import Positions
from runstream_protocols.comet.conventions import OVERRIDES, kind_of_asset, registered, upload_kind
from runstream_protocols.comet.errors import refused
from runstream_protocols.comet.paths import asset_link
from runstream_protocols.comet.writes.experiments import experiment_of
from runstream_protocols.comet.writes.forms import Upload, receive
from runstream_protocols.comet.writes.metadata import metadata_of
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.recorder import Recorder
from runstream_protocols.kit.values import asset_name, fitted, step_of
from runstream_service.problems import RETRY_AFTER_S, Problem

Response = dict[str, object]

#: Ids of the files with a role: a later one of the same id takes the place of the earlier one. A page is made of
#: pieces, whose ids begin with _PIECE.
_CODE: Final = "comet-code"
_GRAPH: Final = "comet-graph"
_PATCH: Final = "comet-git-patch"
_PIECE: Final = "comet-html-"
_MAX_ID_CHARS: Final = 64
_MAX_KIND_CHARS: Final = 100
#: Files of a remote model: each is written and appended by itself.
_MAX_REMOTE_FILES: Final = 1_000
#: The client's word for a name that it leaves to the server.
_YOURS: Final = "auto-generated-in-the-backend"


async def asset(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """An asset. How it is called stands in the query string; names in the body mean nothing."""
    key = await experiment_of(recorder, payload)
    upload = await receive(recorder.uploads, request)
    query = request.query
    name, group = query.get("fileName") or query.get("figName"), query.get("groupingName")
    if name in (None, "", _YOURS):
        name = _named(upload, query)
    version = _version_of(query)
    logged = AssetLogged(
        at_us=recorder.stamp(),
        asset_id=_asset_id(query, key, upload),
        name=asset_name(f"{group}/{name}" if group else name),
        kind=upload_kind(version) if version else _kind_in(query),
        role=roles.UPLOAD if version else None,
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        content_type=_content_type(name, query.get("extension")),
        step=step_of(query.get("step")),
        context=fitted(query["context"], _MAX_KIND_CHARS) if query.get("context") else None,
        metadata=_metadata(upload, query),
        location=upload.link or None,
        # A folder may be below the model's: the file's own folder says nothing.
        model=(group or None) if kind_of_asset(query.get("type", "")) == "model" else None,
    )
    events: list[RunEvent] = []
    if payload.flag("overwrite"):
        before = await recorder.lookup.assets_named(key, logged.name)
        events += [AssetDeleted(at_us=logged.at_us, asset_id=old) for old in before if old != logged.asset_id]
    positions = await recorder.record(key, payload.content, [*events, logged], wait=version is None)
    if version is not None:
        await _require_found(recorder, positions, logged.name)
    link = asset_link(request, experimentKey=key, assetId=logged.asset_id)
    return {"assetId": logged.asset_id, "imageId": logged.asset_id, "link": link}


def _version_of(query: Mapping[str, str]) -> str | None:
    """Return the id of the version of an artifact that a file is of; None if it is of none. Raises Problem."""
    version_id = query.get("artifactVersionId")
    if version_id and (registered(version_id) or (None, None, 0))[2] is not None:
        raise refused(
            f"artifactVersionId is {version_id[:80]!r}: give the one of the version", name="artifactVersionId"
        )
    return version_id or None


async def _require_found(recorder: Recorder, positions: Positions, name: str) -> None:
    """Refuse a file of a version that whoever closes the version might not see. Raises Problem (503)."""
    if not await recorder.can_be_found(positions):
        detail = f"{name}: it is durable, but cannot be read yet: send the request again"
        raise Problem(503, "not-visible", "Not visible yet", detail, retry_after_s=RETRY_AFTER_S)


async def remote_files(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Files of versions of artifacts that are somewhere else."""
    key = await experiment_of(recorder, payload)
    events = []
    for one in payload.listed("remoteArtifactAssetRequests", _MAX_REMOTE_FILES):
        fields = {name: str(value) for name, value in one.items() if value is not None} if isinstance(one, dict) else {}
        version, link = _version_of(fields), fields.get("link", "")
        if version is None or not link:
            raise refused("a file has no artifactVersionId or no link: give both", name="remoteArtifactAssetRequests")
        sha256, size_bytes = await recorder.uploads.store(link.encode(errors="replace"))
        made = hashlib.sha256(f"{version}\n{link}".encode(errors="replace")).hexdigest()[:32]
        logged = AssetLogged(
            at_us=recorder.stamp(),
            asset_id=fitted(fields.get("assetId") or made, _MAX_ID_CHARS),
            name=asset_name(fields.get("fileName") or link.rpartition("/")[2] or "file"),
            kind=upload_kind(version),
            role=roles.UPLOAD,
            sha256=sha256,
            size_bytes=size_bytes,
            content_type="text/uri-list",
            metadata=metadata_of(fields.get("metadata")),
            location=link,
        )
        events.append(logged)
    positions = await recorder.record(key, payload.content, events, wait=False)
    await _require_found(recorder, positions, "files that are elsewhere")
    return {}


async def patch(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """What was changed since the commit, as the archive that the client made."""
    key = await experiment_of(recorder, payload)
    upload = await receive(recorder.uploads, request)
    logged = AssetLogged(
        at_us=recorder.stamp(),
        asset_id=_PATCH,
        name="comet/git_patch.zip",
        kind="git-patch",
        role=roles.PATCH,
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        content_type="application/zip",
    )
    await recorder.record(key, payload.content, [logged])
    return {}


async def item(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """One piece of an asset of several (points in space), or an asset's small picture. Who sends it stands in a part
    of the body."""
    upload = await receive(recorder.uploads, request)
    parameters = {**payload.fields, **(upload.parameters or {})}
    key = await experiment_of(recorder, Payload(parameters, b""))
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
    await recorder.record(key, payload.content, [logged])
    return {"assetId": logged.asset_id}


async def page(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """A piece of the experiment's page, behind the others or in their place."""
    piece = _PIECE + hashlib.sha256(payload.content).hexdigest()[:24]
    metadata = {OVERRIDES: True} if payload.flag("override") else {}
    return await _text(recorder, payload, "html", roles.PAGE, piece, metadata)


async def code(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """The experiment's code, in place of what was there."""
    return await _text(recorder, payload, "code", roles.CODE, _CODE)


async def graph(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """The model's graph, in place of what was there."""
    return await _text(recorder, payload, "graph", roles.GRAPH, _GRAPH)


async def _text(
    recorder: Recorder,
    payload: Payload,
    what: str,
    role: str,
    asset_id: str,
    metadata: Mapping[str, Any] | None = None,
) -> Response:
    """Record the text of the member `what` as a file of that kind."""
    content = str(payload.fields.get(what) or "").encode(errors="replace")
    suffix, content_type = ("html", "text/html") if what == "html" else ("txt", "text/plain")
    await _log(
        recorder,
        payload,
        content,
        asset_id=asset_id,
        name=f"comet/{what}.{suffix}",
        kind=what,
        content_type=content_type,
        role=role,
        metadata=dict(metadata or {}),
    )
    return {}


async def empty(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """An asset whose pieces come one by one."""
    asset_id = hashlib.sha256(payload.content + b"%d" % recorder.stamp()).hexdigest()[:32]
    await _log(
        recorder,
        payload,
        b"",
        asset_id=asset_id,
        name=asset_name(payload.fields.get("userFileName") or "unnamed"),
        kind=_kind(payload.fields.get("assetType") or "asset"),
        step=step_of(payload.fields.get("step")),
        metadata=metadata_of(payload.fields.get("metadata")),
    )
    return {"assetId": asset_id}


async def remote_model(recorder: Recorder, request: web.Request, payload: Payload) -> Response:
    """Files of a model that are somewhere else."""
    model = payload.text("modelName")
    for one in payload.listed("remoteEntities", _MAX_REMOTE_FILES):
        if not isinstance(one, dict):
            continue
        uri = str(one.get("remoteUrl") or one.get("link") or "")
        made = hashlib.sha256(f"{model}\n{uri}".encode(errors="replace")).hexdigest()[:32]
        await _log(
            recorder,
            payload,
            uri.encode(errors="replace"),
            asset_id=fitted(one.get("assetId") or made, _MAX_ID_CHARS),
            name=asset_name(f"{model}/{one.get('fileName') or uri.rpartition('/')[2] or 'model'}"),
            kind="model",
            content_type="text/uri-list",
            metadata=metadata_of(one.get("metadata")),
            location=uri or None,
            model=model,
        )
    return {}


async def _log(recorder: Recorder, payload: Payload, content: bytes, **fields: Any) -> None:
    key = await experiment_of(recorder, payload)
    sha256, size_bytes = await recorder.uploads.store(content)
    logged = AssetLogged(at_us=recorder.stamp(), sha256=sha256, size_bytes=size_bytes, **fields)
    await recorder.record(key, payload.content + logged.asset_id.encode(), [logged])


def _metadata(upload: Upload, query: Mapping[str, str]) -> dict[str, Any]:
    found = dict(upload.metadata or {})
    epoch = step_of(query.get("epoch"))
    if epoch is not None:
        found.setdefault("epoch", epoch)
    return found


def _asset_id(query: Mapping[str, str], key: str, upload: Upload) -> str:
    """The client's own; else one that the same file under the same name and step has again: the client may be sending
    it a second time."""
    given = query.get("assetId") or query.get("imageId")
    if given:
        return fitted(given, _MAX_ID_CHARS)
    identity = (key, *(query.get(name, "") for name in ("fileName", "step", "type", "context")), upload.sha256)
    return hashlib.sha256("\n".join(identity).encode(errors="replace")).hexdigest()[:32]


def _kind_in(query: Mapping[str, str]) -> str:
    return _kind(query.get("type") or ("image" if "imageId" in query else "asset"))


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
