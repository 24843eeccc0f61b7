"""The read models of another version are built beside those that serve, and take their place when they are equal."""

import asyncio
import json
import math
import statistics
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from kit.oracles.metrics import Delivery, Row
from kit.recorded.metric_frames import frame_bytes
from kit.recorded.seeded import recorded
from runstream.events.control import RunStarted, encode_event
from runstream.events.encoding import encode_frame
from runstream_infra.cli.doctor import read_models_line, server_problems
from runstream_infra.embedded import Parts, application, open_parts
from runstream_infra.folding_thread import FoldingThread
from runstream_infra.settings import ServerSettings
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_processors.generations import ADOPTED, CURRENT, Versions
from runstream_processors.rebuild import rebuild, table_hashes
from runstream_processors.store.chdb import ChdbStore
from runstream_service.auth import ApiKeys

#: A registry as a later build has it.
BUMPED: Versions = {**ADOPTED, "summary_states": 2}
FACTS = recorded(11, runs=4, frames=120)


class Hold:
    """Holds a thread that comes to a step until it is let go; remembers the steps."""

    def __init__(self, step: str) -> None:
        self.steps: list[str] = []
        self._step = step
        self._is_there = threading.Event()
        self._may_go = threading.Event()

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if step == self._step:
            self._is_there.set()
            assert self._may_go.wait(120)

    async def until_there(self) -> None:
        assert await asyncio.to_thread(self._is_there.wait, 120)

    def let_go(self) -> None:
        self._may_go.set()


async def written_before(directory: Path, records: list[tuple[bytes, bytes]]) -> None:
    """A data directory as builds left it that knew of no generations."""
    log = EmbeddedLog.open(directory / "log")
    await log.append(records)
    store = await ChdbStore.open(directory / "store")
    await rebuild(log, store, versions=ADOPTED)
    await store.close()
    await log.close()


