"""The gateway over a real socket: acknowledgements, gaps, duplicates, pressure, commands, assets, problems."""

import asyncio
import hashlib
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from kit.sending.channel_bench import receipt_of_body
from runstream.events import limits
from runstream.events.control import RunNotesSet, decode_event
from runstream.events.encoding import encode_frame, heartbeat
from runstream.events.frame import decode_frame
from runstream.events.positions import Positions
from runstream.events.protocol import ACKNOWLEDGES, ASSET_HEADER, PROTOCOL, PROTOCOL_HEADER, asset_mark
from runstream_ingest.assets import LocalAssets
from runstream_ingest.gateway import GatewaySettings, add_gateway
from runstream_ingest.log.memory import MemoryLog
from runstream_service.log import LogUnavailable, Record
from runstream_service.lookup import KnownRun, Lookup
from runstream_service.problems import problem_middleware

pytestmark = pytest.mark.sockets

WRITER = "a1" * 16
OTHER = "b2" * 16


class FixedVisibility:
    """Everything is visible up to `now`, which a test moves."""

    def __init__(self) -> None:
        self.now = Positions()
        self.all = True

    def visible(self) -> Positions:
        return self.now

    async def wait_for(self, wanted: Positions, timeout_s: float) -> bool:
        return self.all or self.now.covers(wanted)

    async def wait_beyond(self, seen: Positions, timeout_s: float) -> Positions:
        return self.now


