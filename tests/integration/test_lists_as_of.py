"""A list of runs as of a position is the list as it was when the log ended there."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from kit.examples import examples
from kit.recorded.seeded import Recorded, Writing
from kit.stores import place_tables
from runstream.events import control
from runstream.events.positions import Positions
from runstream_infra.embedded import application, open_parts
from runstream_infra.settings import ServerSettings
from runstream_service.auth import ApiKeys

RUNS = 6
#: Questions about a list, which together look at everything that a row and an order can have.
QUESTIONS: list[dict[str, Any]] = [
    {"columns": "param.*,other.*,env.*,metric.*", "count": True},
    {"sort": "metric.metric-0.mean,-param.lr", "columns": "metric.metric-*.std,metric.metric-0.count"},
    {"sort": "-other.note,name", "filter": "metric.metric-0.last > -1 or param.lr >= 0.3"},
    {"filter": "(archived or not archived) and (deleted or not deleted)", "sort": "status,-ended", "count": True},
    {"project": "p", "sort": "-updated"},
    {"project": "q", "filter": 'tags contains "a" or name matches "^n"', "sort": "created"},
    {"filter": 'id in ("run-0", "run-3", "nobody") and project != "q"', "sort": "-param.lr,group"},
    {"filter": 'status = "running"', "sort": "metric.metric-0.min", "columns": "param.lr"},
]


def started(source: random.Random, at_us: int, **more: Any) -> control.RunStarted:
    group = source.choice([None, "g1", "g2"])
    return control.RunStarted(at_us=at_us, workspace="w", project=source.choice("pq"), group=group, **more)


def something(source: random.Random, at_us: int) -> control.RunEvent:
    """An event that changes a run, or does not."""
    values = {"lr": source.choice([0.1, 0.3, float("nan"), "adam", None, True, 3]), "depth": source.randrange(5)}
    events: list[control.RunEvent] = [
        control.ParametersLogged(at_us=at_us, values=values),
        control.ParametersDeleted(at_us=at_us, names=("lr",)),
        control.OthersLogged(at_us=at_us, values={"note": source.choice(["x", "y", 2.5])}),
        control.EnvironmentCaptured(at_us=at_us, section="host", values={"hostname": source.choice("ab")}),
        control.TagsAdded(at_us=at_us, tags=(source.choice("abc"),)),
        control.TagsRemoved(at_us=at_us, tags=(source.choice("abc"),)),
        control.RunRenamed(at_us=at_us, name=f"n{source.randrange(3)}"),
        control.RunMoved(at_us=at_us, workspace="w", project=source.choice("pq"), experiment=None),
        control.RunNotesSet(at_us=at_us, notes=str(source.random())),
        control.RunArchived(at_us=at_us),
        control.RunDeleted(at_us=at_us),
        control.RunRestored(at_us=at_us),
        control.RunRestored(at_us=at_us),
        control.OutputAppended(at_us=at_us, stream="stdout", text="line\n"),
        control.AssetLogged(at_us=at_us, asset_id="a", name="a", sha256="0" * 64, size_bytes=1),
        control.RunFinished(at_us=at_us, status=source.choice(["finished", "failed"])),
        started(source, at_us, resumed=True),
    ]
    return source.choice(events)


def histories(seed: int) -> list[Recorded]:
    """Pieces of a log, one behind the other. Not all runs are there from the beginning."""
    source = random.Random(seed)
    writings: list[Writing] = []
    pieces = []
    for _ in range(5):
        into = Recorded()
        for _ in range(source.randrange(8, 16)):
            at_us = 1_700_000_000_000_000 + source.randrange(10**9)
            if len(writings) < RUNS and (not writings or source.random() < 0.3):
                metrics = [f"metric-{number}" for number in range(source.randrange(1, 4))]
                writings.append(Writing(source, f"run-{len(writings)}", len(writings) + 1, metrics))
                writings[-1].events(into, started(source, at_us, name=source.choice([None, "n0"])))
            writing = source.choice(writings)
            if source.random() < 0.35:
                writing.rows(into, source.randrange(1, 12))
            else:
                writing.events(into, *(something(source, at_us) for _ in range(source.randrange(1, 4))))
        pieces.append(into)
    return pieces


class Reading:
    """A server whose log grows piece by piece."""

    def __init__(self, parts: Any, client: TestClient[Any, Any]) -> None:
        self._parts, self._client = parts, client

    async def append(self, piece: Recorded) -> Positions:
        written: Positions = await self._parts.log.append(piece.records)
        assert await self._parts.progress.wait_for(written, timeout_s=240)
        return written

    async def lists(self, as_of: Positions | None, page: int = 100) -> list[Any]:
        """What is answered to all questions, each in pages of so many rows."""
        return [await self._pages({**question, "limit": page}, as_of) for question in QUESTIONS]

    async def _pages(self, question: dict[str, Any], as_of: Positions | None) -> Any:
        moment = {} if as_of is None else {"as_of": str(as_of)}
        rows: list[Any] = []
        cursor: dict[str, Any] = {}
        while True:
            response = await self._client.post("/api/v1/runs/query", json={**question, **moment, **cursor})
            assert response.status == 200, await response.text()
            found = await response.json()
            assert found["as_of"] == (None if as_of is None else str(as_of))
            rows += [plain(row) for row in found["runs"]]
            if found["next_cursor"] is None:
                return rows, found["total"]
            cursor = {"cursor": found["next_cursor"]}


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """What a row says that is the same at any time: how long a run has run so far is not."""
    return {name: value for name, value in row.items() if name != "duration_s" or row["ended_at"] is not None}


@pytest.fixture
async def reading(tmp_path: Path) -> AsyncIterator[Reading]:
    settings = ServerSettings(data_dir=tmp_path)
    place_tables(settings.data_dir)
    async with open_parts(settings) as parts:
        stop = asyncio.Event()
        worker = asyncio.create_task(parts.worker.run(stop))
        server = TestServer(application(settings, ApiKeys(), parts), host="127.0.0.1")
        async with TestClient(server) as client:
            yield Reading(parts, client)
        stop.set()
        await worker


@pytest.mark.parametrize("seed", range(examples(3)))
async def test_a_list_of_the_past_is_the_list_as_it_was(reading: Reading, seed: int) -> None:
    was = []
    for piece in histories(seed):
        written = await reading.append(piece)
        was.append((written, await reading.lists(None)))
    for number, (moment, lists) in enumerate(was):
        for question, wanted, found in zip(QUESTIONS, lists, await reading.lists(moment), strict=True):
            assert found == wanted, (number, question)
    assert was[0][1] != was[-1][1], "the past equals the present: the test tests nothing"
    assert any(rows for rows, _ in was[1][1])
    # In pages of two rows each it is the same list.
    moment, lists = was[len(was) // 2]
    assert await reading.lists(moment, page=2) == lists
