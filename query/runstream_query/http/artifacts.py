"""Artifacts, their versions, and the files of those."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from aiohttp import web
from pydantic import Field as ModelField

from runstream.events.positions import Positions
from runstream_model.past import PastArtifact, artifact_after
from runstream_query.answers import (
    Artifact,
    ArtifactFile,
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
from runstream_query.http.endpoint import Asked, AskedOfPast, Call, Endpoint
from runstream_query.http.files import file_headers, send_file
from runstream_query.http.past import events_of, time_of
from runstream_query.repositories.cursors import Cursor
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.prefix import within

#: `project` and `latest_*` are left out of it where there are none.
_ARTIFACT: Final = (
    "artifact, workspace, project, artifact_type, name, description, notes, tags, public, created_at, updated_at, "
    "versions, latest_ordinal, latest_version"
)
_VERSION: Final = ", ".join(ArtifactVersion.model_fields)
_ORDER: Final = ("key", "project", "artifact_type", "name")
_ORDINAL: Final = re.compile(r"[1-9][0-9]{0,18}\Z", re.ASCII)


class AskedArtifacts(Asked):
    workspace: str | None = None
    project: str | None = ModelField(default=None, description="empty: only those of whole workspaces")
    type: str | None = ModelField(default=None, description="model, panel, dataset, ...")
    name: str | None = None
    limit: int = ModelField(default=100, ge=1, le=1000, description="artifacts a page")
    cursor: str | None = ModelField(default=None, max_length=3000)


class AskedVersions(AskedOfPast):
    version: str | None = ModelField(default=None, description="what it is called: 1.0.0, 3, ...")
    alias: str | None = None
    limit: int = ModelField(default=100, ge=1, le=1000, description="versions a page")
    cursor: str | None = ModelField(default=None, max_length=100)


class AskedFile(Asked):
    name: str = ModelField(min_length=1, max_length=1000, description="the file's name, as the version lists it")


async def list_artifacts(context: Context, call: Call[AskedArtifacts]) -> Artifacts:
    """By workspace, project or (of a whole workspace) name, then by type and name."""
    asked, parameters = call.asked, Parameters()
    conditions = ["NOT deleted"]
    if asked.workspace is not None:
        conditions.append(f"startsWith(key, {parameters.text(asked.workspace + '/')})")
        if asked.project:
            conditions.append(f"key = {parameters.text(f'{asked.workspace}/{asked.project}')}")
    for column, wanted in (("project", asked.project), ("artifact_type", asked.type), ("name", asked.name)):
        if wanted is not None:
            conditions.append(f"{column} = {parameters.text(wanted)}")
    question = _question(asked)
    if asked.cursor:
        terms = Cursor.parse(asked.cursor, question).terms
        if len(terms) != len(_ORDER) or not all(isinstance(term, str) for term in terms):
            raise InvalidRequest("this cursor is none of artifacts: give next_cursor as it was", name="cursor")
        behind = ", ".join(parameters.text(str(term)) for term in terms)
        conditions.append(f"({', '.join(_ORDER)}) > ({behind})")
    sql = (
        f"SELECT key, {_ARTIFACT} FROM artifacts WHERE {' AND '.join(conditions)} "
        f"ORDER BY {', '.join(_ORDER)} LIMIT {parameters.integer(asked.limit + 1)}"
    )
    rows = await context.rows(sql, parameters)
    page = rows[: asked.limit]
    cursor = None
    if len(rows) > asked.limit:
        cursor = Cursor(tuple(page[-1][column] for column in _ORDER), 0, question).text()
    return Artifacts(artifacts=[artifact_of(row) for row in page], next_cursor=cursor)


def _question(asked: AskedArtifacts) -> str:
    text = json.dumps([asked.workspace, asked.project, asked.type, asked.name])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def show_artifact(context: Context, call: Call[AskedOfPast]) -> Artifact:
    prefix = await context.prefix(call.asked.as_of, call.asked.wait_s)
    if prefix is not None:
        return artifact_of((await _folded(context, call.path["artifact"], prefix)).row)
    return artifact_of(await _artifact_row(context, call.path["artifact"]))


async def list_versions(context: Context, call: Call[AskedVersions]) -> ArtifactVersions:
    """The newest first."""
    artifact, asked = call.path["artifact"], call.asked
    prefix = await context.prefix(asked.as_of, asked.wait_s)
    below = read_cursor(asked.cursor, 1)[0] if asked.cursor else 2**64 - 1
    if prefix is not None:
        past = (await _folded(context, artifact, prefix)).versions
        wanted = (row for row in past if row["ordinal"] < below and _is_wanted(row, asked))
        rows: Sequence[Mapping[str, Any]] = sorted(wanted, key=lambda row: -int(row["ordinal"]))[: asked.limit + 1]
    else:
        await _artifact_row(context, artifact)
        parameters = Parameters()
        conditions = [f"artifact = {parameters.text(artifact)} AND ordinal < {parameters.bind(below, 'UInt64')}"]
        if asked.version is not None:
            conditions.append(f"version = {parameters.text(asked.version)}")
        if asked.alias is not None:
            conditions.append(f"has(aliases, {parameters.text(asked.alias)})")
        sql = (
            f"SELECT {_VERSION} FROM artifact_versions WHERE {' AND '.join(conditions)} AND NOT deleted "
            f"ORDER BY ordinal DESC LIMIT {parameters.integer(asked.limit + 1)}"
        )
        rows = await context.rows(sql, parameters)
    page = rows[: asked.limit]
    cursor = write_cursor(page[-1]["ordinal"]) if len(rows) > asked.limit else None
    return ArtifactVersions(versions=[version_of(row) for row in page], next_cursor=cursor)


def _is_wanted(row: Mapping[str, Any], asked: AskedVersions) -> bool:
    named = asked.version is None or row["version"] == asked.version
    return named and (asked.alias is None or asked.alias in row["aliases"])


async def show_version(context: Context, call: Call[AskedOfPast]) -> ArtifactVersionDetail:
    """A version with its metadata and its files, by name."""
    artifact, ordinal = call.path["artifact"], _ordinal(call.path["ordinal"])
    prefix = await context.prefix(call.asked.as_of, call.asked.wait_s)
    if prefix is not None:
        past = (await _folded(context, artifact, prefix)).versions
        found = next((row for row in past if row["ordinal"] == ordinal), None)
        if found is None:
            raise NotFound(f"artifact {artifact} had no version {ordinal} as of {prefix}: give a later as_of")
        row: Mapping[str, Any] = found
    else:
        row = await _version_row(context, artifact, ordinal)
    parameters = Parameters()
    sql = (
        "SELECT metadata, file_names, file_sha256s, file_sizes, file_types, file_links FROM artifact_contents "
        f"WHERE artifact = {parameters.text(artifact)} AND ordinal = {parameters.bind(ordinal, 'UInt64')} LIMIT 1"
    )
    (contents,) = await context.rows(sql, parameters)
    columns = [contents[f"file_{name}"] for name in ("names", "sha256s", "sizes", "types", "links")]
    files = [
        ArtifactFile(name=name, sha256=sha256 or None, size_bytes=size, content_type=kind, link=link or None)
        for name, sha256, size, kind, link in sorted(zip(*columns, strict=True))
    ]
    return ArtifactVersionDetail(version=version_of(row), metadata=json.loads(contents["metadata"]), files=files)


async def download(context: Context, call: Call[AskedFile]) -> web.StreamResponse:
    """The bytes of a version's file, whole or one range of them."""
    artifact, ordinal, name = call.path["artifact"], _ordinal(call.path["ordinal"]), call.asked.name
    await _version_row(context, artifact, ordinal)
    parameters = Parameters()
    place = f"indexOf(file_names, {parameters.text(name)})"
    sql = (
        f"SELECT file_sha256s[{place}] AS sha256, file_types[{place}] AS content_type, file_links[{place}] AS link "
        f"FROM artifact_contents WHERE artifact = {parameters.text(artifact)} AND "
        f"ordinal = {parameters.bind(ordinal, 'UInt64')} AND {place} > 0 LIMIT 1"
    )
    rows = await context.rows(sql, parameters)
    if not rows:
        raise NotFound(
            f"version {ordinal} of artifact {artifact} has no file {name[:80]!r}: it lists those that it has"
        )
    if not rows[0]["sha256"]:
        raise InvalidRequest(
            f"the bytes of {name!r} are not here but at {rows[0]['link']}: get them there", name="name"
        )
    headers = file_headers(name.rpartition("/")[2], rows[0]["content_type"])
    return await send_file(context, call.request, rows[0]["sha256"], name, headers)