class HeldLog(MemoryLog):
    """A log whose appends wait until `gate` is open, and which can be unavailable."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.unavailable = False
        self.calls: list[int] = []
        self.called = asyncio.Event()

    async def append(self, records: Sequence[tuple[bytes, bytes]]) -> Positions:
        self.calls.append(len(records))
        self.called.set()
        await self.gate.wait()
        if self.unavailable:
            raise LogUnavailable("the disk is full")
        return await super().append(records)


@dataclass
class Gateway:
    """A running gateway and what a test needs to look behind it."""

    url: str
    client: aiohttp.ClientSession
    log: HeldLog
    visibility: FixedVisibility
    registry: CollectorRegistry
    assets: Path

    async def send(self, *frames: bytes) -> tuple[int, dict[str, Any]]:
        async with self.client.post(f"{self.url}/ingest/v1/frames", data=b"".join(frames)) as response:
            told = await response.json(content_type=None)
            assert response.headers[PROTOCOL_HEADER] == str(PROTOCOL)
            if response.status == 200:
                assert {name: told.pop(name) for name in ACKNOWLEDGES} == ACKNOWLEDGES
                assert told.pop("receipt") == receipt_of_body(b"".join(frames))
            return response.status, told

    async def command(self, body: Any) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.client.post(f"{self.url}/ingest/v1/commands", data=data) as response:
            return response.status, await response.json(content_type=None)

    async def held(self) -> list[Record]:
        return await self.log.read(0, 0, 1 << 30, 0.0)

    def count(self, name: str) -> float:
        return self.registry.get_sample_value(f"runstream_gateway_{name}_total") or 0.0


class NoRuns:
    """Read models that are far behind the log: they have no run yet."""

    async def run(self, run_id: str) -> KnownRun | None:
        return None


async def running(
    tmp_path: Path, settings: GatewaySettings, lookup: Lookup | None = None
) -> AsyncGenerator[Gateway, None]:
    log, visibility, registry = HeldLog(), FixedVisibility(), CollectorRegistry()
    app = web.Application(middlewares=[problem_middleware()])
    storage = LocalAssets(tmp_path / "assets")
    add_gateway(
        app, log=log, assets=storage, visibility=visibility, settings=settings, lookup=lookup, registry=registry
    )
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as client:
        yield Gateway(f"http://127.0.0.1:{port}", client, log, visibility, registry, tmp_path / "assets")
    await runner.cleanup()


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings()


@pytest.fixture
async def gateway(tmp_path: Path, settings: GatewaySettings) -> AsyncIterator[Gateway]:
    async for started in running(tmp_path, settings):
        yield started


def bounded(**bounds: Any) -> pytest.MarkDecorator:
    """Run a test with a gateway of these bounds."""
    return pytest.mark.parametrize("settings", [GatewaySettings(**bounds)])


def frame(first_seq: int, end_seq: int, writer: str = WRITER, key: str = "run-1") -> bytes:
    events = [[seq, {"type": "run_notes_set.v1", "at_us": seq, "notes": str(seq)}] for seq in range(first_seq, end_seq)]
    return encode_frame(writer, key, first_seq, end_seq, json.dumps(events).encode() if events else b"")


async def test_frames_are_acknowledged_with_position_and_next_numbers_and_stand_in_the_log(gateway: Gateway) -> None:
    sent = [frame(0, 3), frame(0, 2, OTHER, "run-2"), frame(3, 5)]
    assert await gateway.send(*sent) == (
        200,
        {"position": "next:0:3", "positions": "0:2", "writers": {WRITER: 5, OTHER: 2}},
    )
    assert [(r.key, r.value) for r in await gateway.held()] == [
        (b"run-1", sent[0]),
        (b"run-2", sent[1]),
        (b"run-1", sent[2]),
    ]
    assert gateway.log.calls == [3], "one append a request"


async def test_nothing_is_acknowledged_before_it_is_durable(gateway: Gateway) -> None:
    gateway.log.gate.clear()
    response = asyncio.create_task(gateway.send(frame(0, 1)))
    await gateway.log.called.wait()
    await asyncio.sleep(0.02)
    assert not response.done()
    gateway.log.gate.set()
    assert (await response)[0] == 200


async def test_an_empty_request_is_acknowledged(gateway: Gateway) -> None:
    assert await gateway.send() == (200, {"position": "next:", "positions": "", "writers": {}})
    assert gateway.log.calls == []


async def test_a_gap_is_refused_with_what_is_expected_and_nothing_is_appended(gateway: Gateway) -> None:
    await gateway.send(frame(0, 2))
    status, problem = await gateway.send(frame(0, 1, OTHER), frame(4, 5), frame(5, 6))
    assert (status, problem["expected"]) == (409, {WRITER: 2})
    assert problem["type"] == "urn:runstream:problem:gap"
    assert len(await gateway.held()) == 1
    assert (await gateway.send(frame(2, 5)))[1]["writers"] == {WRITER: 5}
    assert gateway.count("gaps_refused") == 1


async def test_a_gap_between_the_frames_of_one_request_is_refused(gateway: Gateway) -> None:
    status, problem = await gateway.send(frame(0, 2), frame(3, 4))
    assert (status, problem["expected"]) == (409, {WRITER: 2})
    assert await gateway.held() == []


@bounded(is_only_gateway=False)
async def test_beside_other_gateways_a_writer_goes_on_where_another_one_left_it(gateway: Gateway) -> None:
    """The sender has given up what the other gateway acknowledged: it could not send it again."""
    await gateway.send(frame(0, 2))
    assert await gateway.send(frame(40, 42), frame(42, 43)) == (
        200,
        {"position": "next:0:3", "positions": "0:2", "writers": {WRITER: 43}},
    )
    assert len(await gateway.held()) == 3
    assert (await gateway.send(frame(50, 51), frame(52, 53)))[1]["expected"] == {WRITER: 51}, "lost on its way"
    assert (await gateway.send(frame(41, 43)))[1]["writers"] == {WRITER: 43}
    assert len(await gateway.held()) == 3


async def test_what_was_durable_before_is_acknowledged_and_not_appended_again(gateway: Gateway) -> None:
    first = await gateway.send(frame(0, 2), frame(2, 4))
    assert await gateway.send(frame(0, 2), frame(2, 4)) == first
    assert len(await gateway.held()) == 2
    assert gateway.count("duplicate_frames") == 2
    status, body = await gateway.send(frame(1, 4), frame(4, 6))
    assert (status, body) == (200, {"position": "next:0:3", "positions": "0:2", "writers": {WRITER: 6}})


async def test_a_frame_that_overlaps_is_appended_as_it_is(gateway: Gateway) -> None:
    await gateway.send(frame(0, 3))
    overlapping = frame(1, 5)
    assert (await gateway.send(overlapping))[1]["writers"] == {WRITER: 5}
    assert (await gateway.held())[-1].value == overlapping


async def test_the_first_frame_of_an_unknown_writer_is_taken_as_it_comes(gateway: Gateway) -> None:
    assert (await gateway.send(frame(70, 75)))[1]["writers"] == {WRITER: 75}


@bounded(remembered_writers=2)
async def test_writers_beyond_the_bound_are_forgotten_oldest_first(gateway: Gateway) -> None:
    writers = [f"{i:032x}" for i in range(3)]
    for writer in writers:
        await gateway.send(frame(0, 2, writer))
    assert (await gateway.send(frame(9, 10, writers[2])))[0] == 409
    assert (await gateway.send(frame(9, 10, writers[0])))[0] == 200


async def test_requests_of_one_writer_do_not_overtake_each_other(gateway: Gateway) -> None:
    """Sent at once, each request either finds its predecessor durable or is refused: the log never has a gap."""
    gateway.log.gate.clear()
    await_all = [asyncio.create_task(gateway.send(frame(0, 1)))]
    await gateway.log.called.wait()
    await_all += [asyncio.create_task(gateway.send(frame(i, i + 1))) for i in range(1, 20)]
    await_all += [asyncio.create_task(gateway.send(frame(0, 1)))]
    await asyncio.sleep(0.05)
    assert gateway.log.calls == [1]
    gateway.log.gate.set()
    responses = await asyncio.gather(*await_all)
    taken = [decode_frame(record.value).header.first_seq for record in await gateway.held()]
    assert taken == list(range(len(taken)))
    assert [status for status, _ in responses].count(200) == len(taken) + 1
    assert {status for status, _ in responses} <= {200, 409}


async def test_requests_with_the_same_writers_in_another_order_do_not_block_each_other(gateway: Gateway) -> None:
    chance = random.Random(5)
    writers = [f"{i:032x}" for i in range(6)]

    async def one() -> int:
        chosen = chance.sample(writers, 4)
        return (await gateway.send(*(frame(0, 1, writer) for writer in chosen)))[0]

    async with asyncio.timeout(240):
        assert set(await asyncio.gather(*(one() for _ in range(30)))) == {200}
    assert len(await gateway.held()) <= len(writers)


async def test_after_an_unavailable_log_the_same_frames_are_taken_again(gateway: Gateway) -> None:
    gateway.log.unavailable = True
    status, problem = await gateway.send(frame(0, 2))
    assert (status, problem["type"]) == (503, "urn:runstream:problem:log-unavailable")
    assert "the disk is full" in problem["detail"]
    gateway.log.unavailable = False
    assert (await gateway.send(frame(0, 2)))[1]["writers"] == {WRITER: 2}


async def test_heartbeats_are_appended_at_most_once_a_second(gateway: Gateway) -> None:
    await gateway.send(frame(0, 3))
    for _ in range(5):
        assert (await gateway.send(heartbeat(WRITER, "run-1", 3)))[1]["writers"] == {WRITER: 3}
    assert len(await gateway.held()) == 2
    assert gateway.count("heartbeats_left_out") == 4
    assert (await gateway.send(heartbeat(WRITER, "run-1", 9)))[0] == 409


@bounded(heartbeat_every_s=0.0)
async def test_a_later_heartbeat_counts_again(gateway: Gateway) -> None:
    for _ in range(3):
        await gateway.send(heartbeat(WRITER, "run-1", 0))
    assert len(await gateway.held()) == 3


def damaged(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("bad", "writer_id"),
    [
        (damaged(frame(0, 2), 60), WRITER),
        (frame(0, 2)[:-1], WRITER),
        (frame(0, 2)[:20], None),
        (b"GET / HTTP/1.1 and more of what is no frame at all", None),
        (encode_frame(WRITER, "../etc/passwd", 0, 1), WRITER),
        (encode_frame(WRITER, "one/two/three", 0, 1), WRITER),
        (encode_frame(WRITER, " /x", 0, 1), WRITER),
    ],
    ids=["checksum", "cut", "cut-header", "no-frame", "key", "key-parts", "key-space"],
)
async def test_a_bad_frame_is_refused_with_its_place_and_nothing_is_appended(
    gateway: Gateway, bad: bytes, writer_id: str | None
) -> None:
    good = frame(0, 1, OTHER, "team/project")
    status, problem = await gateway.send(good, bad)
    assert status == 422
    assert problem["position"] == len(good)
    assert problem.get("writer_id") == writer_id
    assert await gateway.held() == []
    assert (await gateway.send(good))[0] == 200


@bounded(max_request_bytes=1000, max_frames_per_request=3)
async def test_requests_that_are_too_large_are_refused_with_the_limit(gateway: Gateway) -> None:
    for data in (b"x" * 1001, pieces(b"x" * 600, b"y" * 600)):
        async with gateway.client.post(f"{gateway.url}/ingest/v1/frames", data=data) as response:
            problem = await response.json(content_type=None)
            assert (response.status, problem["limit_bytes"]) == (413, 1000)
    status, problem = await gateway.send(*(heartbeat(WRITER, "r", 0) for _ in range(4)))
    assert status == 413
    assert "3 frames" in problem["detail"]


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@bounded(max_in_flight_bytes=1000)
async def test_beyond_the_bound_of_bytes_in_flight_senders_are_told_to_wait(gateway: Gateway) -> None:
    gateway.log.gate.clear()
    waiting = asyncio.create_task(gateway.send(frame(0, 10)))
    await gateway.log.called.wait()
    async with gateway.client.post(f"{gateway.url}/ingest/v1/frames", data=b"x" * 900) as response:
        assert response.status == 429
        assert response.headers["Retry-After"] == "1"
        assert (await response.json(content_type=None))["cause"] == "in-flight"
    gateway.log.gate.set()
    assert (await waiting)[0] == 200
    assert (await gateway.send(frame(10, 11)))[0] == 200


@bounded(max_in_flight_bytes=1000, body_silence_s=0.1)
async def test_a_body_that_does_not_come_is_given_up_and_its_bytes_are_free_again(gateway: Gateway) -> None:
    """A sender whose machine vanished in the middle of a request must not hold up all others."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /ingest/v1/frames HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nRS")
    response = await asyncio.wait_for(reader.read(2000), 120)
    assert b"HTTP/1.1 408" in response
    assert b"slow-body" in response
    assert (await gateway.send(frame(0, 1)))[0] == 200
    writer.close()


