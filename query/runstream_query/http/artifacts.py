"""Artifacts, their versions, and the files of those."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import Field as ModelField

from runstream.events.moments import moment_of
from runstream.events.positions import Positions
from runstream_model.past import artifact_after
from runstream_query.artifact_responses import (
    Artifact,
    ArtifactFile,
    ArtifactRemark,
    ArtifactRemarks,
    Artifacts,
    ArtifactVersion,
    ArtifactVersionDetail,
    ArtifactVersions,
    RunArtifact,
    RunArtifacts,
)
from runstream_query.errors import InvalidRequest, NotFound
from runstream_query.http.context import Context
from runstream_query.http.cursors import read_cursor, write_cursor
from runstream_query.http.files import file_headers, send_file
from runstream_query.http.past import require_foldable
from runstream_query.http.requests import PastParameters, RequestParameters
from runstream_query.http.unknown import unknown_place
from runstream_query.repositories.arguments import Place
from runstream_query.repositories.artifacts import ARTIFACT_ORDER, ArtifactQuery, ArtifactRecord, VersionRecord
from runstream_query.repositories.cursors import Cursor
from runstream_query.repositories.events import About
from runstream_service.access import Action
from runstream_service.routing import Call, Route

R = TypeVar("R", ArtifactRecord, VersionRecord)

_ORDINAL: Final = re.compile(r"[1-9][0-9]{0,18}\Z", re.ASCII)


class ArtifactsParameters(RequestParameters):
    workspace: str | None = None
    project: str | None = ModelField(default=None, description="empty: only those of whole workspaces")
    type: str | None = ModelField(default=None, description="model, panel, dataset, ...")
    name: str | None = None
    limit: int = ModelField(default=100, ge=1, le=1000, description="artifacts a page")
    cursor: str | None = ModelField(default=None, max_length=3000)


class VersionsParameters(PastParameters):
    version: str | None = ModelField(default=None, description="what it is called: 1.0.0, 3, ...")
    alias: str | None = None
    limit: int = ModelField(default=100, ge=1, le=1000, description="versions a page")
    cursor: str | None = ModelField(default=None, max_length=100)


class RemarksParameters(RequestParameters):
    limit: int = ModelField(default=100, ge=1, le=1000, description="remarks a page")
    cursor: str | None = ModelField(default=None, max_length=100)


class FileParameters(RequestParameters):
    name: str = ModelField(min_length=1, max_length=1000, description="the file's name, as the version lists it")


async def list_artifacts(context: Context, call: Call[ArtifactsParameters]) -> Artifacts:
    """By workspace, project or (of a whole workspace) name, then by type and name."""
    parameters = call.parameters
    question, after = _question(parameters), None
    if parameters.cursor:
        terms = Cursor.parse(parameters.cursor, question).terms
        if len(terms) != len(ARTIFACT_ORDER) or not all(isinstance(term, str) for term in terms):
            raise InvalidRequest("this cursor is none of artifacts: give next_cursor as it was", name="cursor")
        after = [str(term) for term in terms]
    wanted = ArtifactQuery(parameters.workspace, parameters.project, parameters.type, parameters.name)
    found = await context.repositories.artifacts.page(context.scope, wanted, after, parameters.limit + 1)
    page = found[: parameters.limit]
    cursor = None
    if len(found) > parameters.limit:
        cursor = Cursor(tuple(getattr(page[-1], column) for column in ARTIFACT_ORDER), 0, question).text()
    told = []
    if not page and after is None:
        told = await unknown_place(context, Place(parameters.workspace, parameters.project))
    return Artifacts(artifacts=[artifact_of(record) for record in page], next_cursor=cursor, unknown=told)


def _question(parameters: ArtifactsParameters) -> str:
    text = json.dumps([parameters.workspace, parameters.project, parameters.type, parameters.name])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def show_artifact(context: Context, call: Call[PastParameters]) -> Artifact:
    prefix = await context.prefix(call.parameters.as_of, call.parameters.wait_s)
    if prefix is not None:
        return artifact_of((await _folded(context, call.path["artifact"], prefix))[0])
    return artifact_of(await _require_artifact(context, call.path["artifact"]))


async def list_versions(context: Context, call: Call[VersionsParameters]) -> ArtifactVersions:
    """The newest first."""
    artifact, parameters = call.path["artifact"], call.parameters
    prefix = await context.prefix(parameters.as_of, parameters.wait_s)
    below = read_cursor(parameters.cursor, 1)[0] if parameters.cursor else None
    if prefix is not None:
        past = (await _folded(context, artifact, prefix))[1]
        wanted = (one for one in past if (below is None or one.ordinal < below) and _is_wanted(one, parameters))
        found = sorted(wanted, key=lambda one: -one.ordinal)[: parameters.limit + 1]
    else:
        await _require_artifact(context, artifact)
        found = await context.repositories.artifacts.versions(
            context.scope,
            artifact,
            below=below,
            version=parameters.version,
            alias=parameters.alias,
            limit=parameters.limit + 1,
        )
    page = found[: parameters.limit]
    cursor = write_cursor(page[-1].ordinal) if len(found) > parameters.limit else None
    return ArtifactVersions(versions=[version_of(record) for record in page], next_cursor=cursor)


def _is_wanted(record: VersionRecord, parameters: VersionsParameters) -> bool:
    named = parameters.version is None or record.version == parameters.version
    return named and (parameters.alias is None or parameters.alias in record.aliases)


async def show_version(context: Context, call: Call[PastParameters]) -> ArtifactVersionDetail:
    """A version with its metadata and its files, by name."""
    artifact, ordinal = call.path["artifact"], ordinal_of(call.path["ordinal"])
    prefix = await context.prefix(call.parameters.as_of, call.parameters.wait_s)
    if prefix is not None:
        past = (await _folded(context, artifact, prefix))[1]
        found = next((one for one in past if one.ordinal == ordinal), None)
        if found is None:
            raise NotFound(f"artifact {artifact} had no version {ordinal} as of {prefix}: give a later as_of")
    else:
        found = await require_version(context, artifact, ordinal)
    found_contents = await context.repositories.artifact_files.contents(
        context.scope, artifact, [ordinal], prefix=prefix
    )
    contents = found_contents.get(ordinal)
    if contents is None:
        # The tables of a batch become visible one after the other.
        raise NotFound(
            f"version {ordinal} of artifact {artifact} is not whole yet: ask again, or wait for it with wait_for"
        )
    files = [
        ArtifactFile(
            name=file.name,
            sha256=file.sha256 or None,
            size_bytes=file.size_bytes,
            content_type=file.content_type,
            link=file.link or None,
            added_at=file.added_at,
        )
        for file in sorted(contents.files, key=lambda file: file.name)
    ]
    return ArtifactVersionDetail(version=version_of(found), metadata=json.loads(contents.metadata), files=files)


async def list_remarks(context: Context, call: Call[RemarksParameters]) -> ArtifactRemarks:
    """The oldest first."""
    artifact, ordinal, parameters = call.path["artifact"], ordinal_of(call.path["ordinal"]), call.parameters
    await require_version(context, artifact, ordinal)
    after = None
    if parameters.cursor:
        part, offset, seq = read_cursor(parameters.cursor, 3)
        after = min(part, 2**16 - 1), offset, seq
    found = await context.repositories.artifacts.remarks(
        context.scope, artifact, [ordinal], after=after, limit=parameters.limit + 1
    )
    page = found[: parameters.limit]
    cursor = write_cursor(page[-1].part, page[-1].offset, page[-1].seq) if len(found) > parameters.limit else None

    def made() -> list[ArtifactRemark]:
        return [ArtifactRemark(at=one.at, remark=json.loads(one.remark)) for one in page]

    return ArtifactRemarks(remarks=await asyncio.to_thread(made), next_cursor=cursor)


async def download(context: Context, call: Call[FileParameters]) -> web.StreamResponse:
    """The bytes of a version's file, whole or one range of them."""
    artifact, ordinal, name = call.path["artifact"], ordinal_of(call.path["ordinal"]), call.parameters.name
    await require_version(context, artifact, ordinal)
    file = await context.repositories.artifact_files.file(context.scope, artifact, ordinal, name)
    if file is None:
        raise NotFound(
            f"version {ordinal} of artifact {artifact} has no file {name[:80]!r}: it lists those that it has"
        )
    if not file.sha256:
        raise InvalidRequest(f"the bytes of {name!r} are not here but at {file.link}: get them there", name="name")
    headers = file_headers(name.rpartition("/")[2], file.content_type)
    return await send_file(context, call.request, file.sha256, name, headers)


