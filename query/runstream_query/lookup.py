"""`runstream_service.lookup.Lookup` by statements over the read models."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runstream.events.artifacts import ArtifactFile
from runstream.events.names import project_id
from runstream.events.positions import Positions
from runstream_model import run_state
from runstream_query.repositories.reader import is_large, rows_in_slices
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.runs import newest_runs
from runstream_service.lookup import (
    ArtifactOutcome,
    KnownArtifact,
    KnownFile,
    KnownRun,
    KnownVersion,
    NamedFile,
    ProjectTexts,
)
from runstream_service.store import QueryClass, QueryLimitExceeded, StoreReader, StoreUnavailable


class StoreLookup:
    """Asks the store that `store` gives, which may be none yet: a gateway takes in data before it has found it."""

    def __init__(self, store: Callable[[], StoreReader | None]) -> None:
        self._store = store

    async def run(self, run_id: str) -> KnownRun | None:
        parameters = Parameters()
        only = parameters.run_ids([run_id])
        columns = ("workspace", "project", "name", "deleted", "state")
        rows = await self._rows(f"SELECT * FROM {newest_runs(columns, only)} AS r", parameters)
        if not rows:
            return None
        row = rows[0]
        state = run_state.from_json(row["state"])
        heard_us = await self._heard_at_us(run_id, run_state.open_writers(state))
        writers = frozenset(state.writers)
        return KnownRun(row["workspace"], row["project"], row["name"], writers, heard_us, row["deleted"])

    async def _heard_at_us(self, run_id: str, writers: Sequence[str]) -> int | None:
        """When the last of these was heard. Others write about a run too, and never end."""
        if not writers:
            return None
        parameters = Parameters()
        sql = (
            "SELECT count() AS writers, max(toUnixTimestamp64Micro(last_seen_at)) AS heard_us FROM watermarks "
            f"WHERE key = {parameters.text(run_id)} AND NOT ended AND writer IN {parameters.texts(writers)}"
        )
        row = (await self._rows(sql, parameters))[0]
        return int(row["heard_us"]) if row["writers"] else None

    async def assets_named(self, run_id: str, name: str) -> Sequence[str]:
        parameters = Parameters()
        sql = (
            f"SELECT asset FROM assets WHERE run = {parameters.text(run_id)} AND name = {parameters.text(name)} "
            "AND NOT deleted ORDER BY asset"
        )
        return [row["asset"] for row in await self._rows(sql, parameters)]

    async def project_texts(self, workspace: str, project: str) -> ProjectTexts:
        parameters = Parameters()
        sql = f"SELECT description, notes FROM projects WHERE {_in(workspace, project, parameters)} AND NOT deleted"
        rows = await self._rows(sql, parameters)
        return ProjectTexts(rows[0]["description"], rows[0]["notes"]) if rows else ProjectTexts()

    async def project_exists(self, workspace: str, project: str) -> bool:
        parameters = Parameters()
        sql = f"SELECT 1 AS one FROM projects WHERE {_in(workspace, project, parameters)} AND NOT deleted"
        return bool(await self._rows(sql, parameters)) or bool(await self.runs_of(workspace, project))

    async def project_of(self, project_id_: str) -> tuple[str, str] | None:
        """Looks through all names: there are few, and no table knows their ids."""
        sql = (
            "SELECT DISTINCT workspace, project FROM "
            "(SELECT workspace, project FROM project_states UNION ALL SELECT workspace, project FROM run_states)"
        )
        for row in await self._rows(sql, Parameters()):
            place = row["workspace"], row["project"]
            if project_id(*place) == project_id_ and await self.project_exists(*place):
                return place
        return None

    async def runs_of(self, workspace: str, project: str) -> Sequence[str]:
        parameters = Parameters()
        where = _in(workspace, project, parameters)
        once = f"(SELECT run FROM run_states WHERE {where})"
        columns = ("workspace", "project", "deleted")
        sql = f"SELECT run FROM {newest_runs(columns, once)} AS r WHERE {where} AND NOT deleted ORDER BY run"
        return [row["run"] for row in await self._rows(sql, parameters)]

    async def run_files(self, run_id: str, kind: str) -> Sequence[KnownFile]:
        parameters = Parameters()
        sql = (
            "SELECT name, sha256, size_bytes, content_type, metadata FROM assets WHERE "
            f"run = {parameters.text(run_id)} AND kind = {parameters.text(kind)} AND NOT deleted "
            "ORDER BY name, at, asset"
        )
        rows = await self._rows(sql, parameters)
        return [KnownFile(**{**row, "metadata": json.loads(row["metadata"] or "{}")}) for row in rows]

    async def files_of_kind(self, kind: str) -> Sequence[NamedFile]:
        parameters = Parameters()
        sql = (
            "SELECT DISTINCT run, name, metadata FROM assets WHERE "
            f"kind = {parameters.text(kind)} AND NOT deleted ORDER BY run, name"
        )
        rows = await self._rows(sql, parameters)
        return [NamedFile(row["run"], row["name"], json.loads(row["metadata"] or "{}")) for row in rows]

    async def artifact(self, artifact_id: str) -> KnownArtifact | None:
        parameters = Parameters()
        sql = (
            "SELECT artifact, workspace, project, artifact_type, name, description, notes, tags, public, "
            "toUnixTimestamp64Micro(created_at) AS created_at_us FROM artifacts WHERE "
            f"artifact = {parameters.text(artifact_id)} AND NOT deleted"
        )
        for row in await self._rows(sql, parameters):
            return KnownArtifact(**{**row, "project": row["project"] or None, "tags": tuple(row["tags"])})
        return None

    async def artifact_ordinals(self, artifact_id: str, removed_at: Positions | None = None) -> Sequence[int]:
        parameters = Parameters()
        scope = f"artifact = {parameters.text(artifact_id)}"
        if removed_at is None:
            scope += " AND NOT deleted"
        else:
            ((part, offset),) = removed_at
            scope += f" AND deleted AND part = {parameters.bind(part, 'UInt16')}"
            scope += f" AND offset = {parameters.bind(offset, 'UInt64')}"
        rows = await self._rows(f"SELECT ordinal FROM artifact_versions WHERE {scope} ORDER BY ordinal", parameters)
        return [row["ordinal"] for row in rows]

    async def artifact_versions(self, artifact_id: str, ordinals: Sequence[int]) -> Sequence[KnownVersion]:
        parameters = Parameters()
        numbers = parameters.bind(list(ordinals), "Array(UInt64)")
        scope = f"artifact = {parameters.text(artifact_id)} AND ordinal IN {numbers}"
        sql = (
            "SELECT ordinal, version, toUnixTimestamp64Micro(created_at) AS created_at_us, comment, status, tags, "
            f"aliases, stages, run FROM artifact_versions WHERE {scope} ORDER BY ordinal"
        )
        contents = (
            "SELECT ordinal, metadata, file_names, file_sha256s, file_sizes, file_types, file_links FROM "
            f"artifact_contents WHERE {scope}"
        )
        found = {row["ordinal"]: row for row in await self._rows(contents, parameters)}
        return [_version(row, found[row["ordinal"]]) for row in await self._rows(sql, parameters)]

    async def artifact_outcome(self, key: str, writer: str, seq: int) -> ArtifactOutcome | None:
        parameters = Parameters()
        sql = (
            "SELECT refused, ordinal, version, part, offset FROM artifact_outcomes WHERE (part, offset, seq) IN "
            f"(SELECT part, offset, seq FROM events WHERE key = {parameters.text(key)} AND "
            f"writer = {parameters.text(writer)} AND seq = {parameters.bind(seq, 'UInt64')} "
            "ORDER BY part, offset LIMIT 1) LIMIT 1"
        )
        for row in await self._rows(sql, parameters):
            position = Positions({row["part"]: row["offset"]})
            return ArtifactOutcome(row["refused"], row["ordinal"], row["version"], position)
        return None

    async def _rows(self, sql: str, parameters: Parameters) -> list[dict[str, Any]]:
        store = self._store()
        if store is None:
            raise StoreUnavailable("the store has not been found yet: try again")
        try:
            table = await store.query(sql, parameters.values, of=QueryClass.LOOKUP)
        except QueryLimitExceeded as error:
            raise StoreUnavailable(f"a look-up was ended: {error}") from error
        if not is_large(table):
            rows: list[dict[str, Any]] = table.to_pylist()
            return rows
        return await asyncio.to_thread(rows_in_slices, table)


def _in(workspace: str, project: str, parameters: Parameters) -> str:
    return f"workspace = {parameters.text(workspace)} AND project = {parameters.text(project)}"


def _version(row: Mapping[str, Any], contents: Mapping[str, Any]) -> KnownVersion:
    columns = [contents[f"file_{name}"] for name in ("names", "sha256s", "sizes", "types", "links")]
    files = [
        ArtifactFile(name=name, sha256=sha256 or None, size_bytes=size, content_type=kind, link=link or None)
        for name, sha256, size, kind, link in zip(*columns, strict=True)
    ]
    lists = {name: tuple(row[name]) for name in ("tags", "aliases", "stages")}
    return KnownVersion(**{**row, **lists}, metadata=json.loads(contents["metadata"]), files=tuple(files))