async def list_of_run(context: Context, call: Call[Asked]) -> RunArtifacts:
    """Versions that came from a run: the models that it logged."""
    parameters = Parameters()
    run = parameters.text(call.path["run"])
    # What a version came from never changes, so any of its rows tells.
    versions = f"(SELECT artifact, ordinal FROM artifact_version_states WHERE run = {run})"
    sql = (
        f"SELECT {_VERSION} FROM artifact_versions WHERE (artifact, ordinal) IN {versions} AND NOT deleted "
        "ORDER BY artifact, ordinal"
    )
    found = await context.rows(sql, parameters)
    if not found:
        await context.require_run(call.path["run"])
        return RunArtifacts(versions=[])
    bound = Parameters()
    wanted = bound.texts(sorted({row["artifact"] for row in found}))
    places = await context.rows(f"SELECT key, {_ARTIFACT} FROM artifacts WHERE artifact IN {wanted}", bound)
    place_of = {row["artifact"]: artifact_of(row) for row in places}
    rows = []
    for row in found:
        place = place_of[row["artifact"]]
        named = {name: getattr(place, name) for name in ("workspace", "project", "artifact_type", "name")}
        rows.append(RunArtifact(**version_of(row).model_dump(), **named))
    return RunArtifacts(versions=sorted(rows, key=lambda row: (row.artifact_type, row.name, row.artifact, row.ordinal)))


