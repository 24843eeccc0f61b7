"""Frames whose lengths lie, sent to a server and found in a log: refused or set aside, in bounded memory."""

import asyncio
import json
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lz4.block
import psutil
import pytest

from kit.hostile.frames import HOSTILE, NO_EVENTS, WRITER, hand_made, of_writer
from kit.servers.embedded import Server
from runstream.events.encoding import encode_frame, encode_rows
from runstream.events.frame import GROUP, LZ4, RAGGED
from runstream_ingest.log.embedded import EmbeddedLog

#: Beyond what an idle server has: a batch of 16 MB unpacked, folded, and the engine's own.
GROWTH_BYTES = 700_000_000


def good(run: str = "good") -> bytes:
    group = encode_rows(b"loss", 1, struct.pack("<qqd", 1, 10**18, 0.5), 0)
    return encode_frame("cd" * 16, run, 0, 1, b"", [group])


def post(server: Server, body: bytes) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{server.url}/ingest/v1/frames", body, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def get(server: Server, path: str) -> Any:
    with urllib.request.urlopen(server.url + path, timeout=120) as response:
        return json.load(response)


def wait_until_shown(server: Server, run: str, points: int) -> None:
    deadline = time.monotonic() + 200
    while True:
        try:
            rows = get(server, f"/api/v1/runs/{run}/summaries")["summaries"]
            if rows and rows[0]["count"] == points:
                return
        except urllib.error.HTTPError as error:
            if error.code not in (404, 503):
                raise
        assert time.monotonic() < deadline, f"{run} is not shown"
        time.sleep(0.1)


def rss_bytes(server: Server) -> int:
    return int(psutil.Process(server.pid).memory_info().rss)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("hostile")) as server:
        yield server


@pytest.mark.parametrize("name", HOSTILE)
def test_lengths_that_lie_are_refused_before_they_are_acknowledged(server: Server, name: str) -> None:
    before = rss_bytes(server)
    status, problem = post(server, good("beside") + HOSTILE[name])
    assert (status, problem["type"]) == (422, "urn:runstream:problem:invalid-frame"), problem
    assert (problem["position"], problem["writer_id"]) == (len(good("beside")), WRITER)
    assert rss_bytes(server) - before < 100_000_000


def test_frames_that_unpack_to_much_take_bounded_memory(server: Server) -> None:
    """What a decoder may read: 16 MB of honest lengths in 63 kB, many times."""
    assert post(server, good("first"))[0] == 200
    before = rss_bytes(server)
    points = 1_300_000
    raw = b"a" + struct.pack("<IqqI", 0, 0, 0, points) + bytes(12 * points)
    stored = lz4.block.compress(raw, store_size=False)
    group = NO_EVENTS + GROUP.pack(LZ4, RAGGED, 1, 0, 1, 1, len(raw), len(stored)) + stored
    body = b"".join(hand_made(number, number + 1, group, 1, b"large") for number in range(4))
    status, response = post(server, body)
    assert status == 200, response
    wait_until_shown(server, "large", 4 * points)
    assert rss_bytes(server) - before < GROWTH_BYTES


def test_frames_that_stand_in_a_log_are_set_aside(tmp_path: Path) -> None:
    """Of an earlier build, which took them."""
    records = [
        (b"good", good()),
        *((b"bad", of_writer(*item)) for item in enumerate(HOSTILE.values())),
        (b"late", good("late")),
    ]

    async def fill() -> None:
        log = EmbeddedLog.open(tmp_path / "log", partitions=1)
        await log.append(records)
        await log.close()

    asyncio.run(fill())
    with Server(tmp_path) as server:
        for run in ("good", "late"):
            wait_until_shown(server, run, 1)
        told = get(server, "/api/v1/server")
        causes = told["quarantined_by_cause"]
        assert sum(causes.values()) == len(HOSTILE)
        assert set(causes) <= {"invalid_frame", "invalid_group"}
        server.stop()