@asynccontextmanager
async def serving(directory: Path, on_step: Callable[[str], None], versions: Versions = BUMPED) -> AsyncIterator[Parts]:
    deaths: list[BaseException] = []
    async with open_parts(ServerSettings(data_dir=directory), on_step, versions) as parts:
        folding = FoldingThread(parts.worker, deaths.append)
        folding.start()
        refolding = asyncio.create_task(parts.refolding.run(folding))
        try:
            yield parts
        finally:
            refolding.cancel()
            await asyncio.gather(refolding, return_exceptions=True)
            await folding.stop()
    assert deaths == []


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(12_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within two minutes")


async def progress_is_shown(parts: Parts, directory: Path) -> None:
    """Readiness and the status tell of the build that is under way, and the server is ready."""
    server = TestServer(application(ServerSettings(data_dir=directory), ApiKeys(), parts), host="127.0.0.1")
    async with TestClient(server) as client:
        response = await client.get("/readyz")
        assert response.status == 200
        assert (await response.json())["checks"]["read_models"].startswith(
            "generation 2 is being built beside it (folding, 0 of "
        )
        shown = (await (await client.get("/api/v1/server")).json())["read_models"]
    assert (shown["serving"], shown["building"], shown["doing"]) == (1, 2, "folding")
    assert shown["differences"] == ["summary_states 1 -> 2"]
    assert 0 == shown["folded"] < shown["records"]
    assert "generation 2 is being built (folding, 0 of" in read_models_line(shown)
    assert server_problems({"error": None, "reachable": True, "ready": True, "read_models": shown}) == []
    kept = shown | {"building": None, "obstacle": "generation 1 goes on serving, because"}
    [problem] = server_problems({"error": None, "reachable": True, "ready": True, "read_models": kept})
    assert "generation 1 goes on serving" in problem


def losses(first: int) -> tuple[bytes, bytes]:
    """Ten more values of a run whose values are all finite, far from 0 and close together."""
    rows = tuple(Row(seq, seq, 10**9 * seq, {"loss": 1e8 + seq / 7}) for seq in range(first, first + 10))
    return b"run-f", frame_bytes(Delivery("run-f", "ab" * 16, first, first + 10, rows, 0, 0))


async def deviations(parts: Parts) -> set[float | None]:
    return set((await parts.store.query("SELECT std FROM summaries"))["std"].to_pylist())


async def deviations_are_true(parts: Parts) -> bool:
    """Whether each summary has the standard deviation of its points, and one that is a number."""
    found = {
        (row["run"], row["metric"]): row["std"]
        for row in (await parts.store.query("SELECT run, metric, std FROM summaries")).to_pylist()
    }
    values: dict[tuple[str, str], list[float]] = {}
    for row in (await parts.store.query("SELECT run, metric, value FROM points")).to_pylist():
        values.setdefault((row["run"], row["metric"]), []).append(row["value"])
    for key, its in values.items():
        if all(map(math.isfinite, its)):
            assert found[key] == pytest.approx(statistics.pstdev(its), rel=1e-14), key
        else:
            assert math.isnan(found[key]), key
    return found.keys() == values.keys() and found["run-f", "loss"] > 0


async def test_another_version_is_built_while_the_old_one_serves(tmp_path: Path) -> None:
    half = len(FACTS.records) // 2
    await written_before(tmp_path, [*FACTS.records[:half], losses(0)])
    hold = Hold("rebuilding: resumed")
    async with serving(tmp_path, hold) as parts:
        await hold.until_there()
        await until(lambda: parts.refolding.status is not None and parts.refolding.status.records)
        status = parts.refolding.status
        assert status is not None
        assert (status.serving, status.building, status.doing) == (1, 2, "folding")
        assert status.differences == ("summary_states 1 -> 2",)
        await progress_is_shown(parts, tmp_path)
        written = await parts.log.append([*FACTS.records[half:-5], losses(10)])
        assert await parts.progress.wait_for(written, 240), "the old generation serves what comes meanwhile"
        assert parts.store.serving.number == 1
        before = await table_hashes(parts.store)
        assert await deviations(parts) == {None}, "a summary that misses squares of old points shows none"
        hold.let_go()
        await until(lambda: parts.store.serving.number == 2)
        now = await table_hashes(parts.store)
        assert {name for name in before if now[name] != before[name]} == {"summaries"}
        assert await deviations_are_true(parts)
        written = await parts.log.append(FACTS.records[-5:])
        assert await parts.progress.wait_for(written, 240)
        await until(lambda: "dropping recorded" in hold.steps)
        tables = await parts.store.query("SELECT name FROM system.tables WHERE database = 'runstream'")
        assert tables["name"].to_pylist() == ["generations"]
        status = parts.refolding.status
        assert status is not None
        after = await table_hashes(parts.store)
    async with serving(tmp_path, hold) as parts:
        assert parts.store.serving.number == 2
        assert await table_hashes(parts.store) == after


async def test_groups_that_an_older_build_ignored_are_there_after_the_switch(tmp_path: Path) -> None:
    started = RunStarted(at_us=1, workspace="w", project="p", group="sweep-7", job_type="train")
    events = json.dumps([[0, json.loads(encode_event(started))]]).encode()
    await written_before(tmp_path, [(b"grouped", encode_frame("f" * 32, "grouped", 0, 1, events)), *FACTS.records])
    statement = "SELECT run, group, job_type FROM runs WHERE run IN ('grouped', 'run-0') ORDER BY run"
    store = await ChdbStore.open(tmp_path / "store")
    await store.command(
        "ALTER TABLE run_states UPDATE group = '', job_type = '' WHERE true SETTINGS mutations_sync = 2"
    )
    before = (await store.query(statement)).to_pylist()
    await store.close()
    assert {row["group"] for row in before} == {""}
    async with serving(tmp_path, lambda step: None, CURRENT) as parts:
        await until(lambda: parts.store.serving.number == 2)
        after = (await parts.store.query(statement)).to_pylist()
    assert after == [
        {"run": "grouped", "group": "sweep-7", "job_type": "train"},
        {"run": "run-0", "group": "", "job_type": ""},
    ]


async def test_a_difference_is_found_and_the_new_generation_refused(tmp_path: Path) -> None:
    await written_before(tmp_path, FACTS.records)
    run = FACTS.points[0][0]
    store = await ChdbStore.open(tmp_path / "store")
    await store.command(f"ALTER TABLE points DELETE WHERE run = '{run}' AND step = 1 SETTINGS mutations_sync = 2")
    planted = await table_hashes(store)
    await store.close()
    steps: list[str] = []
    async with serving(tmp_path, steps.append) as parts:
        await until(lambda: "dropping recorded" in steps)
        await until(lambda: parts.refolding.status is not None and parts.refolding.status.obstacle)
        status = parts.refolding.status
        assert status is not None
        assert (status.serving, status.building) == (1, None)
        assert status.obstacle is not None
        assert f"points at {run} " in status.obstacle
        assert "runs at" not in status.obstacle
        assert "runstream rebuild --replace" in status.obstacle
        assert await table_hashes(parts.store) == planted, "it goes on serving as it is"
        databases = await parts.store.query("SELECT name FROM system.databases WHERE name LIKE 'runstream%'")
        assert databases["name"].to_pylist() == ["runstream"]
    assert "serving recorded" not in steps
    steps.clear()
    async with serving(tmp_path, steps.append) as parts:
        await until(lambda: parts.refolding.status is not None)
        assert not any(step.startswith("building") for step in steps), "the same versions are not built again"


async def rebuilt(parts: Parts, directory: Path, replace: bool) -> dict[str, Any]:
    """What `POST /api/v1/server/rebuild` comes to, once all of it is over."""
    server = TestServer(application(ServerSettings(data_dir=directory), ApiKeys(), parts), host="127.0.0.1")
    async with TestClient(server) as client:
        async with client.post("/api/v1/server/rebuild", json={"replace": replace}) as response:
            assert response.status == 202
            requested: dict[str, Any] = await response.json()
        assert (requested["outcome"], requested["replace"]) == ("building", replace)
        async with client.post("/api/v1/server/rebuild", json={}) as response:
            assert response.status == 409
            assert "is being built: wait until it serves" in (await response.json())["detail"]
        while True:
            found = (await (await client.get("/api/v1/server")).json())["read_models"]
            if found["rebuild"]["outcome"] != "building" and not await others(parts):
                break
            await asyncio.sleep(0.01)
    assert found["rebuild"]["generation"] == requested["generation"]
    assert found["building"] is None
    rebuild: dict[str, Any] = found["rebuild"]
    return rebuild


async def others(parts: Parts) -> int:
    """How many generations have tables beside the one that serves."""
    tables = await parts.store.query(
        "SELECT uniqExact(database) AS n FROM system.tables WHERE database LIKE 'runstream%' AND name = 'points'"
    )
    return int(tables["n"][0].as_py()) - 1


async def test_a_server_rebuilds_its_tables_while_it_serves(tmp_path: Path) -> None:
    await written_before(tmp_path, FACTS.records[:-5])
    async with serving(tmp_path, lambda step: None, ADOPTED) as parts:
        await until(lambda: parts.refolding.status is not None)
        right = await table_hashes(parts.store)
        rebuild = await rebuilt(parts, tmp_path, replace=False)
        assert (rebuild["outcome"], rebuild["detail"], parts.store.serving.number) == ("equal", "", 1)

        run = FACTS.points[0][0]
        await parts.store.command(
            f"ALTER TABLE points DELETE WHERE run = '{run}' AND step = 1 SETTINGS mutations_sync = 2"
        )
        planted = await table_hashes(parts.store)
        rebuild = await rebuilt(parts, tmp_path, replace=False)
        assert (rebuild["outcome"], parts.store.serving.number) == ("different", 1)
        assert f"points at {run} " in rebuild["detail"]
        shown = {"serving": 1, "building": None, "obstacle": None, "trouble": None, "rebuild": rebuild}
        [problem] = server_problems({"error": None, "reachable": True, "ready": True, "read_models": shown})
        assert f"points at {run} " in problem
        assert "`runstream rebuild --replace` puts fresh ones into use" in problem
        assert await table_hashes(parts.store) == planted, "nothing is changed"

        rebuild = await rebuilt(parts, tmp_path, replace=True)
        assert (rebuild["outcome"], parts.store.serving.number) == ("different", 4)
        assert await table_hashes(parts.store) == right
        written = await parts.log.append(FACTS.records[-5:])
        assert await parts.progress.wait_for(written, 240)
    async with serving(tmp_path, lambda step: None, ADOPTED) as parts:
        assert parts.store.serving.number == 4
        await until(lambda: parts.refolding.status is not None)
        status = parts.refolding.status
        assert status is not None
        assert status.rebuild is not None
        assert (status.building, status.rebuild.outcome) == (None, "different")


async def test_a_log_without_its_beginning_keeps_the_generation_that_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written_before(tmp_path, FACTS.records)

    async def cut_off(_: EmbeddedLog) -> dict[int, int]:
        return {0: 7}

    monkeypatch.setattr(EmbeddedLog, "begin_offsets", cut_off)
    async with serving(tmp_path, lambda step: None) as parts:
        await until(lambda: parts.refolding.status is not None)
        status = parts.refolding.status
        assert status is not None
        assert status.obstacle is not None
        assert "retention removed the first 7 records of partition 0" in status.obstacle
        assert status.note == status.obstacle
        assert parts.store.serving.number == 1