@bounded(body_silence_s=0.1)
async def test_an_upload_that_stops_leaves_nothing_behind(gateway: Gateway) -> None:
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    path = b"/ingest/v1/assets/" + b"a" * 64
    writer.write(b"PUT " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
    assert b"HTTP/1.1 408" in await asyncio.wait_for(reader.read(2000), 120)
    assert not list((gateway.assets / "incoming").iterdir())
    writer.close()


async def test_a_writer_writes_one_run(gateway: Gateway) -> None:
    """Frames for another one have numbers that are durable already: acknowledged as repeats, they would be lost."""
    assert (await gateway.send(frame(0, 2, key="run-1")))[0] == 200
    for sent in ([frame(0, 2, key="run-2")], [frame(2, 3, key="run-1"), frame(3, 4, key="run-2")]):
        status, problem = await gateway.send(*sent)
        assert (status, problem["type"], problem["writer_id"]) == (
            422,
            "urn:runstream:problem:writer-of-another-run",
            WRITER,
        )
        assert "'run-1'" in problem["detail"]
        assert "'run-2'" in problem["detail"]
    assert [record.key for record in await gateway.held()] == [b"run-1"]
    assert (await gateway.send(frame(2, 3, key="run-1")))[0] == 200


@bounded(max_lag_records=5)
async def test_read_models_that_lag_hold_senders_back(gateway: Gateway) -> None:
    assert (await gateway.send(*(frame(i, i + 1) for i in range(6))))[0] == 200
    status, problem = await gateway.send(frame(6, 7))
    assert (status, problem["cause"]) == (429, "lag")
    gateway.visibility.now = Positions.after(0, 0)
    assert (await gateway.send(frame(6, 7)))[0] == 200


async def test_a_command_becomes_an_event_of_the_gateways_own_writer(gateway: Gateway) -> None:
    event = {"type": "run_notes_set.v1", "at_us": 5, "notes": "good"}
    status, response = await gateway.command({"key": "run-1", "event": event})
    assert (status, response["positions"], response["visible"]) == (200, "0:0", True)
    tags = {"type": "tags_added.v1", "tags": ["best"]}
    made = {"type": "project_created.v1", "workspace": "team", "project": "digits"}
    several = [{"key": "run-1", "event": tags}, {"key": "team/digits", "event": made}]
    later = (await gateway.command({"commands": several}))[1]
    assert later["positions"] == "0:2"
    frames = [decode_frame(record.value) for record in await gateway.held()]
    assert [(f.header.key, f.header.first_seq, f.header.end_seq) for f in frames] == [
        ("run-1", 0, 1),
        ("run-1", 1, 2),
        ("team/digits", 2, 3),
    ]
    [writer_id] = {f.header.writer_id for f in frames}
    assert response["commands"] + later["commands"] == [f"{writer_id}-{seq}" for seq in range(3)]
    assert gateway.log.calls == [1, 2]
    [[seq, body]] = json.loads(frames[0].events)
    assert (seq, decode_event(json.dumps(body))) == (0, RunNotesSet(at_us=5, notes="good"))
    [[_, dated]] = json.loads(frames[1].events)
    assert dated["at_us"] > 1_600_000_000_000_000, "an event without a time gets the gateway's"


async def test_a_command_that_is_not_visible_in_time_is_answered_202(gateway: Gateway) -> None:
    gateway.visibility.all = False
    event = {"type": "run_archived.v1"}
    status, response = await gateway.command({"key": "run-1", "event": event})
    assert (status, response["positions"], response["visible"]) == (202, "0:0", False)


async def test_a_failed_command_never_gives_its_number_to_another(gateway: Gateway) -> None:
    body = {"key": "run-1", "event": {"type": "run_archived.v1"}}
    gateway.log.unavailable = True
    assert (await gateway.command(body))[0] == 503
    gateway.log.unavailable = False
    await gateway.command(body)
    assert [decode_frame(record.value).header.first_seq for record in await gateway.held()] == [1]


NOTE = {"type": "run_notes_set.v1", "notes": "n"}
VERSION = {"type": "artifact_version_logged.v1", "workspace": "team", "artifact_type": "model", "name": "m"}


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"{", 400, "invalid-json"),
        (b"[]", 422, "invalid-body"),
        (b"null", 422, "invalid-body"),
        ({}, 422, "invalid-body"),
        ({"commands": []}, 422, "invalid-body"),
        ({"key": "run-1"}, 422, "invalid-body"),
        ({"key": "run-1", "event": {"type": "run_exploded.v1"}}, 422, "invalid-body"),
        ({"key": "run-1", "event": {"type": "tags_added.v1", "tags": [""]}}, 422, "invalid-body"),
        ({"key": "run-1", "event": NOTE, "extra": 1}, 422, "invalid-body"),
        ({"key": "-run", "event": NOTE}, 422, "invalid-name"),
        ({"key": "team/project", "event": NOTE}, 422, "invalid-name"),
        ({"key": "run-1", "event": {**NOTE, "notes": "\ud800"}}, 400, "invalid-json"),
        ({"key": "run-1", "event": {**NOTE, "notes": "x" * limits.MAX_EVENT_BYTES}}, 413, "too-large"),
        (
            {"key": "team/a", "event": {"type": "project_created.v1", "workspace": "team", "project": "b"}},
            422,
            "wrong-key",
        ),
        (
            {"key": "a/b/c", "event": {"type": "project_created.v1", "workspace": "a", "project": "b/c"}},
            422,
            "invalid-body",
        ),
        ({"commands": [{"key": "run-1", "event": NOTE}] * 1001}, 413, "too-large"),
        ({"key": "run-1", "event": VERSION}, 422, "wrong-key"),
        ({"key": "team/p", "event": VERSION}, 422, "wrong-key"),
        ({"key": "team/m", "event": VERSION | {"project": "p"}}, 422, "wrong-key"),
        ({"key": "team/m", "event": VERSION | {"files": [{"name": "../x", "link": "s3://b/k"}]}}, 422, "invalid-body"),
    ],
)
async def test_bad_commands_are_refused_whole(gateway: Gateway, body: Any, status: int, told: str) -> None:
    answered, problem = await gateway.command(body)
    assert (answered, problem["type"]) == (status, f"urn:runstream:problem:{told}")
    assert await gateway.held() == []


