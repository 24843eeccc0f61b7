"""Registered models as the read models have them: their versions in order, and the files of those."""

import asyncio
import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from runstream_protocols.comet.conventions import (
    MODEL_TYPE,
    NO_STATUS,
    REGISTERED_FILES,
    REGISTERED_FROM,
    REMARK_OF,
    registry_model_id,
    remarks_id,
)
from runstream_query.errors import InvalidRequest, NotFound
from runstream_query.http.context import Context
from runstream_query.http.files import file_headers, send_file
from runstream_query.repositories.statements.parameters import Parameters

_NUMBERS: Final = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-[^+]*)?(?:\+.*)?", re.ASCII)
_FILES: Final = "file_names, file_sha256s, file_sizes, file_types, file_links"


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered model."""

    artifact: str
    workspace: str
    name: str
    description: str
    notes: str
    public: bool
    created_at: datetime
    updated_at: datetime
    versions: int

    @property
    def key(self) -> str:
        """The key of the records of all that was said about it."""
        return f"{self.workspace}/{self.name}"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a version. `number` is its place among them. Either `sha256` or `link` is empty."""

    number: int
    name: str
    sha256: str
    size_bytes: int
    content_type: str
    link: str


@dataclass(frozen=True, slots=True)
class Version:
    """`metadata` is what it was logged with, `from_model` and `about_files` what stands in there for the registry.
    `files` are there if they were asked for."""

    ordinal: int
    version: str
    comment: str
    status: str
    labels: tuple[str, ...]
    run: str
    created_at: datetime
    updated_at: datetime
    metadata: Mapping[str, Any]
    from_model: str
    about_files: Mapping[str, Mapping[str, Any]]
    files: tuple[File, ...] = ()


def numbers_of(version: str) -> tuple[int, int, int] | None:
    """Major, minor and patch number of a version, missing ones being 0; None if its text has none."""
    found = _NUMBERS.fullmatch(version)
    return None if found is None else (int(found[1]), int(found[2] or 0), int(found[3] or 0))


def rank(version: str, ordinal: int) -> tuple[object, ...]:
    """What versions are sorted by, the lowest first: by their numbers as semantic versioning has it, a preview before
    what it is one of; texts without numbers before all, and what is equal in the order of registration."""
    numbers, found = numbers_of(version), _NUMBERS.fullmatch(version)
    if numbers is None or found is None:
        return (0, (), 0, (), ordinal)
    preview = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in (found[4] or "").removeprefix("-").split(".")
    )
    return (1, numbers, 0 if found[4] else 1, preview if found[4] else (), ordinal)


async def registered_models(context: Context, workspace: str) -> list[Registered]:
    """Those of a workspace, by name."""
    parameters = Parameters()
    scope = f"workspace = {parameters.text(workspace)} AND startsWith(key, {parameters.text(workspace + '/')})"
    return await _models(context, scope, parameters)


async def find_model(context: Context, workspace: str, name: str) -> Registered:
    """Raises NotFound."""
    parameters = Parameters()
    scope = f"artifact = {parameters.text(registry_model_id(workspace, name))}"
    found = await _models(context, scope, parameters)
    if not found:
        raise NotFound(
            f"there is no registered model {name[:140]!r} in {workspace[:140]}: see get_registry_model_names"
        )
    return found[0]


async def model_with_id(context: Context, model_id: str) -> Registered:
    """Raises NotFound."""
    parameters = Parameters()
    found = await _models(context, f"artifact = {parameters.text(model_id)}", parameters)
    if not found:
        raise NotFound(f"no registered model has the id {model_id[:80]!r}: look it up by its name")
    return found[0]


async def _models(context: Context, scope: str, parameters: Parameters) -> list[Registered]:
    columns = "artifact, workspace, name, description, notes, public, created_at, updated_at, versions"
    sql = (
        f"SELECT {columns} FROM artifacts WHERE {scope} AND project = '' AND "
        f"artifact_type = {parameters.text(MODEL_TYPE)} AND NOT deleted ORDER BY name"
    )
    return [Registered(**row) for row in await context.rows(sql, parameters)]


