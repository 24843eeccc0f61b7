"""Two gateways over one log, as tests of Comet's model registry ask them, and a `Lookup` that folds the log."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from runstream.events.artifacts import ArtifactEvent, ArtifactVersionLogged, ArtifactVersionRemarked
from runstream.events.control import decode_event
from runstream.events.frame import decode_frame
from runstream.events.positions import Positions
from runstream_ingest.assets.local import LocalAssets
from runstream_ingest.gateway.routes import add_gateway
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.log.memory import MemoryLog
from runstream_model.artifact_state import ArtifactState, Decision
from runstream_model.artifact_versions import VersionState
from runstream_model.artifacts import fold_artifact
from runstream_protocols.comet.conventions import registry_model_id
from runstream_protocols.comet.writes.routes import add_comet_writes
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
from runstream_service.problems import problem_middleware
from runstream_service.visibility import Progress

RUN, WORKSPACE, NAME = "a" * 32, "w", "net"
CREATE = {"experimentKey": RUN, "experimentModelName": NAME, "version": "1.0.0"}
FILES = [KnownFile("weights.bin", "0" * 64, 5, "application/octet-stream", {"epoch": 3}, model=NAME)]


@dataclass(frozen=True)
class Decided:
    """What the fold made of an event."""

    key: str
    writer: str
    seq: int
    offset: int
    event: ArtifactEvent
    decision: Decision


@dataclass
class FoldedLookup:
    """A `Lookup` that folds the whole log for each question. `blind`: it cannot see it yet. `uploaded`: the files that
    wait for their version, by their kind."""

    log: MemoryLog
    blind: bool = False
    files: Sequence[KnownFile] = field(default_factory=lambda: FILES)
    uploaded: dict[str, Sequence[KnownFile]] = field(default_factory=dict)

    async def decided(self) -> list[Decided]:
        """What came of each event. What comes twice counts once."""
        states: dict[str, ArtifactState | None] = {}
        decided: dict[tuple[str, int], Decided] = {}
        for record in await self.log.read(0, 0, 1 << 30, 0.0):
            frame = decode_frame(record.value)
            for seq, body in json.loads(frame.events):
                writer = frame.header.writer_id
                event = decode_event(json.dumps(body))
                if (writer, seq) in decided or not isinstance(event, ArtifactEvent):
                    continue
                decision = fold_artifact(states.get(event.artifact), event)
                states[event.artifact] = decision.state
                decided[writer, seq] = Decided(frame.header.key, writer, seq, record.offset, event, decision)
        return list(decided.values())

    async def state(self, artifact_id: str) -> ArtifactState | None:
        states = [one.decision.state for one in await self.decided() if one.event.artifact == artifact_id]
        return states[-1] if states else None

    async def run(self, run_id: str) -> KnownRun | None:
        return KnownRun(WORKSPACE, "p", "n", frozenset(), heard_at_us=None, deleted=False) if run_id == RUN else None

    async def run_files(self, run_id: str, kind: str) -> Sequence[KnownFile]:
        """All models' files are of the model NAME."""
        assert run_id == RUN
        if kind != "model":
            return self.uploaded.get(kind, ())
        return [replace(file, model=NAME) for file in self.files]

    async def artifact(self, artifact_id: str) -> KnownArtifact | None:
        state = await self.state(artifact_id)
        if state is None or state.deleted:
            return None
        about = {name: getattr(state, name) for name in ("created_at_us", "description", "notes", "tags", "public")}
        return KnownArtifact(artifact_id, state.workspace, state.project, state.artifact_type, state.name, **about)

    async def artifacts_named(self, workspace: str, name: str) -> Sequence[KnownArtifact]:
        ids = {one.event.artifact for one in await self.decided()}
        found = [known for some_id in sorted(ids) if (known := await self.artifact(some_id)) is not None]
        return [known for known in found if (known.workspace, known.name) == (workspace, name)]

    async def artifact_state(self, artifact_id: str) -> ArtifactState | None:
        state = await self.state(artifact_id)
        return None if state is None or state.deleted else state

    async def artifact_ordinals(self, artifact_id: str, removed_at: RecordPlace | None = None) -> Sequence[int]:
        if removed_at is None:
            state = await self.state(artifact_id)
            return sorted(state.versions) if state else ()
        return [
            gone.ordinal
            for one in await self.decided()
            if one.event.artifact == artifact_id and one.offset == removed_at.offset
            for gone in one.decision.removed
        ]

    async def artifact_versions(self, artifact_id: str, ordinals: Sequence[int]) -> Sequence[KnownVersion]:
        states: dict[int, VersionState] = {}
        events: dict[int, ArtifactVersionLogged] = {}
        for one in await self.decided():
            if one.event.artifact == artifact_id:
                states |= {state.ordinal: state for state in (*one.decision.removed, *one.decision.changed)}
                if isinstance(one.event, ArtifactVersionLogged) and not one.decision.refused:
                    events[one.decision.ordinal] = one.event
        same = ("ordinal", "version", "created_at_us", "comment", "status", "tags", "aliases", "stages", "run")
        return [
            KnownVersion(
                **{name: getattr(states[ordinal], name) for name in same},
                metadata=events[ordinal].metadata,
                files=events[ordinal].files,
            )
            for ordinal in sorted(ordinals)
        ]

    async def artifact_remarks(self, artifact_id: str, ordinals: Sequence[int]) -> Sequence[KnownRemark]:
        return [
            KnownRemark(one.event.ordinal, one.event.at_us, one.event.remark)
            for one in await self.decided()
            if isinstance(one.event, ArtifactVersionRemarked) and not one.decision.refused
            if one.event.artifact == artifact_id and one.event.ordinal in ordinals
        ]

    async def artifact_outcome(self, key: str, writer: str, seq: int) -> ArtifactOutcome | None:
        for one in [] if self.blind else await self.decided():
            if (one.key, one.writer, one.seq) == (key, writer, seq):
                decision = one.decision
                place = RecordPlace(0, one.offset)
                return ArtifactOutcome(decision.refused, decision.ordinal, decision.version, place)
        return None

    async def files_of_kind(self, kind: str) -> Sequence[NamedFile]:
        raise NotImplementedError

    async def assets_named(self, run_id: str, name: str) -> Sequence[str]:
        raise NotImplementedError

    async def project_texts(self, workspace: str, project: str) -> ProjectTexts:
        raise NotImplementedError

    async def project_exists(self, workspace: str, project: str) -> bool:
        raise NotImplementedError

    async def project_of(self, project_id: str) -> tuple[str, str] | None:
        raise NotImplementedError

    async def runs_of(self, workspace: str, project: str) -> Sequence[str]:
        raise NotImplementedError