@pytest.mark.parametrize(("key", "place"), [("team/m", {}), ("team/p", {"project": "p"})])
async def test_an_artifacts_event_goes_under_the_key_of_its_place(
    gateway: Gateway, key: str, place: dict[str, str]
) -> None:
    status, _ = await gateway.command({"key": key, "event": VERSION | place})
    [record] = await gateway.held()
    assert (status, record.key) == (200, key.encode())
    [[_, event]] = json.loads(decode_frame(record.value).events)
    assert decode_event(json.dumps(event)).type == VERSION["type"]


async def test_nan_as_a_parameter_survives(gateway: Gateway) -> None:
    body = b'{"key": "run-1", "event": {"type": "parameters_logged.v1", "values": {"lr": NaN, "max": -Infinity}}}'
    assert (await gateway.command(body))[0] == 200
    [[_, event]] = json.loads(decode_frame((await gateway.held())[0].value).events)
    assert str(event["values"]) == "{'lr': nan, 'max': -inf}"


async def test_assets_are_stored_once_under_their_hash(gateway: Gateway) -> None:
    data = bytes(range(256)) * 20_000
    sha256 = hashlib.sha256(data).hexdigest()
    url = f"{gateway.url}/ingest/v1/assets/{sha256}"
    async with gateway.client.head(url) as response:
        assert (response.status, response.headers[PROTOCOL_HEADER], ASSET_HEADER in response.headers) == (
            404,
            "1",
            False,
        )
    told = {**ACKNOWLEDGES, "sha256": sha256, "size_bytes": len(data)}
    async with gateway.client.put(url, data=data) as response:
        assert (response.status, await response.json()) == (201, told)
    async with gateway.client.put(url, data=data) as response:
        assert (response.status, await response.json()) == (200, told)
    async with gateway.client.head(url) as response:
        assert response.headers[ASSET_HEADER] == asset_mark(sha256, len(data))
        assert (response.status, response.headers["Content-Length"]) == (200, str(len(data)))
    assert (gateway.assets / sha256[:2] / sha256).read_bytes() == data


