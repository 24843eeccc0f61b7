"""What a principal of one workspace may write: looked for once a run, and never believed against the read models."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runstream.events.control import (
    AnyEvent,
    ProjectCreated,
    RunLinked,
    RunMoved,
    RunNotesSet,
    RunStarted,
    RunUnlinked,
    encode_event,
)
from runstream.events.encoding import encode_events, encode_frame
from runstream_ingest.assets import LocalAssets
from runstream_ingest.gateway import GatewaySettings, add_gateway
from runstream_ingest.gateway.frames import Sent, frames_by_writer
from runstream_ingest.gateway.rights import WriterRights
from runstream_ingest.log.memory import MemoryLog
from runstream_service.access import Action, Grant, Principal, Scope, full_principal
from runstream_service.auth import ApiKeys, auth_middleware
from runstream_service.lookup import KnownRun
from runstream_service.problems import Problem, problem_middleware
from runstream_service.store import StoreUnavailable
from runstream_service.visibility import Progress

WRITER = "a1" * 16
OF_A = Principal("of-a", (Grant(frozenset({Action.LOG, Action.EDIT}), Scope(frozenset({"a"}))),))
ALL = full_principal("all")


class Runs:
    """The look-up of runs in the workspaces of `known`, which counts its questions, or is away. Nothing else is asked
    of it."""

    def __init__(self, **known: str) -> None:
        self.known: Mapping[str, str] = known
        self.requested: list[str] = []
        self.is_away = False

    async def run(self, run_id: str) -> KnownRun | None:
        self.requested.append(run_id)
        if self.is_away:
            raise StoreUnavailable("the store is away")
        workspace = self.known.get(run_id)
        return None if workspace is None else KnownRun(workspace, "p", "n", frozenset(), None, False)


def rights(runs: Runs, remembered: int = 100) -> WriterRights:
    return WriterRights(runs, remembered)  # type: ignore[arg-type]


def started(workspace: str) -> RunStarted:
    return RunStarted(at_us=1, workspace=workspace, project="p")


def frames(run: str, *events: AnyEvent) -> list[Sent]:
    numbered = [(seq, encode_event(event)) for seq, event in enumerate(events)]
    body = encode_frame(WRITER, run, 0, max(1, len(events)), encode_events(numbered) if events else b"")
    return frames_by_writer(memoryview(body), 10)[WRITER]


NOTES = RunNotesSet(at_us=2, notes="x")


@pytest.mark.parametrize(
    ("known", "events", "kind"),
    [
        ("a", [NOTES], None),
        ("b", [NOTES], "forbidden"),
        (None, [started("a"), NOTES], None),
        (None, [started("b"), NOTES], "forbidden"),
        (None, [NOTES], "workspace-unknown"),
        ("b", [started("a"), NOTES], "forbidden"),
        ("a", [RunMoved(at_us=2, workspace="a", project="q")], None),
        ("a", [RunMoved(at_us=2, workspace="b", project="q")], "forbidden"),
        ("a", [RunLinked(at_us=2, workspace="a", project="q")], None),
        ("a", [RunLinked(at_us=2, workspace="b", project="q")], "forbidden"),
        ("a", [RunUnlinked(at_us=2, workspace="b", project="q")], "forbidden"),
    ],
)
async def test_a_run_is_where_the_read_models_have_it_else_where_it_starts(
    known: str | None, events: list[AnyEvent], kind: str | None
) -> None:
    async def kind_of(checked: Any) -> str | None:
        try:
            await checked
        except Problem as problem:
            return problem.kind
        return None

    runs = Runs(**({} if known is None else {"r": known}))
    assert await kind_of(rights(runs).check_frames(OF_A, frames("r", *events))) == kind
    assert await kind_of(rights(runs).check_commands(OF_A, [("r", event) for event in events])) == kind
    assert await kind_of(rights(Runs()).check_frames(ALL, frames("r", *events))) is None


async def test_a_run_is_looked_for_once_by_principal_and_not_at_all_for_one_of_all_workspaces() -> None:
    runs = Runs(r="a", s="a")
    checking = rights(runs, remembered=1)
    for _ in range(3):
        await checking.check_frames(OF_A, frames("r", NOTES))
        await checking.check_frames(ALL, frames("r", NOTES))
    assert runs.requested == ["r"]
    await checking.check_frames(OF_A, frames("s", NOTES))
    await checking.check_frames(OF_A, frames("r", NOTES))
    assert runs.requested == ["r", "s", "r"], "one is remembered"


async def test_a_run_that_is_known_stays_so_while_the_store_is_away_and_a_new_one_waits() -> None:
    runs = Runs(r="a")
    checking = rights(runs)
    await checking.check_frames(OF_A, frames("r", NOTES))
    runs.is_away = True
    await checking.check_frames(OF_A, frames("r", NOTES))
    with pytest.raises(Problem, match="the store is away") as caught:
        await checking.check_frames(OF_A, frames("s", started("a")))
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "1")


async def test_a_move_is_refused_however_well_the_run_is_known() -> None:
    checking = rights(Runs(r="a"))
    await checking.check_frames(OF_A, frames("r", NOTES))
    with pytest.raises(Problem, match="may not log in workspace 'b'"):
        await checking.check_frames(OF_A, frames("r", NOTES, RunMoved(at_us=2, workspace="b", project="p")))


async def test_events_that_cannot_be_read_are_refused() -> None:
    body = encode_frame(WRITER, "r", 0, 1, b'[[0, {"type": "run_moved.v1"')
    with pytest.raises(Problem, match="cannot be read") as caught:
        await rights(Runs(r="a")).check_frames(OF_A, frames_by_writer(memoryview(body), 10)[WRITER])
    assert caught.value.status == 422


async def test_a_projects_workspace_stands_in_its_event() -> None:
    checking = rights(Runs())
    await checking.check_commands(OF_A, [("a/p", ProjectCreated(at_us=1, workspace="a", project="p"))])
    with pytest.raises(Problem, match="may not edit in workspace 'b'"):
        await checking.check_commands(OF_A, [("b/p", ProjectCreated(at_us=1, workspace="b", project="p"))])
    with pytest.raises(Problem, match="may not log in workspace 'b'"):
        await checking.check_frames(OF_A, frames("b/p"))


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[tuple[TestClient[Any, Any], MemoryLog]]:
    log = MemoryLog()
    keys = ApiKeys(tuple((hashlib.sha256(who.name.encode()).digest(), who) for who in (OF_A, ALL)))
    app = web.Application(middlewares=[problem_middleware(), auth_middleware(keys)])
    runs: Any = Runs(old="b")
    add_gateway(
        app,
        log=log,
        assets=LocalAssets(tmp_path),
        visibility=Progress(),
        settings=GatewaySettings(visible_timeout_s=0),
        lookup=runs,
    )
    async with TestClient(TestServer(app)) as client:
        yield client, log


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("principal", "run", "workspace", "status"),
    [(OF_A, "new", "a", 200), (OF_A, "new", "b", 403), (OF_A, "old", "a", 403), (ALL, "old", "b", 200)],
)
async def test_a_gateway_takes_nothing_that_the_principal_may_not_write(
    gateway: tuple[TestClient[Any, Any], MemoryLog], principal: Principal, run: str, workspace: str, status: int
) -> None:
    client, log = gateway
    event = encode_event(started(workspace))
    headers = {"Authorization": principal.name}
    frame = encode_frame(WRITER, run, 0, 1, encode_events([(0, event)]))
    async with client.post("/ingest/v1/frames", data=frame, headers=headers) as response:
        assert response.status == status, await response.text()
    command = {"key": run, "event": json.loads(event)}
    async with client.post("/ingest/v1/commands", json=command, headers=headers) as response:
        assert response.status == (202 if status == 200 else status), await response.text()
    assert len(await log.read(0, 0, 1 << 20, 0.0)) == (2 if status == 200 else 0)