class Visible(Progress):
    """All that was appended can be read."""

    async def wait_for(self, wanted: Positions, timeout_s: float) -> bool:
        return True


@dataclass
class Gateways:
    """Two gateways over one log."""

    clients: Sequence[TestClient[Any, Any]]
    lookup: FoldedLookup

    async def ask(self, gateway: int, path: str, body: Any = None, **query: str) -> tuple[int, dict[str, Any]]:
        client, where = self.clients[gateway], f"/api/rest/v2/write/registry-model{path}"
        requested = client.get(where, params=query) if body is None else client.post(where, json=body)
        async with requested as response:
            return response.status, await response.json(content_type=None)

    async def post(self, gateway: int, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
        """Ask one of the other routes."""
        async with self.clients[gateway].post(f"/api/rest/v2/write/{path}", json=body) as response:
            return response.status, await response.json(content_type=None)

    async def versions(self, name: str = NAME) -> dict[int, VersionState]:
        state = await self.lookup.state(registry_model_id(WORKSPACE, name))
        return {} if state is None else dict(state.versions)

    async def rename(self, name: str, gateway: int = 0) -> tuple[int, dict[str, Any]]:
        return await self.ask(
            gateway, "/update", {"registryModelId": registry_model_id(WORKSPACE, NAME), "registryModelName": name}
        )


@contextlib.asynccontextmanager
async def running_gateways(folder: Path) -> AsyncIterator[Gateways]:
    """Both, with their files in `folder`."""
    log = MemoryLog()
    lookup, storage, visibility = FoldedLookup(log), LocalAssets(folder), Visible()

    def server() -> TestServer:
        app = web.Application(middlewares=[problem_middleware()])
        gateway = add_gateway(
            app,
            log=log,
            assets=storage,
            visibility=visibility,
            settings=GatewaySettings(is_only_gateway=False),
            registry=CollectorRegistry(),
        )
        add_comet_writes(app, gateway=gateway, assets=storage, lookup=lookup)
        return TestServer(app, host="127.0.0.1")

    async with TestClient(server()) as one, TestClient(server()) as other:
        yield Gateways((one, other), lookup)
