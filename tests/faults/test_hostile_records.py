"""Records that end the process which decodes them: the next start knows them and sets them aside, and nothing else."""

import asyncio
import contextlib
import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from kit.hostile import POISONED
from kit.hostile.records import point, poison, started
from kit.servers.embedded import Server
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.worker.marks import CrashMark

GOOD = 60
#: `make faults KILLS=1000` runs it longer.
KILLS = max(3, int(os.environ.get("RUNSTREAM_KILLS", "0")))


def send(server: Server, *frames: bytes) -> dict[str, Any]:
    request = urllib.request.Request(f"{server.url}/ingest/v1/frames", b"".join(frames), method="POST")
    with urllib.request.urlopen(request, timeout=120) as response:
        found: dict[str, Any] = json.load(response)
        return found


def quarantined(data: Path) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]]:
        store = await ChdbStore.open(data / "store")
        try:
            table = await store.query("SELECT offset, key, cause, detail, hex(body) AS body FROM quarantine")
            rows: list[dict[str, Any]] = table.to_pylist()
            return rows
        finally:
            await store.close()

    return asyncio.run(ask())


def wait_for_good(server: Server, run: str) -> None:
    deadline = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(f"{server.url}/api/v1/runs/{run}/summaries", timeout=120) as response:
                rows = json.load(response)["summaries"]
            if rows and rows[0]["count"] == GOOD:
                return
        except urllib.error.HTTPError as error:
            if error.code not in (404, 503):
                raise
        assert time.monotonic() < deadline, f"{run} is not visible"
        time.sleep(0.1)


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RUNSTREAM_TEST_POISON", "1")
    monkeypatch.setenv("PYTHONPATH", str(POISONED))
    data = tmp_path / "data"
    data.mkdir()
    return data


def send_until_dead(server: Server, *frames: bytes) -> None:
    """The frames are durable, and then the server dies: after it has answered or, of a busy machine, before."""
    # That they were durable is told by what the next start finds of them.
    with contextlib.suppress(ConnectionError, http.client.HTTPException):
        assert send(server, *frames)["positions"]
    assert server.wait_for_death(120), "nothing brought the server down: the test tests nothing"


def points_of(run: str) -> list[bytes]:
    return [point(run, seq) for seq in range(1, GOOD + 1)]


@pytest.mark.timeout(900)
def test_a_record_that_ends_its_decoder_is_set_aside_at_the_next_start(poisoned: Path) -> None:
    bad = poison("bad", "abort")
    with Server(poisoned) as server:
        good = [started("good"), *points_of("good")]
        send_until_dead(server, *good[:30], bad, *good[30:])
        server.start()
        wait_for_good(server, "good")
        server.stop()
        log = (poisoned / "server.log").read_text()
        assert "tried in another" in log
        assert "set aside unread" in log
        [row] = quarantined(poisoned)
        assert (row["cause"], row["key"], row["offset"]) == ("brought_down_worker", "bad", 30)
        assert row["body"] == bad.hex().upper()
        assert "SIGABRT" in row["detail"]
        # It stays what it is: no start and no rebuild reads it again.
        server.start()
        server.stop()
    assert len(quarantined(poisoned)) == 1


@pytest.mark.timeout(900)
def test_a_record_that_only_the_server_dies_of_is_found_in_pieces(poisoned: Path) -> None:
    with Server(poisoned) as server:
        good = [started("good"), *points_of("good")]
        send_until_dead(server, *good[:30], poison("bad", "store"), *good[30:])
        deaths = 1
        while not server.start(must_be_ready=False) or server.wait_until_dead_or(lambda: is_visible(server)):
            deaths += 1
            assert deaths < 15, (poisoned / "server.log").read_text()[-3000:]
        assert deaths > 3
        wait_for_good(server, "good")
        server.stop()
    [row] = quarantined(poisoned)
    assert (row["cause"], row["key"], row["offset"]) == ("brought_down_worker", "bad", 30)
    assert "processes died" in row["detail"]


def is_visible(server: Server) -> bool:
    try:
        wait_for = urllib.request.urlopen(f"{server.url}/api/v1/runs/good/summaries", timeout=5)
    except OSError:
        return False
    with wait_for as response:
        rows = json.load(response)["summaries"]
    return bool(rows) and rows[0]["count"] == GOOD


@pytest.mark.timeout(900)
def test_kills_from_outside_set_nothing_aside(tmp_path: Path) -> None:
    source = random.Random(7)
    data = tmp_path / "data"
    data.mkdir()
    server = Server(data)
    server.options = ("--kill-at", "after points")
    runs = {f"run-{n}": [started(f"run-{n}"), *points_of(f"run-{n}")] for n in range(KILLS + 1)}
    with server:
        in_the_middle, *others = runs
        send_until_dead(server, *runs[in_the_middle])
        server.options = ()
        server.start()
        assert "under way" in server.log()
        for run in others:
            send(server, *runs[run])
            time.sleep(source.choice((0.0, 0.01, 0.05, 0.1)))
            server.kill()
            server.start()
        for run in runs:
            wait_for_good(server, run)
        server.stop()
    assert quarantined(data) == []


def test_the_mark_survives_its_process_and_is_closed_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.mark"
    mark = CrashMark.open(path)
    assert mark is not None
    assert mark.left_open() == {}
    mark.begin({0: 5, 3: 0})
    mark.under_way(0, 9)
    mark.under_way(7, 1)  # no partition of this worker
    mark.leave()
    again = CrashMark.open(path)
    assert again is not None
    assert again.left_open() == {0: 9}
    assert CrashMark.open(path) is None, "two workers have one mark"
    again.close()
    again.close()
    third = CrashMark.open(path)
    assert third is not None
    assert third.left_open() == {}
    third.close()