def artifact_of(row: Mapping[str, Any]) -> Artifact:
    """A row of the view `artifacts`, or of `artifact_states` as the fold makes it, as an answer."""
    values = {name: row[name] for name in Artifact.model_fields}
    for name in ("project", "latest_ordinal", "latest_version"):
        values[name] = values[name] or None
    return Artifact(**_with_times(values))


def version_of(row: Mapping[str, Any]) -> ArtifactVersion:
    """A row of the view `artifact_versions`, or of `artifact_version_states` as the fold makes it, as an answer."""
    values = {name: row[name] for name in ArtifactVersion.model_fields}
    return ArtifactVersion(**_with_times(values | {"run": values["run"] or None}))


def _with_times(values: dict[str, Any]) -> dict[str, Any]:
    for name in ("created_at", "updated_at"):
        if isinstance(values[name], int):
            values[name] = time_of(values[name])
    return values


def _ordinal(text: str) -> int:
    if not _ORDINAL.match(text):
        raise InvalidRequest(
            f"{text[:40]!r} is no number of a version: give its ordinal; versions?version=... finds it", name="ordinal"
        )
    return int(text)


async def _artifact_row(context: Context, artifact: str, deleted: bool = False) -> dict[str, Any]:
    parameters = Parameters()
    there = "" if deleted else " AND NOT deleted"
    sql = f"SELECT key, {_ARTIFACT} FROM artifacts WHERE artifact = {parameters.text(artifact)}{there}"
    rows = await context.rows(sql, parameters)
    if not rows:
        raise NotFound(f"no artifact has the id {artifact[:80]!r}: look it up in /api/v1/artifacts, or give wait_for")
    return rows[0]


async def _version_row(context: Context, artifact: str, ordinal: int) -> dict[str, Any]:
    parameters = Parameters()
    sql = (
        f"SELECT {_VERSION} FROM artifact_versions WHERE artifact = {parameters.text(artifact)} AND "
        f"ordinal = {parameters.bind(ordinal, 'UInt64')} AND NOT deleted"
    )
    rows = await context.rows(sql, parameters)
    if not rows:
        await _artifact_row(context, artifact)
        raise NotFound(
            f"artifact {artifact} has no version {ordinal}: /api/v1/artifacts/{artifact}/versions lists those it has"
        )
    return rows[0]


async def _folded(context: Context, artifact: str, prefix: Positions) -> PastArtifact:
    """The artifact after the events up to `prefix`. Raises NotFound if it was not there then."""
    key = (await _artifact_row(context, artifact, deleted=True))["key"]
    parameters = Parameters()
    sql = (
        f"SELECT part, offset, seq, writer, body FROM events WHERE key = {parameters.text(key)} AND "
        f"startsWith(type, 'artifact_') AND {within(prefix, parameters)} ORDER BY part, offset, seq"
    )
    events = await events_of(context, sql, parameters, f"the key of artifact {artifact}")
    async with context.folding:
        past = await asyncio.to_thread(artifact_after, artifact, events)
    if past is None:
        raise NotFound(f"the artifact {artifact} was not there as of {prefix}: give another as_of")
    return past


_ARTIFACTS: Final = "/api/v1/artifacts"
_VERSIONS: Final = f"{_ARTIFACTS}/{{artifact}}/versions"
ENDPOINTS: Final[Iterable[Endpoint]] = (
    Endpoint("GET", _ARTIFACTS, "Artifacts", list_artifacts, AskedArtifacts, Artifacts),
    Endpoint("GET", "/api/v1/runs/{run}/artifacts", "Versions that came from a run", list_of_run, Asked, RunArtifacts),
    Endpoint("GET", f"{_ARTIFACTS}/{{artifact}}", "An artifact", show_artifact, AskedOfPast, Artifact),
    Endpoint("GET", _VERSIONS, "Versions of an artifact", list_versions, AskedVersions, ArtifactVersions),
    Endpoint("GET", f"{_VERSIONS}/{{ordinal}}", "A version", show_version, AskedOfPast, ArtifactVersionDetail),
    Endpoint(
        "GET",
        f"{_VERSIONS}/{{ordinal}}/file",
        "The bytes of a version's file",
        download,
        AskedFile,
        None,
        ("application/octet-stream",),
    ),
)