async def list_of_run(context: Context, call: Call[RequestParameters]) -> RunArtifacts:
    """Versions that came from a run: the models that it logged."""
    artifacts = context.repositories.artifacts
    found = await artifacts.versions_of_run(context.scope, call.path["run"])
    if not found:
        await context.require_run(call.path["run"])
        return RunArtifacts(versions=[])
    of = await artifacts.with_ids(context.scope, sorted({record.artifact for record in found}))
    artifact_with_id = {record.artifact: artifact_of(record) for record in of}
    rows = []
    for record in found:
        artifact = artifact_with_id[record.artifact]
        named = {name: getattr(artifact, name) for name in ("workspace", "project", "artifact_type", "name")}
        rows.append(RunArtifact(**version_of(record).model_dump(), **named))
    return RunArtifacts(versions=sorted(rows, key=lambda row: (row.artifact_type, row.name, row.artifact, row.ordinal)))


def artifact_of(record: ArtifactRecord) -> Artifact:
    """Return the response model of an artifact."""
    values = {name: getattr(record, name) for name in Artifact.model_fields}
    for name in ("project", "latest_ordinal", "latest_version"):
        values[name] = values[name] or None
    return Artifact(**values)


def version_of(record: VersionRecord) -> ArtifactVersion:
    """Return the response model of a version."""
    values = {name: getattr(record, name) for name in ArtifactVersion.model_fields}
    return ArtifactVersion(**(values | {"run": record.run or None}))


