"""Artifacts, their versions, and what came of events about them. What is in versions: `artifact_files`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final

from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.scoping import in_workspaces, narrowed, of_artifacts, of_keys, of_runs
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """A row of the view `artifacts`. Its project, and what is its latest, are empty where there is none."""

    key: str
    artifact: str
    workspace: str
    project: str
    artifact_type: str
    name: str
    description: str
    notes: str
    tags: Sequence[str]
    public: bool
    created_at: datetime
    updated_at: datetime
    versions: int
    latest_ordinal: int
    latest_version: str


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A row of the view `artifact_versions`. `run` is empty where it came from none."""

    artifact: str
    ordinal: int
    version: str
    comment: str
    status: str
    tags: Sequence[str]
    aliases: Sequence[str]
    stages: Sequence[str]
    run: str
    files: int
    size_bytes: int
    created_at: datetime
    updated_at: datetime
    remarks: int
    open: bool


@dataclass(frozen=True, slots=True)
class RemarkRecord:
    """A row of `artifact_remarks`: a remark (JSON) on a version, and where in the log it is."""

    ordinal: int
    part: int
    offset: int
    seq: int
    at: datetime
    remark: str


@dataclass(frozen=True, slots=True)
class OutcomeRecord:
    """What the fold made of an event of an artifact; `refused` says why it could not be done. `ordinal` and `version`
    are those of the version that it is about (0, "": of none)."""

    artifact: str
    changed: bool
    refused: str
    ordinal: int
    version: str
    part: int
    offset: int


@dataclass(frozen=True, slots=True)
class ArtifactQuery:
    """Which artifacts; None is any. An empty project means those of whole workspaces."""

    workspace: str | None = None
    project: str | None = None
    artifact_type: str | None = None
    name: str | None = None


#: The order of pages of artifacts.
ARTIFACT_ORDER: Final = ("key", "project", "artifact_type", "name")
_ARTIFACT: Final = ", ".join(field.name for field in fields(ArtifactRecord))
_VERSION: Final = ", ".join(field.name for field in fields(VersionRecord))
_REMARK: Final = ", ".join(field.name for field in fields(RemarkRecord))
_OUTCOME: Final = ", ".join(field.name for field in fields(OutcomeRecord))