async def test_an_asset_with_another_hash_is_refused_and_not_kept(gateway: Gateway) -> None:
    url = f"{gateway.url}/ingest/v1/assets/{hashlib.sha256(b'said').hexdigest()}"
    async with gateway.client.put(url, data=b"sent") as response:
        problem = await response.json(content_type=None)
        assert (response.status, problem["type"]) == (422, "urn:runstream:problem:asset-mismatch")
    assert [path for path in gateway.assets.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["short", "A" * 64, "..%2f..%2fetc%2fpasswd"])
async def test_an_asset_name_that_is_no_hash_is_refused(gateway: Gateway, name: str) -> None:
    async with gateway.client.put(f"{gateway.url}/ingest/v1/assets/{name}", data=b"x") as response:
        assert response.status in (400, 404)
    assert [path for path in gateway.assets.rglob("*") if path.is_file()] == []


@bounded(max_asset_bytes=1000)
async def test_assets_beyond_the_limit_are_refused(gateway: Gateway) -> None:
    for data in (b"x" * 1001, pieces(b"x" * 600, b"x" * 401)):
        url = f"{gateway.url}/ingest/v1/assets/{hashlib.sha256(b'x' * 1001).hexdigest()}"
        async with gateway.client.put(url, data=data) as response:
            assert (response.status, (await response.json(content_type=None))["limit_bytes"]) == (413, 1000)
    assert [path for path in gateway.assets.rglob("*") if path.is_file()] == []


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(240):
        while not holds():  # noqa: ASYNC110 - a directory tells nobody that it changed
            await asyncio.sleep(0.005)