async def versions_of(
    context: Context, artifact: str, *, ordinal: int | None = None, with_files: bool = False
) -> list[Version]:
    """Its versions, the highest first; or the one with this number, if it is there."""
    parameters = Parameters()
    only = "" if ordinal is None else f" AND ordinal = {parameters.bind(ordinal, 'UInt64')}"
    columns = "ordinal, version, comment, status, tags, stages, run, created_at, updated_at"
    sql = f"SELECT {columns} FROM artifact_versions WHERE artifact = {parameters.text(artifact)}{only} AND NOT deleted"
    rows = await context.rows(sql, parameters)
    found = await contents_of(context, artifact, ordinal, with_files=with_files)

    def in_order() -> list[Version]:
        made = [_version(row, found.get(row["ordinal"], {})) for row in rows]
        return sorted(made, key=lambda one: rank(one.version, one.ordinal), reverse=True)

    return await asyncio.to_thread(in_order) if context.usage.is_large else in_order()


async def with_files_of(context: Context, artifact: str, version: Version) -> Version:
    """A version that was read without its files, with them: those of all versions may be millions."""
    found = await contents_of(context, artifact, version.ordinal, with_files=True)
    return dataclasses.replace(version, files=files_of(found.get(version.ordinal, {})))


async def contents_of(
    context: Context, artifact: str, ordinal: int | None, *, with_files: bool
) -> dict[int, dict[str, Any]]:
    """Rows of what never changes, by number."""
    parameters = Parameters()
    only = "" if ordinal is None else f" AND ordinal = {parameters.bind(ordinal, 'UInt64')}"
    files = f", {_FILES}" if with_files else ""
    sql = f"SELECT ordinal, metadata{files} FROM artifact_contents WHERE artifact = {parameters.text(artifact)}{only}"
    return {row["ordinal"]: row for row in await context.rows(sql, parameters)}


def _version(row: Mapping[str, Any], contents: Mapping[str, Any]) -> Version:
    metadata = json.loads(contents.get("metadata") or "{}")
    from_model, about = metadata.pop(REGISTERED_FROM, ""), metadata.pop(REGISTERED_FILES, {})
    return Version(
        row["ordinal"],
        row["version"],
        row["comment"],
        row["status"] or NO_STATUS,
        tuple(dict.fromkeys((*row["tags"], *row["stages"]))),
        row["run"],
        row["created_at"],
        row["updated_at"],
        metadata,
        from_model if isinstance(from_model, str) else "",
        about if isinstance(about, dict) else {},
        files_of(contents),
    )


def files_of(contents: Mapping[str, Any]) -> tuple[File, ...]:
    """The files in a row of contents."""
    columns = [contents.get(name, ()) for name in _FILES.split(", ")]
    return tuple(File(number, *file) for number, file in enumerate(zip(*columns, strict=True)))


async def remarks_on(context: Context, model: Registered, ordinal: int) -> Sequence[Mapping[str, Any]]:
    """What was said later about a version and has no place in it, the oldest first."""
    parameters = Parameters()
    sql = (
        "SELECT metadata FROM artifact_contents WHERE "
        f"artifact = {parameters.text(remarks_id(model.workspace, model.name))} AND "
        f"JSONExtractUInt(metadata, '{REMARK_OF}') = {parameters.bind(ordinal, 'UInt64')} ORDER BY ordinal"
    )
    return [json.loads(row["metadata"]) for row in await context.rows(sql, parameters)]


async def send_registered(
    context: Context, request: web.Request, artifact: str, ordinal: int, number: int | None
) -> web.StreamResponse:
    """The bytes of a version's file, whole or one range. Raises NotFound, InvalidRequest."""
    versions = await versions_of(context, artifact, ordinal=ordinal, with_files=True)
    files = versions[0].files if versions else ()
    if number is None or number >= len(files):
        raise NotFound(f"no registered model has a file {artifact}-{ordinal}-{number}: list them with get_assets")
    file = files[number]
    if not file.sha256:
        raise InvalidRequest(f"the bytes of {file.name!r} are not here but at {file.link}: get them there")
    headers = file_headers(file.name.rpartition("/")[2], file.content_type)
    return await send_file(context, request, file.sha256, file.name, headers)