class ArtifactRepository:
    """Reads artifacts. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(
        self, scope: Scope, query: ArtifactQuery, after: Sequence[str] | None, limit: int
    ) -> list[ArtifactRecord]:
        """Return artifacts that are not deleted in ARTIFACT_ORDER, those behind the values `after` of its columns."""
        parameters = Parameters()
        conditions = ["NOT deleted"]
        if query.workspace is not None:
            conditions.append(f"startsWith(key, {parameters.text(query.workspace + '/')})")
            if query.project:
                conditions.append(f"key = {parameters.text(f'{query.workspace}/{query.project}')}")
        wanted = (("project", query.project), ("artifact_type", query.artifact_type), ("name", query.name))
        conditions += [f"{column} = {parameters.text(value)}" for column, value in wanted if value is not None]
        if after is not None:
            conditions.append(f"({', '.join(ARTIFACT_ORDER)}) > ({', '.join(map(parameters.text, after))})")
        conditions += in_workspaces(scope, parameters)
        sql = (
            f"SELECT {_ARTIFACT} FROM artifacts WHERE {' AND '.join(conditions)} "
            f"ORDER BY {', '.join(ARTIFACT_ORDER)} LIMIT {parameters.integer(limit)}"
        )
        return await self._artifacts(sql, parameters)

    async def find(self, scope: Scope, artifact: str, *, deleted: bool = False) -> ArtifactRecord | None:
        """Return the artifact with this id, with `deleted` also one that was deleted; None if it is not there."""
        parameters = Parameters()
        there = "" if deleted else " AND NOT deleted"
        sql = (
            f"SELECT {_ARTIFACT} FROM artifacts WHERE artifact = {parameters.text(artifact)}{there}"
            f"{narrowed(in_workspaces(scope, parameters))}"
        )
        return next(iter(await self._artifacts(sql, parameters)), None)

    async def state(self, scope: Scope, artifact: str) -> str | None:
        """Return the folded state (JSON) of the artifact with this id; None if it is not there."""
        parameters = Parameters()
        sql = (
            f"SELECT state FROM artifacts WHERE artifact = {parameters.text(artifact)} AND NOT deleted"
            f"{narrowed(in_workspaces(scope, parameters))}"
        )
        return next((row["state"] for row in await self._reader.rows(sql, parameters)), None)

    async def with_ids(self, scope: Scope, artifacts: Sequence[str]) -> list[ArtifactRecord]:
        """Return the artifacts with these ids, deleted ones too."""
        parameters = Parameters()
        sql = (
            f"SELECT {_ARTIFACT} FROM artifacts WHERE artifact IN {parameters.texts(artifacts)}"
            f"{narrowed(in_workspaces(scope, parameters))}"
        )
        return await self._artifacts(sql, parameters)

    async def of_workspace(self, scope: Scope, workspace: str, artifact_type: str) -> list[ArtifactRecord]:
        """Return the artifacts of this type that are of a whole workspace, by name."""
        parameters = Parameters()
        sql = (
            f"SELECT {_ARTIFACT} FROM artifacts WHERE workspace = {parameters.text(workspace)} AND "
            f"startsWith(key, {parameters.text(workspace + '/')}) AND project = '' AND "
            f"artifact_type = {parameters.text(artifact_type)} AND NOT deleted"
            f"{narrowed(in_workspaces(scope, parameters))} ORDER BY name"
        )
        return await self._artifacts(sql, parameters)

    async def statuses(self, scope: Scope, workspace: str, artifact_type: str) -> list[str]:
        """Return the statuses that versions of such artifacts have, each once, in order."""
        parameters = Parameters()
        sql = (
            "SELECT DISTINCT status FROM artifact_versions WHERE NOT deleted AND artifact IN (SELECT artifact FROM "
            f"artifact_states WHERE startsWith(key, {parameters.text(f'{workspace}/')}) AND project = '' AND "
            f"artifact_type = {parameters.text(artifact_type)}{narrowed(in_workspaces(scope, parameters))}) AND "
            "status != '' ORDER BY status"
        )
        return [row["status"] for row in await self._reader.rows(sql, parameters)]

    async def _artifacts(self, sql: str, parameters: Parameters) -> list[ArtifactRecord]:
        return await self._reader.records(lambda row: ArtifactRecord(**row), sql, parameters)

    async def versions(
        self,
        scope: Scope,
        artifact: str,
        *,
        below: int | None = None,
        version: str | None = None,
        alias: str | None = None,
        stages: Sequence[str] | None = None,
        limit: int,
    ) -> list[VersionRecord]:
        """Return versions that are not deleted, the newest first: those with an ordinal lower than `below`, with this
        version and alias, in one of these stages (in capitals), in whatever case it was written."""
        parameters = Parameters()
        ceiling = 2**64 - 1 if below is None else below
        conditions = [f"artifact = {parameters.text(artifact)} AND ordinal < {parameters.bind(ceiling, 'UInt64')}"]
        if version is not None:
            conditions.append(f"version = {parameters.text(version)}")
        if alias is not None:
            conditions.append(f"has(aliases, {parameters.text(alias)})")
        if stages is not None:
            conditions.append(_in_stages(stages, parameters))
        conditions += ["NOT deleted", *of_artifacts(scope, parameters)]
        sql = (
            f"SELECT {_VERSION} FROM artifact_versions WHERE {' AND '.join(conditions)} "
            f"ORDER BY ordinal DESC LIMIT {parameters.integer(limit)}"
        )
        return await self._versions(sql, parameters)

    async def every_version(self, scope: Scope, artifact: str) -> list[VersionRecord]:
        """Return all versions that are not deleted, in no order."""
        parameters = Parameters()
        sql = (
            f"SELECT {_VERSION} FROM artifact_versions WHERE artifact = {parameters.text(artifact)} AND NOT deleted"
            f"{narrowed(of_artifacts(scope, parameters))}"
        )
        return await self._versions(sql, parameters)

    async def versions_in_project(
        self,
        scope: Scope,
        workspace: str,
        project: str,
        *,
        runs: Sequence[str] | None = None,
        stages: Sequence[str] | None = None,
        limit: int,
    ) -> list[VersionRecord]:
        """Return versions of the artifacts of a project that are not deleted, by artifact and number: those that came
        from some runs, those in one of some stages (in capitals), in whatever case it was written."""
        parameters = Parameters()
        place = f"key = {parameters.text(f'{workspace}/{project}')} AND project = {parameters.text(project)}"
        conditions = [
            f"artifact IN (SELECT artifact FROM artifact_states WHERE {place})",
            "NOT deleted",
            *of_artifacts(scope, parameters),
        ]
        if runs is not None:
            conditions.append(f"run IN {parameters.texts(runs)}")
        if stages is not None:
            conditions.append(_in_stages(stages, parameters))
        sql = (
            f"SELECT {_VERSION} FROM artifact_versions WHERE {' AND '.join(conditions)} "
            f"ORDER BY artifact, ordinal LIMIT {parameters.integer(limit)}"
        )
        return await self._versions(sql, parameters)

    async def version(self, scope: Scope, artifact: str, ordinal: int) -> VersionRecord | None:
        """Return the version with this number; None if it is not there."""
        parameters = Parameters()
        sql = (
            f"SELECT {_VERSION} FROM artifact_versions WHERE artifact = {parameters.text(artifact)} AND "
            f"ordinal = {parameters.bind(ordinal, 'UInt64')} AND NOT deleted"
            f"{narrowed(of_artifacts(scope, parameters))}"
        )
        return next(iter(await self._versions(sql, parameters)), None)

    async def versions_with_ordinals(self, scope: Scope, artifact: str, ordinals: Sequence[int]) -> list[VersionRecord]:
        """Return the versions with these numbers, removed ones too, by number."""
        parameters = Parameters()
        sql = (
            f"SELECT {_VERSION} FROM artifact_versions WHERE artifact = {parameters.text(artifact)} AND "
            f"ordinal IN {parameters.bind(list(ordinals), 'Array(UInt64)')}"
            f"{narrowed(of_artifacts(scope, parameters))} ORDER BY ordinal"
        )
        return await self._versions(sql, parameters)

    async def ordinals(self, scope: Scope, artifact: str) -> list[int]:
        """Return the numbers of the versions that are there, ascending."""
        return await self._ordinals(scope, artifact, Parameters(), "NOT deleted")

    async def ordinals_removed_at(self, scope: Scope, artifact: str, part: int, offset: int) -> list[int]:
        """Return the numbers of the versions that the record at this place removed, ascending."""
        parameters = Parameters()
        place = f"part = {parameters.bind(part, 'UInt16')} AND offset = {parameters.bind(offset, 'UInt64')}"
        return await self._ordinals(scope, artifact, parameters, f"deleted AND {place}")

    async def _ordinals(self, scope: Scope, artifact: str, parameters: Parameters, condition: str) -> list[int]:
        sql = (
            f"SELECT ordinal FROM artifact_versions WHERE artifact = {parameters.text(artifact)} AND {condition}"
            f"{narrowed(of_artifacts(scope, parameters))} ORDER BY ordinal"
        )
        return [row["ordinal"] for row in await self._reader.rows(sql, parameters)]

    async def versions_of_run(self, scope: Scope, run: str) -> list[VersionRecord]:
        """Return the versions that came from a run, by artifact and number."""
        parameters = Parameters()
        visible = narrowed((*of_runs(scope, parameters), *of_artifacts(scope, parameters)))
        # What a version came from never changes, so any of its rows tells.
        versions = (
            f"(SELECT artifact, ordinal FROM artifact_version_states WHERE run = {parameters.text(run)}{visible})"
        )
        sql = (
            f"SELECT {_VERSION} FROM artifact_versions WHERE (artifact, ordinal) IN {versions} AND NOT deleted "
            "ORDER BY artifact, ordinal"
        )
        return await self._versions(sql, parameters)

    async def _versions(self, sql: str, parameters: Parameters) -> list[VersionRecord]:
        return await self._reader.records(lambda row: VersionRecord(**row), sql, parameters)

    async def remarks(
        self,
        scope: Scope,
        artifact: str,
        ordinals: Sequence[int],
        *,
        after: tuple[int, int, int] | None = None,
        limit: int | None = None,
    ) -> list[RemarkRecord]:
        """Return the remarks on the versions with these numbers, removed ones too, in the log's order: those behind
        `after` (part, offset, seq), at most `limit`."""
        parameters = Parameters()
        numbers = parameters.bind(list(ordinals), "Array(UInt64)")
        behind = ""
        if after is not None:
            kinds = ("UInt16", "UInt64", "UInt64")
            place = ", ".join(parameters.bind(number, kind) for number, kind in zip(after, kinds, strict=True))
            behind = f" AND (part, offset, seq) > ({place})"
        end = "" if limit is None else f" LIMIT {parameters.integer(limit)}"
        sql = (
            f"SELECT {_REMARK} FROM artifact_remarks WHERE artifact = {parameters.text(artifact)} AND "
            f"ordinal IN {numbers}{behind}{narrowed(of_artifacts(scope, parameters))} ORDER BY part, offset, seq{end}"
        )
        return await self._reader.records(lambda row: RemarkRecord(**row), sql, parameters)

    async def versions_remarked(self, scope: Scope, member: str, value: str) -> list[tuple[str, int]]:
        """Return the versions, removed ones too, with a remark whose member is this text: ids of their artifacts and
        numbers, in the log's order."""
        parameters = Parameters()
        sql = (
            "SELECT artifact, ordinal FROM artifact_remarks WHERE "
            f"JSONExtractString(remark, {parameters.text(member)}) = {parameters.text(value)}"
            f"{narrowed(of_artifacts(scope, parameters))} "
            "GROUP BY artifact, ordinal ORDER BY min((part, offset, seq))"
        )
        return [(row["artifact"], row["ordinal"]) for row in await self._reader.rows(sql, parameters)]

    async def outcome(self, scope: Scope, key: str, writer: str, seq: int) -> OutcomeRecord | None:
        """Return what came of a writer's event of this key; None if that is not visible yet."""
        parameters = Parameters()
        sql = (
            f"SELECT {_OUTCOME} FROM artifact_outcomes WHERE (part, offset, seq) IN "
            f"(SELECT part, offset, seq FROM events WHERE key = {parameters.text(key)} AND "
            f"writer = {parameters.text(writer)} AND seq = {parameters.bind(seq, 'UInt64')}"
            f"{narrowed(of_keys(scope, parameters))} ORDER BY part, offset LIMIT 1) LIMIT 1"
        )
        return next(iter(await self._reader.records(lambda row: OutcomeRecord(**row), sql, parameters)), None)


def _in_stages(stages: Sequence[str], parameters: Parameters) -> str:
    return f"hasAny(arrayMap(stage -> upper(stage), stages), {parameters.texts(stages)})"
