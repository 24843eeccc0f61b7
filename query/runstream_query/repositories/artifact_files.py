"""What is in versions of artifacts: metadata and files, those too that were added to open versions later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from runstream.events.positions import Positions
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.prefix import within
from runstream_query.repositories.statements.scoping import narrowed, of_artifacts
from runstream_query.repositories.statements.versions import VersionId, among
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file of a version. Either `sha256` or `link` is empty. `added_at`: None if it came with the version."""

    name: str
    sha256: str
    size_bytes: int
    content_type: str
    link: str
    added_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ContentsRecord:
    """What is in a version. `metadata` is JSON and never changes; `files` are there if they were asked for, in the
    order in which their names came: one that was replaced keeps its place."""

    ordinal: int
    metadata: str
    files: tuple[FileRecord, ...] = ()


#: The lists of the tables, and what each has a member of.
_LISTS: Final = ("file_names", "file_sha256s", "file_sizes", "file_types", "file_links")
_FILE: Final = ("name", "sha256", "size_bytes", "content_type", "link")
_PLACE: Final = "(part, offset, seq)"


class ArtifactFileRepository:
    """Reads what is in versions. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def contents(
        self,
        scope: Scope,
        artifact: str,
        ordinals: Sequence[int] | None = None,
        *,
        prefix: Positions | None = None,
        with_files: bool = True,
    ) -> dict[int, ContentsRecord]:
        """Return the contents of the versions with these numbers (None: of all), by number; with `prefix` only files
        that the log has before it. The files of all versions may be millions."""
        parameters = Parameters()
        lists = "".join(f", {column}" for column in _LISTS) if with_files else ""
        conditions = _conditions(scope, artifact, ordinals, parameters)
        sql = f"SELECT ordinal, metadata{lists} FROM artifact_contents WHERE {conditions}"
        found = {record.ordinal: record for record in await self._reader.records(_contents, sql, parameters)}
        if not with_files or not found:
            return found
        added = await self._added(scope, artifact, ordinals, prefix)
        return await self._reader.off_loop(_merged, found, added) if added else found

    async def metadata(self, scope: Scope, versions: Sequence[VersionId]) -> dict[VersionId, str]:
        """Return the metadata (JSON) of versions of whichever artifacts."""
        parameters = Parameters()
        visible = narrowed(of_artifacts(scope, parameters))
        wanted = among(versions, parameters)
        sql = f"SELECT artifact, ordinal, metadata FROM artifact_contents WHERE {wanted}{visible}"
        return {(row["artifact"], row["ordinal"]): row["metadata"] for row in await self._reader.rows(sql, parameters)}

    async def _added(
        self, scope: Scope, artifact: str, ordinals: Sequence[int] | None, prefix: Positions | None
    ) -> list[tuple[int, FileRecord]]:
        """Return the newest of each name that was added to a version, by the order in which the names came."""
        parameters = Parameters()
        before = "" if prefix is None else f" AND {within(prefix, parameters)}"
        columns = ", ".join(f"{column} AS {name}" for column, name in zip(_LISTS, _FILE, strict=True))
        newest = ", ".join(f"argMax({name}, {_PLACE}) AS newest_{name}" for name in (*_FILE[1:], "at"))
        conditions = _conditions(scope, artifact, ordinals, parameters)
        sql = (
            f"SELECT ordinal, name, {newest} FROM artifact_files "
            f"ARRAY JOIN {columns}, arrayEnumerate(file_names) AS number "
            f"WHERE {conditions}{before} GROUP BY ordinal, name "
            "ORDER BY ordinal, min((part, offset, seq, number))"
        )
        return await self._reader.records(_added_file, sql, parameters)

    async def file(self, scope: Scope, artifact: str, ordinal: int, name: str) -> FileRecord | None:
        """Return the file of a version with this name, the newest of several; None if it has none."""
        parameters = Parameters()
        place = f"indexOf(file_names, {parameters.text(name)})"
        shown = ", ".join(f"{column}[{place}] AS {member}" for column, member in zip(_LISTS, _FILE, strict=True))
        where = f"{_conditions(scope, artifact, [ordinal], parameters)} AND {place} > 0"
        sql = (
            f"SELECT {', '.join(_FILE)}, if(added, at, NULL) AS added_at FROM ("
            f"SELECT {shown}, at, 0 AS added, part, offset, toUInt64(0) AS seq FROM artifact_contents WHERE {where} "
            f"UNION ALL SELECT {shown}, at, 1 AS added, part, offset, seq FROM artifact_files WHERE {where}"
            ") ORDER BY added DESC, part DESC, offset DESC, seq DESC LIMIT 1"
        )
        return next(iter(await self._reader.records(lambda row: FileRecord(**row), sql, parameters)), None)


def _conditions(scope: Scope, artifact: str, ordinals: Sequence[int] | None, parameters: Parameters) -> str:
    only = "" if ordinals is None else f" AND ordinal IN {parameters.bind(list(ordinals), 'Array(UInt64)')}"
    return f"artifact = {parameters.text(artifact)}{only}{narrowed(of_artifacts(scope, parameters))}"


def _contents(row: Mapping[str, Any]) -> ContentsRecord:
    lists = [row.get(column, ()) for column in _LISTS]
    return ContentsRecord(row["ordinal"], row["metadata"], tuple(map(FileRecord, *lists)))


def _added_file(row: Mapping[str, Any]) -> tuple[int, FileRecord]:
    return row["ordinal"], FileRecord(row["name"], *(row[f"newest_{name}"] for name in (*_FILE[1:], "at")))


def _merged(logged: Mapping[int, ContentsRecord], added: Sequence[tuple[int, FileRecord]]) -> dict[int, ContentsRecord]:
    """Return the contents with the files that were added, in the place of those with their names."""
    files = {ordinal: {file.name: file for file in logged[ordinal].files} for ordinal, _ in added if ordinal in logged}
    for ordinal, file in added:
        if ordinal in files:
            files[ordinal][file.name] = file
    merged = {ordinal: replace(logged[ordinal], files=tuple(named.values())) for ordinal, named in files.items()}
    return {**logged, **merged}
