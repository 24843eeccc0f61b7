"""Readers that stop reading: what the server holds for them is bounded, they are disconnected, others go on."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kit.query import tables
from kit.query.reading import LONG_S, Reads, open_reads
from runstream.events.positions import Positions
from runstream_ingest.assets.local import LocalAssets
from runstream_query import QuerySettings
from runstream_query.http.arrow import ARROW
from runstream_service.assets import AssetStream
from runstream_service.store import QueryClass

POINTS = 300_000
BODY = json.dumps({"runs": ["long"], "metrics": ["m"]}).encode()


async def with_long_curve(reads: Reads, points: int = POINTS) -> None:
    store = reads.store.store
    await tables.insert(store, "run_states", [tables.run("long")])
    await tables.insert_points(store, "long", "m", np.arange(points), np.arange(points) * 0.5)
    reads.advance(1)


@asynccontextmanager
async def stopped_reader(reads: Reads, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A client that sends a request and reads the head of the response, then nothing unless the test does."""
    host, port = reads.client.server.host, reads.client.server.port
    reader, writer = await asyncio.open_connection(host, port, limit=4096)
    try:
        writer.write(request)
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LONG_S)
        yield reader
    finally:
        writer.close()


def arrow_request() -> bytes:
    return (
        f"POST /api/v1/series HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: {ARROW}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY


async def arrow(reads: Reads, status: int = 200) -> pa.Table:
    async with reads.client.post("/api/v1/series", data=BODY, headers=HEADERS) as response:
        body = await response.read()
        assert response.status == status, body[:500]
        return pa.ipc.open_stream(body).read_all() if status == 200 else None


HEADERS = {"Accept": ARROW, "Content-Type": "application/json"}


async def until_gone(reader: asyncio.StreamReader) -> None:
    """Read what the connection still has, until the server has ended it."""
    try:
        async with asyncio.timeout(LONG_S):
            while await reader.read(1 << 20):
                pass
    except ConnectionResetError:
        pass


async def test_stopped_readers_of_curves_hold_no_more_than_the_budget(tmp_path: Path) -> None:
    budget = 60_000_000  # two curves of 300,000 points
    settings = QuerySettings(max_outgoing_bytes=budget, stream_write_s=1.0, points_per_read=POINTS)
    async with open_reads(tmp_path, settings) as reads:
        await with_long_curve(reads)
        requests = [asyncio.create_task(hold(reads)) for _ in range(8)]
        await asyncio.sleep(0.5)
        most = 0
        # Each of the eight gets its turn once one before it was disconnected; so does one that reads.
        good = asyncio.create_task(arrow(reads))
        while not good.done():
            most = max(most, reads.outgoing.held_bytes)
            await asyncio.sleep(0.02)
        assert (await good).num_rows == POINTS
        await asyncio.gather(*requests)
        assert 0 < most <= budget
        async with asyncio.timeout(LONG_S):
            while reads.outgoing.held_bytes:  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def hold(reads: Reads) -> None:
    async with stopped_reader(reads, arrow_request()) as reader:
        await asyncio.sleep(2.5)
        await until_gone(reader)


async def test_streams_have_a_number_in_all_and_for_each_client(tmp_path: Path) -> None:
    settings = QuerySettings(max_streams=10, max_streams_per_client=2, points_per_read=POINTS)
    async with open_reads(tmp_path, settings) as reads:
        await with_long_curve(reads)
        async with stopped_reader(reads, arrow_request()), stopped_reader(reads, arrow_request()):
            problem = await problem_of(reads)
            assert problem["type"].endswith("too-busy")
            assert "RUNSTREAM_QUERY_MAX_STREAMS_PER_CLIENT" in problem["detail"]
        async with asyncio.timeout(LONG_S):
            while (await status_of(reads)) == 503:  # noqa: ASYNC110 (until the server has seen that they left)
                await asyncio.sleep(0.05)


async def problem_of(reads: Reads) -> Any:
    async with reads.client.post("/api/v1/series", data=BODY, headers=HEADERS) as response:
        assert response.status == 503
        assert response.headers["Retry-After"]
        return await response.json(content_type=None)


async def status_of(reads: Reads) -> int:
    async with reads.client.post("/api/v1/series", data=BODY, headers=HEADERS) as response:
        return response.status


async def test_a_stopped_reader_holds_no_slot_of_the_store(tmp_path: Path) -> None:
    """Nothing disconnects them: if one kept the only slot, a reader that reads would wait for it in vain."""
    settings = QuerySettings(
        heavy_slots=1, heavy_queue=2, heavy_wait_s=LONG_S, stream_write_s=10 * LONG_S, points_per_read=100_000
    )
    async with open_reads(tmp_path, settings) as reads:
        await with_long_curve(reads)
        async with stopped_reader(reads, arrow_request()), stopped_reader(reads, arrow_request()):
            assert (await arrow(reads)).num_rows == POINTS


@pytest.mark.parametrize("seed", range(4))
async def test_a_curve_in_pieces_has_each_point_once(tmp_path: Path, seed: int) -> None:
    """Also where many points have the same step and time, over any number of pieces."""
    chance = np.random.default_rng(seed)
    count = 4_000
    steps = np.sort(chance.integers(-3, [5, 400, 2, 5000][seed], count))
    at_us = tables.NOW_US + chance.integers(0, [2, 3, 1, 10][seed], count)
    values = chance.integers(0, 3, count) * 1.0
    settings = QuerySettings(points_per_read=[97, 1000, 333, 4000][seed])
    async with open_reads(tmp_path, settings) as reads:
        store = reads.store.store
        await tables.insert(store, "run_states", [tables.run("long")])
        await tables.insert_points(store, "long", "m", steps, values, at_us=at_us)
        reads.advance(1)
        table = await arrow(reads)
        found = sorted(
            zip(
                table["step"].to_pylist(), table["at"].cast(pa.int64()).to_pylist(), table["value"].to_pylist(),
                strict=True,
            )
        )  # fmt: skip
        assert found == sorted(zip(steps.tolist(), at_us.tolist(), values.tolist(), strict=True))
        assert table["step"].to_pylist() == sorted(steps.tolist())


# Large JSON


async def test_stopped_readers_of_json_count_too(tmp_path: Path) -> None:
    settings = QuerySettings(max_outgoing_bytes=9_000_000, stream_write_s=1.0)
    async with open_reads(tmp_path, settings) as reads:
        await with_long_curve(reads, 100_000)
        request = b"GET /api/v1/runs/long/series?metrics=m HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

        async def one() -> None:
            async with stopped_reader(reads, request) as reader:
                await asyncio.sleep(2.5)
                await until_gone(reader)

        stopped = [asyncio.create_task(one()) for _ in range(3)]
        most = 0
        while not all(task.done() for task in stopped):
            most = max(most, reads.outgoing.held_bytes)
            await asyncio.sleep(0.02)
        await asyncio.gather(*stopped)
        assert 0 < most <= 9_000_000


# Files


PIECE = 'é\n"'.encode() * 250_000


class Endless(LocalAssets):
    """A storage whose files are as long as they say, and made while they are read. Counts what was taken."""

    def __init__(self, folder: Path, size_bytes: int) -> None:
        super().__init__(folder)
        self.size_bytes = size_bytes
        self.taken_bytes = 0

    async def size_of(self, sha256: str) -> int | None:
        return self.size_bytes

    async def open(self, sha256: str, start: int = 0, end: int | None = None) -> AssetStream:
        end = self.size_bytes if end is None else min(end, self.size_bytes)

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(start, end, len(PIECE)):
                piece = PIECE[: end - at]
                self.taken_bytes += len(piece)
                yield piece
                await asyncio.sleep(0)

        return AssetStream(self.size_bytes, start, end, chunks())


@pytest.mark.parametrize("path", ["code", "html", "graph", "git/patch", "asset/get-asset", "model/download"])
async def test_a_large_file_is_never_whole_in_memory(tmp_path: Path, path: str) -> None:
    size_bytes = 300_000_000
    assets = Endless(tmp_path / "assets", size_bytes)
    sha256 = hashlib.sha256(b"").hexdigest()
    async with open_reads(tmp_path, QuerySettings(stream_write_s=1.0), assets) as reads:
        store = reads.store.store
        await tables.insert(store, "run_states", [tables.run("a")])
        rows = [
            tables.asset("a", "s1", "program.py", sha256, size_bytes, kind="source_code"),
            tables.asset("a", "p1", "page", sha256, size_bytes, role="page"),
            tables.asset("a", "g1", "graph", sha256, size_bytes, role="graph"),
            tables.asset("a", "d1", "git.diff", sha256, size_bytes),
            tables.asset("a", "m1", "big/weights", sha256, size_bytes, kind="model"),
        ]
        await tables.insert(store, "asset_states", rows)
        query = "experimentKey=a&assetId=s1&modelName=big"
        head = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        request = f"GET /api/rest/v2/experiment/{path}?{query} {head}".encode()
        async with stopped_reader(reads, request) as reader:
            await asyncio.sleep(0.3)
            assert assets.taken_bytes
            # The connection's buffers hold some megabytes.
            assert assets.taken_bytes < 30_000_000
            await asyncio.sleep(1.5)
            await until_gone(reader)
            assert assets.taken_bytes < 60_000_000


# Live streams


LIVE = b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def id_after(offset: int) -> bytes:
    """The line of an event's id that covers the record at this offset."""
    return f"id: {Positions.after(0, offset)}\n".encode()


async def data_lines(reader: asyncio.StreamReader, wanted: bytes) -> bytes:
    """Read until `wanted` was there."""
    read = b""
    async with asyncio.timeout(LONG_S):
        while wanted not in read:
            piece = await reader.read(65_536)
            assert piece, "the stream ended"
            read = read[-200_000:] + piece
    return read


async def test_any_number_of_live_streams_asks_the_store_once(tmp_path: Path) -> None:
    async def statements(streams: int, folder: Path) -> int:
        async with open_reads(folder, QuerySettings(live_tick_s=0.01, live_heartbeat_s=600)) as reads:
            await tables.insert(reads.store.store, "run_states", [tables.run("a")])
            reads.advance(1)
            opened = [stopped_reader(reads, LIVE) for _ in range(streams)]
            readers = [await one.__aenter__() for one in opened]
            for reader in readers:
                await data_lines(reader, id_after(1))
            before = len(reads.store.requested)
            for offset in range(2, 8):
                await tables.insert(
                    reads.store.store, "run_states", [tables.run("a", name=f"name-{offset}", offset=offset)]
                )
                reads.advance(offset)
                for reader in readers:
                    await data_lines(reader, id_after(offset))
            requested = [of for of, _ in reads.store.requested[before:]]
            assert set(requested) == {QueryClass.LIVE}
            for one in opened:
                await one.__aexit__(None, None, None)
            return len(requested)

    assert await statements(20, tmp_path / "many") == await statements(1, tmp_path / "one")


def live_settings(write_s: float) -> QuerySettings:
    return QuerySettings(live_tick_s=0.01, live_heartbeat_s=600, live_write_s=write_s, live_buffer_bytes=4096)


async def change(reads: Reads, offset: int) -> None:
    """400 kB: twenty of them are more than the connection's buffers and the feed keep."""
    changed = tables.run("a", name=f"name-{offset}", notes="x" * 400_000, offset=offset)
    await tables.insert(reads.store.store, "run_states", [changed])
    reads.advance(offset)


async def test_a_slow_live_reader_is_told_the_newest_state(tmp_path: Path) -> None:
    async with open_reads(tmp_path, live_settings(600)) as reads:
        await tables.insert(reads.store.store, "run_states", [tables.run("a")])
        reads.advance(1)
        async with stopped_reader(reads, LIVE) as slow, stopped_reader(reads, LIVE) as good:
            for reader in (slow, good):
                await data_lines(reader, id_after(1))
            for offset in range(2, 30):
                await change(reads, offset)
                await data_lines(good, id_after(offset))
            (feed,) = reads_feeds(reads)
            assert feed._kept_bytes <= QuerySettings().live_backlog_bytes
            told = await asyncio.wait_for(whole(slow, id_after(29)), LONG_S)
            assert b"name-29" in told
            assert told.count(b"event: run") < 28


async def test_a_stopped_live_reader_is_disconnected_and_others_go_on(tmp_path: Path) -> None:
    async with open_reads(tmp_path, live_settings(0.5)) as reads:
        await tables.insert(reads.store.store, "run_states", [tables.run("a")])
        reads.advance(1)
        async with stopped_reader(reads, LIVE) as stopped:
            offset = 1
            async with asyncio.timeout(2 * LONG_S):
                # Until it was found out: its buffers take some megabytes.
                while reads_feeds(reads):
                    offset += 1
                    await change(reads, offset)
                    await asyncio.sleep(0.1)
            await until_gone(stopped)
        async with stopped_reader(reads, LIVE) as good:
            await data_lines(good, id_after(offset))


def reads_feeds(reads: Reads) -> list[Any]:
    for route in reads.app.router.routes():
        if route.resource is not None and route.resource.canonical == "/api/v1/live":
            closure = route.handler.__closure__ or ()
            contexts = [cell.cell_contents for cell in closure if hasattr(cell.cell_contents, "feeds")]
            return list(contexts[0].feeds.values())
    raise AssertionError("there is no such route")


async def whole(reader: asyncio.StreamReader, wanted: bytes) -> bytes:
    read = bytearray()
    while wanted not in read[-200_000:] and wanted not in read:
        piece = await reader.read(1 << 20)
        assert piece, "the stream ended"
        read += piece
    return bytes(read)


async def test_live_streams_have_a_number_and_say_so(tmp_path: Path) -> None:
    async with (
        open_reads(tmp_path, QuerySettings(max_live=2)) as reads,
        stopped_reader(reads, LIVE),
        stopped_reader(reads, LIVE),
    ):
        problem = await reads.get("/api/v1/live", 503)
        assert "RUNSTREAM_QUERY_MAX_LIVE" in problem["detail"]
