"""What runs made of artifacts, and what they used: the edges of the lineage."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runstream.events.artifacts import USED_BY
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.scoping import narrowed, of_artifacts, of_runs
from runstream_query.repositories.statements.versions import VersionId, among
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True, order=True)
class LinkRecord:
    """A run and a version of an artifact that it made or used."""

    run: str
    artifact: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class LineageVersionRecord:
    """A version as the lineage shows it. `project` is empty for one of a whole workspace."""

    artifact: str
    ordinal: int
    version: str
    workspace: str
    project: str
    artifact_type: str
    name: str


_LINK: Final = "SELECT DISTINCT run, artifact, ordinal"
_ORDER: Final = "ORDER BY run, artifact, ordinal"


class LineageRepository:
    """Reads links between runs and versions that are not deleted. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def made_by(self, scope: Scope, runs: Sequence[str], *, limit: int) -> list[LinkRecord]:
        """Return the versions that came from some runs, at most `limit`."""
        parameters = Parameters()
        visible = narrowed((*of_runs(scope, parameters), *of_artifacts(scope, parameters)))
        # What a version came from never changes, so any of its rows tells.
        made = f"artifact_version_states WHERE run IN {parameters.texts(runs)}{visible}"
        versions = f"SELECT artifact, ordinal FROM {made}"
        source = f"artifact_versions WHERE (artifact, ordinal) IN ({versions}) AND NOT deleted"
        return await self._links(source, limit, parameters)

    async def makers_of(self, scope: Scope, versions: Sequence[VersionId], *, limit: int) -> list[LinkRecord]:
        """Return the runs that some versions came from, at most `limit`."""
        parameters = Parameters()
        visible = narrowed((*of_runs(scope, parameters), *of_artifacts(scope, parameters)))
        wanted = among(versions, parameters)
        source = f"artifact_versions WHERE {wanted} AND run != '' AND NOT deleted{visible}"
        return await self._links(source, limit, parameters)

    async def used_by(self, scope: Scope, runs: Sequence[str], *, limit: int) -> list[LinkRecord]:
        """Return the versions that some runs used, at most `limit`."""
        parameters = Parameters()
        return await self._used(scope, f"run IN {parameters.texts(runs)}", limit, parameters)

    async def users_of(self, scope: Scope, versions: Sequence[VersionId], *, limit: int) -> list[LinkRecord]:
        """Return the runs that used some versions, at most `limit`."""
        parameters = Parameters()
        return await self._used(scope, f"{among(versions, parameters)} AND run != ''", limit, parameters)

    async def _used(self, scope: Scope, condition: str, limit: int, parameters: Parameters) -> list[LinkRecord]:
        """That a run used a version is a remark on the version."""
        member = parameters.text(USED_BY)
        user = f"JSONExtractString(remark, {member}) AS run"
        # Anybody may remark anything: a member that is no text names no run.
        condition = f"JSONType(remark, {member}) = 'String' AND {condition}"
        visible = narrowed((*of_runs(scope, parameters), *of_artifacts(scope, parameters)))
        found = f"SELECT {user}, artifact, ordinal FROM artifact_remarks WHERE {condition}{visible}"
        there = (
            "SELECT artifact, ordinal FROM artifact_versions WHERE NOT deleted AND "
            f"artifact IN (SELECT artifact FROM ({found}))"
        )
        return await self._links(f"({found}) WHERE (artifact, ordinal) IN ({there})", limit, parameters)

    async def _links(self, source: str, limit: int, parameters: Parameters) -> list[LinkRecord]:
        sql = f"{_LINK} FROM {source} {_ORDER} LIMIT {parameters.integer(limit)}"
        return await self._reader.records(lambda row: LinkRecord(**row), sql, parameters)

    async def versions(self, scope: Scope, versions: Sequence[VersionId]) -> list[LineageVersionRecord]:
        """Return versions as the lineage shows them, those that are not deleted."""
        parameters = Parameters()
        wanted = among(versions, parameters)
        artifacts = parameters.texts(sorted({artifact for artifact, _ in versions}))
        visible = narrowed(of_artifacts(scope, parameters))
        sql = (
            "SELECT artifact, ordinal, version, workspace, project, artifact_type, name FROM "
            f"(SELECT artifact, ordinal, version FROM artifact_versions WHERE {wanted} AND NOT deleted{visible}) AS v "
            "INNER JOIN (SELECT artifact, workspace, project, artifact_type, name FROM artifacts "
            f"WHERE artifact IN {artifacts}) AS a USING artifact ORDER BY artifact, ordinal"
        )
        return await self._reader.records(lambda row: LineageVersionRecord(**row), sql, parameters)