def ordinal_of(text: str) -> int:
    """Return the number of a version as a path has it. Raises InvalidRequest."""
    if not _ORDINAL.match(text):
        raise InvalidRequest(
            f"{text[:40]!r} is no number of a version: give its ordinal; versions?version=... finds it", name="ordinal"
        )
    return int(text)


async def _require_artifact(context: Context, artifact: str, *, deleted: bool = False) -> ArtifactRecord:
    """Raises NotFound."""
    record = await context.repositories.artifacts.find(context.scope, artifact, deleted=deleted)
    if record is None:
        raise NotFound(f"no artifact has the id {artifact[:80]!r}: look it up in /api/v1/artifacts, or give wait_for")
    return record


async def require_version(context: Context, artifact: str, ordinal: int) -> VersionRecord:
    """Return a version that is there. Raises NotFound."""
    record = await context.repositories.artifacts.version(context.scope, artifact, ordinal)
    if record is None:
        await _require_artifact(context, artifact)
        raise NotFound(
            f"artifact {artifact} has no version {ordinal}: /api/v1/artifacts/{artifact}/versions lists those it has"
        )
    return record


async def _folded(context: Context, artifact: str, prefix: Positions) -> tuple[ArtifactRecord, list[VersionRecord]]:
    """The artifact and its versions after the events up to `prefix`. Raises NotFound if it was not there then."""
    key = (await _require_artifact(context, artifact, deleted=True)).key
    limit = context.settings.max_past_events
    events = await context.repositories.events.within(context.scope, key, prefix, limit + 1, About("artifact_"))
    require_foldable(events, limit, f"the key of artifact {artifact}")
    async with context.folding:
        past = await asyncio.to_thread(artifact_after, artifact, events)
    if past is None:
        raise NotFound(f"the artifact {artifact} was not there as of {prefix}: give another as_of")
    return _record(ArtifactRecord, past.row), [_record(VersionRecord, row) for row in past.versions]


def _record(kind: type[R], row: Mapping[str, Any]) -> R:
    """The record of a row as the fold makes it, whose times are integers."""
    values = {field.name: row[field.name] for field in fields(kind)}
    return kind(**values | {name: moment_of(values[name]) for name in ("created_at", "updated_at")})


_ARTIFACTS: Final = "/api/v1/artifacts"
_VERSIONS: Final = f"{_ARTIFACTS}/{{artifact}}/versions"
ROUTES: Final[Iterable[Route]] = (
    Route("GET", _ARTIFACTS, Action.READ, "Artifacts", list_artifacts, ArtifactsParameters, Artifacts),
    Route(
        "GET",
        "/api/v1/runs/{run}/artifacts",
        Action.READ,
        "Versions that came from a run",
        list_of_run,
        RequestParameters,
        RunArtifacts,
    ),
    Route("GET", f"{_ARTIFACTS}/{{artifact}}", Action.READ, "An artifact", show_artifact, PastParameters, Artifact),
    Route(
        "GET", _VERSIONS, Action.READ, "Versions of an artifact", list_versions, VersionsParameters, ArtifactVersions
    ),
    Route(
        "GET", f"{_VERSIONS}/{{ordinal}}", Action.READ, "A version", show_version, PastParameters, ArtifactVersionDetail
    ),
    Route(
        "GET",
        f"{_VERSIONS}/{{ordinal}}/remarks",
        Action.READ,
        "Remarks on a version",
        list_remarks,
        RemarksParameters,
        ArtifactRemarks,
    ),
    Route(
        "GET",
        f"{_VERSIONS}/{{ordinal}}/file",
        Action.READ,
        "The bytes of a version's file",
        download,
        FileParameters,
        None,
        ("application/octet-stream",),
    ),
)