async def test_an_upload_that_breaks_off_leaves_nothing(gateway: Gateway) -> None:
    host, port = gateway.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    sha256 = hashlib.sha256(b"x" * 5000).hexdigest()
    writer.write(f"PUT /ingest/v1/assets/{sha256} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n".encode())
    writer.write(b"x" * 4000)
    await writer.drain()
    incoming = gateway.assets / "incoming"
    await until(lambda: any(incoming.iterdir()))
    writer.close()
    await until(lambda: not any(incoming.iterdir()))
    assert [path for path in gateway.assets.rglob("*") if path.is_file()] == []


async def test_requests_are_counted_by_route_and_status(gateway: Gateway) -> None:
    await gateway.send(frame(0, 1))
    await gateway.send(frame(5, 6))
    await gateway.command({"key": "run-1"})
    counted = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for metric in gateway.registry.collect()
        for sample in metric.samples
        if sample.name == "runstream_gateway_requests_total"
    }
    assert counted == {("frames", "200"): 1, ("frames", "409"): 1, ("commands", "422"): 1}
    assert gateway.count("frames") == 1
    assert gateway.registry.get_sample_value("runstream_gateway_append_seconds_count") == 1
    assert gateway.registry.get_sample_value("runstream_gateway_in_flight_bytes") == 0


async def test_a_command_may_follow_the_first_frame_of_its_run_at_once(tmp_path: Path) -> None:
    settings = GatewaySettings(unknown_run_patience_s=0.0)
    started = {"key": "run-2", "event": {"type": "run_started.v1", "workspace": "w", "project": "p"}}
    async with aclosing(running(tmp_path, settings, cast("Lookup", NoRuns()))) as gateways:
        gateway = await anext(gateways)
        assert (await gateway.command({"key": "run-1", "event": NOTE}))[0] == 404
        assert (await gateway.send(heartbeat(WRITER, "run-1", 0)))[0] == 200
        assert (await gateway.command({"key": "run-1", "event": NOTE}))[0] == 404, "a sign of life begins no run"
        assert (await gateway.send(frame(0, 1)))[0] == 200
        assert (await gateway.command({"key": "run-1", "event": NOTE}))[0] == 200
        assert (await gateway.command(started))[0] == 200
        assert (await gateway.command({"key": "run-2", "event": NOTE}))[0] == 200
        assert (await gateway.command({"key": "run-3", "event": NOTE}))[0] == 404
