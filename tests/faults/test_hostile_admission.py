"""Who takes much leaves room for others, and holds no more than what came. (About 10 s.)"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from kit.comet.gateway import AT_MS, KEY, Everything, Log, LogLookup, Served
from runstream.events.encoding import encode_frame
from runstream.events.positions import Positions
from runstream_ingest.assets import LocalAssets
from runstream_ingest.gateway import GatewaySettings, add_gateway
from runstream_ingest.gateway.shares import Shares
from runstream_protocols.comet.writes.routes import add_comet_writes
from runstream_service.problems import problem_middleware

METRICS = "clientlib/batch/logger/experiment/metric"
REST = "api/rest/v2/write/experiment"
GAUGE = "runstream_gateway_in_flight_bytes"


class Late(Everything):
    """Nothing is visible until `shown` is set. `waiting`: how many wait."""

    def __init__(self) -> None:
        self.shown = asyncio.Event()
        self.waiting = 0

    async def wait_for(self, wanted: Positions, timeout_s: float) -> bool:
        self.waiting += 1
        try:
            await asyncio.wait_for(self.shown.wait(), timeout_s)
        except TimeoutError:
            return False
        finally:
            self.waiting -= 1
        return True


class Gateway(Served):
    registry: CollectorRegistry

    def held_bytes(self) -> float:
        return self.registry.get_sample_value(GAUGE) or 0.0

    def pressed_back(self) -> float:
        return self.registry.get_sample_value("runstream_gateway_pressed_back_total", {"cause": "in-flight"}) or 0.0

    async def frame(self, seq: int, client: aiohttp.ClientSession | None = None, size: int = 0) -> int:
        """Send one frame; the status of the response."""
        notes = b'[[%d,{"type":"run_notes_set.v1","at_us":1,"notes":"%b"}]]' % (
            seq,
            random.Random(1).randbytes(size).hex().encode(),
        )
        body = encode_frame("a1" * 16, "run-1", seq, seq + 1, notes)
        async with (client or self.client).post(f"{self.url}/ingest/v1/frames", data=body) as response:
            return response.status


@asynccontextmanager
async def gateway(folder: Path, visibility: Everything | None = None, **bounds: Any) -> AsyncIterator[Gateway]:
    log, seen, registry = Log(), visibility or Everything(), CollectorRegistry()
    app = web.Application(middlewares=[problem_middleware()])
    storage, lookup = LocalAssets(folder / "assets"), LogLookup(log)
    settings = GatewaySettings(**bounds)
    added = add_gateway(app, log=log, assets=storage, visibility=seen, settings=settings, registry=registry)
    add_comet_writes(app, gateway=added, assets=storage, lookup=lookup)
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as client:
            served = Gateway(f"http://127.0.0.1:{runner.addresses[0][1]}", client, log, lookup, seen, folder)
            served.registry = registry
            yield served
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], object]) -> None:
    for _ in range(3_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen within 30 s")


async def unfinished(served: Gateway, path: str, sent: bytes, declared: int) -> asyncio.StreamWriter:
    host, _, port = served.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), declared, sent)
    )
    return writer


@pytest.mark.parametrize("path", ["ingest/v1/frames", "ingest/v1/commands", METRICS])
async def test_bodies_that_are_declared_and_do_not_come_lock_nobody_out(tmp_path: Path, path: str) -> None:
    async with gateway(tmp_path) as served:
        await served.begun()
        declared = 4_000_000 if "commands" in path else 16_000_000
        writers = [await unfinished(served, path, b"RS" * 50, declared) for _ in range(20)]
        await until(lambda: served.held_bytes() >= 20 * 100)
        assert served.held_bytes() == 20 * 100
        assert await served.frame(0) == 200
        command = {"key": "run-1", "event": {"type": "run_archived.v1"}}
        assert (await served.send("ingest/v1/commands", command))[0] == 200
        for writer in writers:
            writer.close()
        await until(lambda: served.held_bytes() == 0)


async def test_requests_that_wait_until_they_are_visible_hold_no_bytes_and_are_bounded(tmp_path: Path) -> None:
    late = Late()
    async with gateway(
        tmp_path, late, max_waiting=4, visible_timeout_s=60.0, address_share_percent=100, key_share_percent=100
    ) as served:
        late.shown.set()
        await served.begun()
        late.shown.clear()
        alive = f"{REST}/set-status?experimentKey={KEY}"
        waiting = [asyncio.create_task(served.send(alive, method="GET")) for _ in range(2)]
        tags = {"experimentKey": KEY, "addedTags": ["x" * 100] * 5_000}
        waiting += [asyncio.create_task(served.send(f"{REST}/tags", tags)) for _ in range(2)]
        await until(lambda: late.waiting == 4)
        assert served.held_bytes() == 0
        assert await served.frame(0) == 200
        command = {"key": "run-1", "event": {"type": "run_archived.v1"}}
        assert (await served.send("ingest/v1/commands", command))[0] == 202
        assert (await served.send(alive, method="GET"))[0] == 200
        assert late.waiting == 4
        late.shown.set()
        assert [status for status, _ in await asyncio.gather(*waiting)] == [200] * 4


async def test_frames_have_room_whatever_others_hold(tmp_path: Path) -> None:
    async with gateway(tmp_path, max_in_flight_bytes=1_000_000) as served:
        await served.begun()
        served.log.gate.clear()
        held = [
            asyncio.create_task(served.send(METRICS, {"experimentKey": KEY, "values": [], "x": "y" * 200_000, "n": n}))
            for n in range(20)
        ]
        values = [{"metricName": "x", "metricValue": 1, "timestamp": AT_MS}] * 2_000
        held += [
            asyncio.create_task(served.send(METRICS, {"experimentKey": KEY, "values": values, "n": n}))
            for n in range(20)
        ]
        await until(lambda: any(task.done() and task.result()[0] == 429 for task in held))
        frame = asyncio.create_task(served.frame(0, size=100_000))
        await until(
            lambda: (
                served.registry.get_sample_value(
                    "runstream_gateway_requests_total", {"route": "frames", "status": "429"}
                )
                or served.log.called.is_set()
            )
        )
        served.log.gate.set()
        assert await frame == 200
        statuses = [status for status, _ in await asyncio.gather(*held)]
        assert set(statuses) == {200, 429}
        assert served.held_bytes() == 0


async def test_one_address_leaves_room_for_another(tmp_path: Path) -> None:
    other = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with (
        gateway(tmp_path, max_in_flight_bytes=1_000_000) as served,
        aiohttp.ClientSession(connector=other) as client,
    ):
        path = "ingest/v1/frames"
        greedy = [await unfinished(served, path, bytes(60_000), 100_000) for _ in range(30)]
        await until(
            lambda: (
                (served.registry.get_sample_value("runstream_gateway_pressed_back_total", {"cause": "in-flight"}) or 0)
                > 0
            )
        )
        assert 400_000 < served.held_bytes() <= 670_000
        assert await served.frame(0, client, size=50_000) == 200
        for writer in greedy:
            writer.close()


async def test_who_is_alone_may_send_more_than_the_bound(tmp_path: Path) -> None:
    async with gateway(tmp_path, max_in_flight_bytes=1_000) as served:
        await served.begun()
        assert await served.frame(0, size=100_000) == 200
        values = [{"metricName": "x", "metricValue": 1, "timestamp": AT_MS}] * 100
        assert (await served.send(METRICS, {"experimentKey": KEY, "values": values}))[0] == 200


async def test_uploads_at_once_are_bounded(tmp_path: Path) -> None:
    async with gateway(tmp_path, max_uploads=4) as served:
        host, _, port = served.url.removeprefix("http://").partition(":")
        open_ones = []
        for number in range(3):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"PUT /ingest/v1/assets/%064d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx" % number
            )
            open_ones.append(writer)
        incoming = tmp_path / "assets" / "incoming"
        await until(lambda: len(list(incoming.iterdir())) == 2)
        async with served.client.put(f"{served.url}/ingest/v1/assets/{9:064d}", data=b"x") as response:
            assert (response.status, (await response.json(content_type=None))["cause"]) == (429, "uploads")
        other = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        url = f"{served.url}/ingest/v1/assets/{9:064d}"
        async with aiohttp.ClientSession(connector=other) as client, client.put(url, data=b"x") as response:
            assert response.status == 422, "another address has a place; the hash is wrong"
        for writer in open_ones:
            writer.close()
        await until(lambda: not list(incoming.iterdir()))


def test_shares_are_never_all_taken_and_always_given_back() -> None:
    chance = random.Random(9)
    for _ in range(200):
        shares = Shares(1_000, key_percent=90, address_percent=67)
        held: list[tuple[int, tuple[str, str]]] = []
        for _ in range(200):
            if held and chance.random() < 0.3:
                shares.give_back(*held.pop(chance.randrange(len(held))))
                continue
            accounts = (f"key {chance.randrange(2)}", f"address {chance.randrange(3)}")
            amount = chance.randrange(1, 200)
            if shares.refusal(amount, accounts) is None:
                assert not shares.held or shares.held + amount <= 1_000
                shares.take(amount, accounts)
                held.append((amount, accounts))
            assert shares.held == sum(amount for amount, _ in held)
        if shares.held < 1_000:
            newcomer = ("key new", "address new")
            assert shares.refusal(max(1, (1_000 - shares.held) // 2), newcomer) is None
        for one in held:
            shares.give_back(*one)
        assert shares.held == 0
        assert shares.refusal(5_000, ("a", "b")) is None


def test_an_address_may_use_most_of_what_nobody_wants() -> None:
    shares = Shares(1_000, key_percent=90, address_percent=67)
    accounts = ("key 1", "address 1")
    while shares.refusal(10, accounts) is None:
        shares.take(10, accounts)
    assert shares.held == 670
    shares.give_back(670, accounts)
    assert shares.refusal(10, accounts) is None
