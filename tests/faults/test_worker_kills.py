"""SIGKILL of the worker after every insert of every table: everything is there once, value by value."""

import asyncio
import os
import random
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kit.children.forked import ForkedChild
from kit.children.worker import STEPS
from kit.recorded.seeded import Recorded, recorded
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_processors.rebuild import TableHash, rebuild, table_hashes
from runstream_processors.store.chdb import ChdbStore

NEVER = "never"
KILLS = int(os.environ.get("RUNSTREAM_KILLS", "0"))
#: Where a worker is killed. Before an insert the store is as after the one before it, so `make test` leaves those steps
#: out.
KILLED_AT = STEPS if KILLS else tuple(step for step in STEPS if not step.startswith("before "))
#: Logs that are folded under kills at every step; `make faults KILLS=1000` walks through more of them.
ROUNDS = max(1, KILLS // len(STEPS))
#: Enough of them that a worker comes to each step: a death costs two batches.
FRAMES = 200


def fill_log(directory: Path, facts: Recorded) -> None:
    async def fill() -> None:
        log = EmbeddedLog.open(directory / "log")
        await log.append(facts.records)
        await log.close()

    asyncio.run(fill())


def work(directory: Path, kill_at: str, *options: str) -> str:
    """Run a worker that dies when it first comes to a step; what it printed last."""
    errors = directory / "worker.log"
    child = ForkedChild("kit.children.worker", directory, kill_at, *options, environment=os.environ, errors=errors)
    printed = child.stdout.read()
    child.wait(120)
    assert "DONE" in printed or "KILLED" in printed, errors.read_text()[-3000:]
    return printed.split("\n")[-2]


def query(directory: Path, *statements: str) -> list[list[dict[str, Any]]]:
    async def ask() -> list[list[dict[str, Any]]]:
        store = await ChdbStore.open(directory / "store")
        responses = [(await store.query(statement)).to_pylist() for statement in statements]
        await store.close()
        return responses

    return asyncio.run(ask())


def committed(directory: Path) -> int:
    [[row]] = query(
        directory, "SELECT toInt64(max(offset)) - (count() = 0) AS last FROM watermark_states WHERE key = ''"
    )
    return int(str(row["last"]))


def last_of(facts: Recorded, run: str) -> int:
    return max(offset for offset, (key, _) in enumerate(facts.records) if key == run.encode())


def hashes(directory: Path) -> dict[str, TableHash]:
    async def ask() -> dict[str, TableHash]:
        store = await ChdbStore.open(directory)
        response = await table_hashes(store)
        await store.close()
        return response

    return asyncio.run(ask())


def check(directory: Path, facts: Recorded, without: str = "") -> None:
    """Compare every table with the facts, run `without` left out of the points."""
    points, events, parameters, output, bad = query(
        directory,
        """SELECT run, metric, step, toUnixTimestamp64Micro(at) AS at_us, value, epoch FROM points""",
        "SELECT count() AS n FROM events",
        "SELECT run, name, value FROM attributes WHERE kind = 'parameter'",
        "SELECT run, text FROM output",
        "SELECT count() AS n, uniqExact(offset) AS records FROM quarantine",
    )
    found = Counter(
        (p["run"], p["metric"], p["step"], p["at_us"], struct.pack("<d", p["value"]), p["epoch"]) for p in points
    )
    wanted = Counter(point for point in facts.points if point[0] != without)
    assert found - wanted == Counter(), "points that are doubled or were never logged"
    assert wanted - found == Counter(), "points that are lost"
    assert events == [{"n": facts.events}]
    assert {(p["run"], p["name"]): p["value"] for p in parameters} == facts.parameters
    assert Counter((o["run"], o["text"]) for o in output) == Counter(facts.output)
    broken = sum(value == b"no frame at all" for _, value in facts.records)
    assert bad == [{"n": broken, "records": broken}]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_nothing_is_lost_or_doubled_by_a_kill_at_any_step(tmp_path: Path, seed: int) -> None:
    facts = recorded(seed, runs=4, frames=FRAMES, first="doomed")
    fill_log(tmp_path, facts)
    steps = list(KILLED_AT)
    random.Random(seed).shuffle(steps)
    deleted = False
    for number, step in enumerate(steps):
        assert work(tmp_path, step, *(["--merge"] if number % 5 == 4 else [])) == f"KILLED {step}"
        if not deleted and committed(tmp_path) >= last_of(facts, "doomed"):
            # Rows that held the highest offsets of a table go away: the position must not move back with them.
            assert "KILLED" in work(tmp_path, "after points", "--delete", "doomed")
            deleted = True
    assert work(tmp_path, NEVER) == "DONE"
    assert deleted
    print(
        f"\nworker kills: {len(steps) + 1}, one at each of {len(KILLED_AT)} steps and one after a deletion; "
        f"{len(facts.points)} points, 0 lost, 0 doubled"
    )
    check(tmp_path, facts, without="doomed")


def test_rebuild_gives_equal_hashes_after_kills(tmp_path: Path) -> None:
    facts = recorded(7, runs=3, frames=60)
    fill_log(tmp_path, facts)
    for step in ("after points", "after summary_states", "before watermark_states", "after watermark_states"):
        assert work(tmp_path, step) == f"KILLED {step}"
    assert work(tmp_path, NEVER) == "DONE"
    check(tmp_path, facts)

    async def again() -> None:
        log = EmbeddedLog.open(tmp_path / "log")
        store = await ChdbStore.open(tmp_path / "fresh")
        await rebuild(log, store)
        await store.close()
        await log.close()

    asyncio.run(again())
    assert hashes(tmp_path / "store") == hashes(tmp_path / "fresh")
