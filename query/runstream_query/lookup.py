"""`runstream_service.lookup.Lookup` by the repositories."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from runstream.events.artifacts import AddedFile, ArtifactFile
from runstream.events.moments import micros_of
from runstream.events.names import project_id
from runstream_model import artifact_state, run_state
from runstream_model.artifact_state import ArtifactState
from runstream_query.repositories import Repositories
from runstream_query.repositories.artifact_files import ContentsRecord, FileRecord
from runstream_query.repositories.artifacts import ArtifactQuery, ArtifactRecord, VersionRecord
from runstream_query.repositories.assets import AssetRecord
from runstream_service.access import EVERYTHING
from runstream_service.lookup import (
    ArtifactOutcome,
    KnownArtifact,
    KnownFile,
    KnownRemark,
    KnownRun,
    KnownVersion,
    NamedFile,
    ProjectTexts,
    RecordPlace,
)
from runstream_service.store import QueryClass, QueryLimitExceeded, StoreReader, StoreUnavailable

#: Artifacts of a workspace with one name: they differ in their project or type.
_MAX_NAMED: Final = 1_000


class LateStore:
    """The store that `store` gives, which may be none yet. Whatever ends a query is an outage to who writes."""

    def __init__(self, store: Callable[[], StoreReader | None]) -> None:
        self._store = store

    async def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, of: QueryClass = QueryClass.LOOKUP
    ) -> pa.Table:
        """Run one statement. Raises StoreUnavailable, also without a store and for a query that met a limit."""
        store = self._store()
        if store is None:
            raise StoreUnavailable("the store has not been found yet: try again")
        try:
            return await store.query(sql, parameters, of=of)
        except QueryLimitExceeded as error:
            raise StoreUnavailable(f"a look-up was ended: {error}") from error


class StoreLookup:
    """Asks the store that `store` gives, which may be none yet: a gateway takes in data before it has found it.

    What a writer may do is decided by whoever asks, with what is found here; so every workspace is looked at.
    """

    def __init__(self, store: Callable[[], StoreReader | None]) -> None:
        self._store = LateStore(store)
        self._scope = EVERYTHING

    @property
    def _read(self) -> Repositories:
        return Repositories.over(self._store, QueryClass.LOOKUP)

    async def run(self, run_id: str) -> KnownRun | None:
        found = await self._read.runs.state(self._scope, run_id)
        if found is None:
            return None
        state = run_state.from_json(found.state)
        living = run_state.open_writers(state)
        # Others write about a run too, and never end.
        heard_us = await self._read.watermarks.last_seen_us(self._scope, run_id, living) if living else None
        return KnownRun(found.workspace, found.project, found.name, frozenset(state.writers), heard_us, found.deleted)

    async def assets_named(self, run_id: str, name: str) -> Sequence[str]:
        return await self._read.assets.ids_named(self._scope, run_id, name)

    async def project_texts(self, workspace: str, project: str) -> ProjectTexts:
        found = await self._read.projects.texts(self._scope, workspace, project)
        return ProjectTexts() if found is None else ProjectTexts(found.description, found.notes)

    async def project_exists(self, workspace: str, project: str) -> bool:
        created = await self._read.projects.texts(self._scope, workspace, project)
        return created is not None or bool(await self.runs_of(workspace, project))

    async def project_of(self, project_id_: str) -> tuple[str, str] | None:
        """Looks through all names: there are few, and no table knows their ids."""
        for names in await self._read.projects.names(self._scope):
            if project_id(*names) == project_id_ and await self.project_exists(*names):
                return names
        return None

    async def runs_of(self, workspace: str, project: str) -> Sequence[str]:
        return await self._read.runs.of_project(self._scope, workspace, project)

    async def run_files(self, run_id: str, kind: str) -> Sequence[KnownFile]:
        read = self._read

        def known(records: Sequence[AssetRecord]) -> list[KnownFile]:
            in_order = sorted(records, key=lambda one: (one.name, one.at, one.asset))
            return [_known_file(one) for one in in_order]

        return await read.reader.off_loop(known, await read.assets.of_run(self._scope, run_id, kind))

    async def files_of_kind(self, kind: str) -> Sequence[NamedFile]:
        found = await self._read.assets.names_of_kind(self._scope, kind)
        return [NamedFile(one.run, one.name, one.model) for one in found]

    async def artifact(self, artifact_id: str) -> KnownArtifact | None:
        found = await self._read.artifacts.find(self._scope, artifact_id)
        return None if found is None else _known_artifact(found)

    async def artifacts_named(self, workspace: str, name: str) -> Sequence[KnownArtifact]:
        wanted = ArtifactQuery(workspace=workspace, name=name)
        found = await self._read.artifacts.page(self._scope, wanted, None, _MAX_NAMED)
        return [_known_artifact(record) for record in found]

    async def artifact_state(self, artifact_id: str) -> ArtifactState | None:
        read = self._read
        text = await read.artifacts.state(self._scope, artifact_id)
        return None if text is None else await read.reader.off_loop(artifact_state.from_json, text)

    async def artifact_ordinals(self, artifact_id: str, removed_at: RecordPlace | None = None) -> Sequence[int]:
        of_artifacts = self._read.artifacts
        if removed_at is None:
            return await of_artifacts.ordinals(self._scope, artifact_id)
        return await of_artifacts.ordinals_removed_at(self._scope, artifact_id, *removed_at)

    async def artifact_versions(self, artifact_id: str, ordinals: Sequence[int]) -> Sequence[KnownVersion]:
        read = self._read
        contents = await read.artifact_files.contents(self._scope, artifact_id, ordinals)
        found = await read.artifacts.versions_with_ordinals(self._scope, artifact_id, ordinals)
        return [_version(record, contents[record.ordinal]) for record in found]

    async def artifact_remarks(self, artifact_id: str, ordinals: Sequence[int]) -> Sequence[KnownRemark]:
        found = await self._read.artifacts.remarks(self._scope, artifact_id, ordinals)
        return [KnownRemark(one.ordinal, micros_of(one.at), json.loads(one.remark)) for one in found]

    async def artifact_outcome(self, key: str, writer: str, seq: int) -> ArtifactOutcome | None:
        found = await self._read.artifacts.outcome(self._scope, key, writer, seq)
        if found is None:
            return None
        return ArtifactOutcome(found.refused, found.ordinal, found.version, RecordPlace(found.part, found.offset))


def _known_artifact(record: ArtifactRecord) -> KnownArtifact:
    return KnownArtifact(
        artifact=record.artifact,
        workspace=record.workspace,
        project=record.project or None,
        artifact_type=record.artifact_type,
        name=record.name,
        created_at_us=micros_of(record.created_at),
        description=record.description,
        notes=record.notes,
        tags=tuple(record.tags),
        public=record.public,
    )


def _known_file(record: AssetRecord) -> KnownFile:
    return KnownFile(
        name=record.name,
        sha256=record.sha256,
        size_bytes=record.size_bytes,
        content_type=record.content_type,
        metadata=json.loads(record.metadata or "{}"),
        location=record.location,
        model=record.model,
        asset=record.asset,
    )


def _version(record: VersionRecord, contents: ContentsRecord) -> KnownVersion:
    return KnownVersion(
        ordinal=record.ordinal,
        version=record.version,
        created_at_us=micros_of(record.created_at),
        comment=record.comment,
        status=record.status,
        tags=tuple(record.tags),
        aliases=tuple(record.aliases),
        stages=tuple(record.stages),
        run=record.run,
        metadata=json.loads(contents.metadata),
        files=tuple(_file(one) for one in contents.files),
    )


def _file(record: FileRecord) -> ArtifactFile:
    return AddedFile(
        name=record.name,
        sha256=record.sha256 or None,
        size_bytes=record.size_bytes,
        content_type=record.content_type,
        link=record.link or None,
    )
