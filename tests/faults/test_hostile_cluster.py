"""A cluster of real processes under attack, through its gateways, its query server, the address before them, and by
somebody who writes to Kafka's topic: good writers' values stay exact and visible.
Minutes on a busy machine."""

import asyncio
import gzip
import itertools
import json
import os
import signal
import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import lz4.block
import psutil
import pytest
from aiokafka import AIOKafkaProducer

from kit.cluster.processes import Cluster, status_of, wait_for
from kit.hostile import POISONED
from kit.hostile.clients import crowd, is_closed, opened, received, rss_bytes, trickled_until_all_closed, until
from kit.hostile.frames import HOSTILE, NO_EVENTS, hand_made, of_writer
from kit.hostile.records import point, poison, started, writer_of
from kit.servers.real_kafka import need_kafka
from runstream.api import API, Curve
from runstream.errors import RunstreamError
from runstream.events.encoding import encode_frame, encode_rows
from runstream.events.frame import GROUP, LZ4, RAGGED
from runstream_processors.store.http import HttpStore
from runstream_service.store import Store

KEY = "a-key-of-the-cluster-0123"
READER = "a-key-that-only-reads-012"
PARTITIONS = 4
GOOD = 40
#: Short times, so that a test waits seconds for what otherwise takes minutes.
SHORT = {
    "RUNSTREAM_CONNECTIONS_HEAD_S": "2",
    "RUNSTREAM_CONNECTIONS_BODY_WINDOW_S": "1",
    "RUNSTREAM_CONNECTIONS_READER_SILENCE_S": "4",
    "RUNSTREAM_QUERY_STREAM_WRITE_S": "4",
}
ROLES = ("gateway", "worker", "query-server")
#: Of a run with four times as many: 63 kB that unpack to 16 MB.
LARGE_POINTS = 1_300_000

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    need_kafka()
    options = ("--workers", "2", "--gateways", "2", "--queries", "1", "--partitions", str(PARTITIONS))
    keys = ("--api-key", KEY, "--api-key", f"{READER}:read")
    poisoned = {"RUNSTREAM_TEST_POISON": "1", "PYTHONPATH": str(POISONED)}
    directory = tmp_path_factory.mktemp("hostile") / "cluster"
    with Cluster(directory, *options, *keys, environment=SHORT | poisoned) as started:
        yield started
    told = started.error_path.read_text()
    assert "did not end within" not in told, "a process had to be killed"
    assert "Traceback" not in told


def ask(url: str, body: bytes | None = None, key: str = KEY, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON of a response; {} for what is no JSON."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given |= {"Authorization": f"Bearer {key}"} if key else {}
    given.setdefault("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, given), timeout=120) as response:
            return response.status, _json(response.read())
    except urllib.error.HTTPError as error:
        return error.code, _json(error.read())


def _json(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def sent(url: str, *frames: bytes) -> dict[str, Any]:
    status, response = ask(f"{url}/ingest/v1/frames", b"".join(frames))
    assert status == 200, response
    return response


def good_frames(run: str, end: int = GOOD) -> list[bytes]:
    return [started(run), *(point(run, seq) for seq in range(1, end + 1))]


def assert_exact(cluster: Cluster, run: str, end: int = GOOD) -> None:
    """The run's curve becomes visible, and is what was sent: each value once."""
    wait_for(lambda: counts_of(cluster, run) == [end], 200, f"{run} to be visible")
    [curve] = API(url=cluster.url, api_key=KEY).series(run, "loss")
    assert isinstance(curve, Curve)
    assert list(curve.steps) == list(range(1, end + 1))
    assert list(curve.values) == [float(seq) for seq in range(1, end + 1)]


def counts_of(cluster: Cluster, run: str) -> list[int]:
    """How many points its metrics have; [] while it is not visible, or a process starts again."""
    try:
        return [summary.count for summary in API(url=cluster.url, api_key=KEY).summaries(run)]
    except RunstreamError:
        return []


def run_of(part: int, name: str) -> str:
    """A run whose records are in that partition."""
    return next(run for n in itertools.count() if crc32((run := f"{name}-{n}").encode()) % PARTITIONS == part)


Raw = tuple[int, bytes | None, bytes | None, int | None, list[tuple[str, bytes]]]


def put_into_topic(cluster: Cluster, records: list[Raw]) -> list[int]:
    """Records as somebody inside writes them: partition, key, value, time in ms, headers. Their offsets; -1 for one
    that the brokers refuse."""
    settings = cluster.kafka_settings()

    async def put() -> list[int]:
        producer = AIOKafkaProducer(**settings.client_arguments(), max_request_size=4_000_000)
        await producer.start()
        found = []
        try:
            for part, key, value, at_ms, headers in records:
                try:
                    sent = await producer.send_and_wait(
                        settings.topic, value, key, partition=part, timestamp_ms=at_ms, headers=headers
                    )
                    found.append(int(sent.offset))
                except Exception:
                    found.append(-1)
        finally:
            await producer.stop()
        return found

    return asyncio.run(put())


def rows(cluster: Cluster, sql: str) -> list[dict[str, Any]]:
    async def read() -> list[dict[str, Any]]:
        store: Store = await HttpStore.open(cluster.store_settings())
        try:
            found: list[dict[str, Any]] = (await store.query(sql)).to_pylist()
            return found
        finally:
            await store.close()

    return asyncio.run(read())


def quarantined(cluster: Cluster) -> dict[tuple[int, int], str]:
    """By partition and offset: why a whole record was set aside. Fails for one that stands there twice."""
    found = rows(cluster, "SELECT part, offset, cause FROM quarantine")
    places = [(row["part"], row["offset"]) for row in found if row["cause"] not in ("invalid_group", "invalid_event")]
    assert len(places) == len(set(places)), "something is doubled"
    return {(row["part"], row["offset"]): row["cause"] for row in found}


@contextmanager
def repeated(*calls: Callable[[], object], threads: int = 1) -> Iterator[list[BaseException]]:
    """The calls again and again beside the block, each in so many threads. What they raised."""
    stop, raised = threading.Event(), list[BaseException]()

    def again(call: Callable[[], object]) -> None:
        while not stop.is_set():
            try:
                call()
            except OSError:
                time.sleep(0.05)
            except BaseException as error:
                raised.append(error)
                return

    running = [threading.Thread(target=again, args=(call,)) for call in calls for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield raised
    finally:
        stop.set()
        for thread in running:
            thread.join()


# Frames and records


@pytest.mark.parametrize("number", [0, 1])
def test_a_gateway_refuses_what_lies(cluster: Cluster, number: int) -> None:
    gateway = cluster.processes("gateway")[number]
    before = rss_bytes(gateway.pid)
    for name, frame in HOSTILE.items():
        for url in (gateway.address, cluster.url):
            status, problem = ask(f"{url}/ingest/v1/frames", frame)
            assert (status, problem["type"]) == (422, "urn:runstream:problem:invalid-frame"), name
    assert rss_bytes(gateway.pid) - before < 150_000_000
    sent(gateway.address, *good_frames(f"beside-{number}"))
    assert_exact(cluster, f"beside-{number}")


def test_what_somebody_writes_into_the_topic_is_set_aside(cluster: Cluster) -> None:
    """Records that no gateway would take, in every partition between good ones."""
    now_ms = int(time.time() * 1000)
    workers = [process.pid for process in cluster.processes("worker")]
    records: list[Raw] = []
    for part in range(PARTITIONS):
        bad, good = run_of(part, "bad").encode(), run_of(part, "inside")
        of_good = good_frames(good)
        records += [(part, good.encode(), of_good[0], None, [])]
        records += [
            (part, b"bad", of_writer(100 * part + n, frame), None, []) for n, frame in enumerate(HOSTILE.values())
        ]
        records += [
            (part, None, None, None, []),
            (part, bad, None, None, []),
            (part, None, of_good[1], None, []),
            (part, b"\xff\xfe", of_good[1], None, []),
            (part, b"k" * 900_000, b"", None, []),
            (part, b"another", of_good[1], None, []),
            (part, bad, b"RS", None, [("at", b"x" * 9), ("at", b"")]),
            (part, bad, os.urandom(900_000), 0, [("x" * 1000, b"y" * 10_000)] * 3),
            (part, bad, b"the year 5000", 95_617_584_000_000, []),
            (part, bad, b"beyond every clock", 2**63 - 1, []),
            (part, bad, b"before every clock", -5, []),
            (part, bad, b"now again", now_ms, []),
        ]
        records += [(part, good.encode(), frame, None, []) for frame in of_good[1:]]
    offsets = put_into_topic(cluster, records)
    expected = {
        (record[0], offset)
        for record, offset in zip(records, offsets, strict=True)
        if offset >= 0 and not (record[1] or b"").startswith(b"inside")
    }
    for part in range(PARTITIONS):
        assert_exact(cluster, run_of(part, "inside"))
    found = quarantined(cluster)
    assert expected == {place for place in found if place in expected}, "each has its place"
    assert set(found.values()) <= {"invalid_frame", "unsupported_frame", "wrong_key", "invalid_group"}
    assert [process.pid for process in cluster.processes("worker")] == workers, "a worker died"
    # Later ones are folded like any others.
    sent(cluster.url, *good_frames(late := run_of(0, "late")))
    assert_exact(cluster, late)
    cluster.wait_until_ready()


def test_gaps_without_end_become_dead_letters(cluster: Cluster) -> None:
    run, writer = run_of(1, "gaps"), writer_of("gaps")

    def frame(seq: int) -> bytes:
        group = encode_rows(b"loss", 1, struct.pack("<qqd", seq, 10**18 + seq, 1.0), 0)
        return encode_frame(writer, run, seq, seq + 1, b"", [group])

    put_into_topic(cluster, [(1, run.encode(), frame(2 * n), None, []) for n in range(300)])
    sent(cluster.url, *good_frames(good := run_of(1, "no-gaps")))
    assert_exact(cluster, good)
    # Through a gateway a gap is refused, at every gateway that knows the writer.
    sent(cluster.url, *good_frames("in-order", 5))
    statuses = {ask(f"{cluster.url}/ingest/v1/frames", point("in-order", 5_000))[0] for _ in range(6)}
    assert statuses <= {200, 409}


def test_a_record_that_brings_workers_down_is_set_aside_by_its_mark(cluster: Cluster) -> None:
    """And one whose fold raises. Its partition goes from one worker to the other, each of which dies of it; nothing is
    lost, nothing is doubled."""
    restarts = sum(process.restarts for process in cluster.processes("worker"))
    part, bad, raising = 2, run_of(2, "abort"), run_of(3, "raise")
    good = {part: run_of(part, "survivor") for part in range(PARTITIONS)}
    for run in good.values():
        sent(cluster.url, *good_frames(run)[:20])
    positions = [sent(cluster.url, poison(bad, "abort"))["positions"], sent(cluster.url, poison(raising, "raise"))]
    assert positions
    for run in good.values():
        sent(cluster.url, *good_frames(run)[20:])
    for run in good.values():
        assert_exact(cluster, run)
    causes = {
        row["key"]: row for row in rows(cluster, "SELECT key, cause, detail, part, hex(body) AS body FROM quarantine")
    }
    assert (causes[bad]["cause"], causes[bad]["part"]) == ("brought_down_worker", part)
    assert causes[bad]["body"] == poison(bad, "abort").hex().upper()
    assert "SIGABRT" in causes[bad]["detail"]
    assert causes[raising]["cause"] == "fold_error"
    deaths = sum(process.restarts for process in cluster.processes("worker")) - restarts
    assert 1 <= deaths <= 6, "it ended workers again and again"
    quarantined(cluster)
    assert list((cluster.directory / "workers").glob("*/partition-2.json")), "marks stand where they outlive a process"
    cluster.wait_until_ready()
    doubled = rows(cluster, "SELECT run, step, count() AS n FROM points GROUP BY run, step, metric HAVING n > 1")
    assert [row for row in doubled if row["run"] in good.values()] == []


# Connections and bodies


def test_idle_half_open_and_trickling_connections_at_every_process(cluster: Cluster) -> None:
    addresses = [cluster.url, *(cluster.processes(role)[0].address for role in ROLES)]
    half = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: "
    with ExitStack() as stack:
        silent = [
            client
            for url in addresses
            for first in (b"", b"GE", half)
            for client in stack.enter_context(crowd(url, 50, first))
        ]
        head = (
            f"POST /ingest/v1/frames HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
            "Content-Length: 1000000\r\n\r\n"
        ).encode()
        bodies = {url: opened(url, head) for url in addresses}
        for url in addresses:
            assert status_of(f"{url}/healthz", 60) == 200
        sent(cluster.url, *good_frames(run := "beside-idle"))
        responses = trickled_until_all_closed(bodies, b"x", 0.2)
        assert_exact(cluster, run)
        until(lambda: all(is_closed(client) for client in silent), "all are disconnected")
    for url in (cluster.url, cluster.processes("gateway")[0].address):
        assert responses[url].startswith(b"HTTP/1.1 408"), (url, responses[url][:300])
        assert b"application/problem+json" in responses[url]


BOMBS = {
    "zeros": gzip.compress(b"[" + b"0," * 1_999_990 + b"0]"),
    "100 MB": gzip.compress(bytes(100_000_000), 1),
    "deep": gzip.compress(b"[" * 1_000_000),
}
WRITES = (
    "/ingest/v1/commands",
    "/ingest/v1/frames",
    "/clientlib/batch/logger/experiment/metric",
    "/api/rest/v2/write/experiment/metric",
)
READS = ("/api/v1/runs/query", "/api/v1/series", "/api/rest/v2/project/query")


def test_packed_bombs_and_huge_json(cluster: Cluster) -> None:
    gateway, query = cluster.processes("gateway")[0], cluster.processes("query-server")[0]
    front = cluster.supervisor_pid
    before = {pid: rss_bytes(pid) for pid in (front, gateway.pid, query.pid)}
    places = [(url, path) for url in (cluster.url, gateway.address) for path in WRITES]
    places += [(url, path) for url in (cluster.url, query.address) for path in READS]
    for url, path in places:
        for name, body in BOMBS.items():
            status, problem = ask(url + path, body, Content_Encoding="gzip")
            assert 400 <= status < 500, (path, name, status, problem)
            assert problem.get("detail") or problem.get("msg"), (path, name)
        assert ask(url + path, b"x", Content_Encoding="br")[0] == 415, path
        assert ask(url + path, gzip.compress(b"[]")[:-3], Content_Encoding="gzip")[0] == 400, path
    for pid, size in before.items():
        assert rss_bytes(pid) - size < 250_000_000
    assert_exact(cluster, "beside-0")


# Readers


def test_heavy_queries_delay_no_probe_no_worker_and_no_handshake(cluster: Cluster) -> None:
    large_run(cluster)
    query, gateway = cluster.processes("query-server")[0], cluster.processes("gateway")[1]

    def filtered() -> None:
        ask(f"{cluster.url}/api/v1/runs?filter=metric.loss%20%3E%200%20or%20metric.a%20%3E%201", key=READER)

    def curves() -> None:
        body = {"runs": ["large"], "metrics": ["*"], "max_points": 5_000}
        ask(f"{query.address}/api/v1/series", json.dumps(body).encode(), key=READER)

    with repeated(filtered, curves, threads=12) as raised:
        for number in range(2):
            assert status_of(f"{query.address}/readyz", 60) == 200
            sent(gateway.address, *good_frames(f"under-queries-{number}", 10))
            body = json.dumps({"workspaceName": "w", "projectName": "p", "experimentKey": f"{number:x}" * 32}).encode()
            # Its experiment has to be visible, which takes a worker: on a busy machine more than one wait.
            for _ in range(60):
                status, told = ask(f"{gateway.address}/clientlib/logger/add/run", body, Comet_Sdk_Api=KEY)
                if status == 200:
                    break
                assert told["type"].endswith("not-visible"), told
            assert status == 200, told
            assert ask(f"{query.address}/api/v1/runs/large", key=READER)[0] == 200
        for number in range(2):
            assert_exact(cluster, f"under-queries-{number}", 10)
    assert not raised
    assert all(status_of(f"{process.address}/readyz") == 200 for process in cluster.processes("worker"))


def large_run(cluster: Cluster) -> None:
    """The run `large` with 2.6 million points is visible."""
    raw = b"a" + struct.pack("<IqqI", 0, 0, 0, LARGE_POINTS) + bytes(12 * LARGE_POINTS)
    stored = lz4.block.compress(raw, store_size=False)
    group = NO_EVENTS + GROUP.pack(LZ4, RAGGED, 1, 0, 1, 1, len(raw), len(stored)) + stored
    body = b"".join(hand_made(number, number + 1, group, 1, b"large") for number in range(2))
    assert ask(f"{cluster.url}/ingest/v1/frames", body)[0] in (200, 409)
    wait_for(lambda: counts_of(cluster, "large") == [2 * LARGE_POINTS], 200, "the large run")


def curves_request(key: str) -> bytes:
    """For the whole large run as an Arrow stream."""
    body = json.dumps({"runs": ["large"], "metrics": ["*"]}).encode()
    return (
        "POST /api/v1/series HTTP/1.1\r\nHost: localhost\r\nAccept: application/vnd.apache.arrow.stream\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def test_readers_that_stop_hold_little_of_the_front_and_are_cut_off(cluster: Cluster) -> None:
    large_run(cluster)
    front, query = cluster.supervisor_pid, cluster.processes("query-server")[0]
    request = curves_request(READER)
    before = rss_bytes(front)
    with crowd(cluster.url, 8) as clients:
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(request)
        ours = {client.getsockname()[1] for client in clients}
        wait_for(lambda: ours & connected_to(front), 200, "the front to have them")
        most, deadline_s = 0, time.monotonic() + 150
        while ours & connected_to(front):
            most = max(most, rss_bytes(front) - before)
            assert time.monotonic() < deadline_s, "a reader that takes nothing is kept"
            time.sleep(0.2)
    assert most < 60_000_000
    until(lambda: busy_connections(query.address) <= 3, "the query server has let go of them")
    assert status_of(f"{query.address}/readyz", 60) == 200


def connected_to(pid: int) -> set[int]:
    """The ports of the clients of a process."""
    found = psutil.Process(pid).net_connections("tcp")
    return {each.raddr.port for each in found if each.raddr and each.status == psutil.CONN_ESTABLISHED}


def busy_connections(url: str) -> float:
    status, text = text_of(f"{url}/metrics", KEY)
    assert status == 200
    [line] = [line for line in text.splitlines() if line.startswith('runstream_connections{state="busy"}')]
    return float(line.split()[-1])


def test_a_query_ends_when_its_client_leaves_the_front(cluster: Cluster) -> None:
    """A wait for a position that never comes stands for a long query: behind the front nothing of it is left."""
    query = cluster.processes("query-server")[0]
    path = "/api/v1/projects?workspace=w&wait_for=0:999999999&wait_s=60"
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {READER}\r\n\r\n".encode()

    with crowd(cluster.url, 20, request):
        until(lambda: busy_connections(query.address) >= 20, "the queries wait")
    began_s = time.monotonic()
    until(lambda: busy_connections(query.address) <= 3, "they end with their clients")
    assert time.monotonic() - began_s < 40, "they ended by themselves"


def text_of(url: str, key: str = "", **headers: str) -> tuple[int, str]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given |= {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=given), timeout=120) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


# Browsers, proxies, keys


#: With the key, which no page knows, a site is refused that the browser names.
CROSS = (
    ({"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors"}, KEY, (403,)),
    ({"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate"}, "", (403,)),
    ({"Origin": "http://evil.example"}, "", (401, 403)),
    ({"Host": "evil.example", "Origin": "http://evil.example"}, "", (401, 403)),
)


@pytest.mark.parametrize(("headers", "key", "statuses"), CROSS, ids=str)
def test_a_page_of_another_site_changes_and_reads_nothing(
    cluster: Cluster, headers: dict[str, str], key: str, statuses: tuple[int, ...]
) -> None:
    processes = {role: cluster.processes(role)[0].address for role in ROLES}
    command = json.dumps({"key": "beside-0", "event": {"type": "run_archived.v1"}}).encode()
    for url in (cluster.url, processes["gateway"]):
        assert ask(f"{url}/ingest/v1/commands", command, key, **headers)[0] in statuses
        path = "/api/rest/v2/write/experiment/set-status?experimentKey=beside-0"
        assert ask(url + path, None, key, **headers)[0] in statuses
    for url in (cluster.url, processes["query-server"]):
        assert ask(f"{url}/api/v1/runs", None, key, **headers)[0] in statuses
    [clickhouse] = cluster.processes("clickhouse")
    assert text_of(f"{clickhouse.address}/?query=SELECT%201", **headers)[0] == 403


def test_figures_and_reasons_need_a_key_at_every_process(cluster: Cluster) -> None:
    addresses = [process.address for role in ROLES for process in cluster.processes(role)] + [cluster.url]
    for url in addresses:
        for added in ({}, {"X_Forwarded_For": "127.0.0.1"}, {"X_Real_IP": "127.0.0.1"}):
            assert text_of(f"{url}/metrics", **added)[0] in (401, 404)
            status, told = text_of(f"{url}/readyz", **added)
            assert status == 200
            assert json.loads(told)["checks"] == {}
            assert text_of(f"{url}/api/v1/server", **added)[0] in (401, 404)
        assert text_of(f"{url}/metrics", READER)[0] == 200


def test_who_writes_x_forwarded_for_to_the_front_is_counted_under_no_address_of_its_choice(cluster: Cluster) -> None:
    """Shares are those of the address: somebody who writes a new one into each request has no more of them."""
    status, _ = ask(f"{cluster.url}/api/v1/runs", X_Forwarded_For="203.0.113.7, 198.51.100.1", Forwarded="for=9.9.9.9")
    assert status in (200, 403)
    spoofed = (f"198.51.100.{n}" for n in itertools.count(1))
    head = (
        "POST /ingest/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\nX-Forwarded-For: {who}\r\n"
        "Content-Type: application/json\r\nAuthorization: Bearer {key}\r\n\r\n"
    )
    with ExitStack() as stack:
        for _ in range(64):
            first = head.format(size=4_000_000, who=next(spoofed), key=KEY).encode() + b"[" * 50_000
            stack.enter_context(crowd(cluster.url, 1, first))
        for number in range(3):
            sent(cluster.url, *good_frames(f"beside-spoofed-{number}", 5))
    for number in range(3):
        assert_exact(cluster, f"beside-spoofed-{number}", 5)


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:1/x", "http://evil.example/", "//evil.example/x", "*", "x://y@evil.example/", "/a b"]
)
def test_the_front_is_no_proxy_to_elsewhere(cluster: Cluster, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n"
    told = received(opened(cluster.url, request.encode()))
    assert told.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), told[:300]
    assert b"application/problem+json" in told


# The end


def test_every_process_ends_in_time_while_it_is_attacked(cluster: Cluster) -> None:
    large_run(cluster)
    head = f"HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    waits = f"GET /api/v1/projects?wait_for=0:999999999&wait_s=60 {head}\r\n".encode()
    upload = f"POST /ingest/v1/frames {head}Content-Length: 1000000\r\n\r\nx".encode()
    stream = curves_request(KEY)
    for role in ROLES:
        process = wait_for(lambda role=role: cluster._living(role, 0), 200, role)  # type: ignore[misc]
        with ExitStack() as stack:
            for first in (b"", b"GE", waits, upload, stream):
                stack.enter_context(crowd(process.address, 20, first))
                stack.enter_context(crowd(cluster.url, 5, first))
            began_s = time.monotonic()
            os.kill(process.pid, signal.SIGTERM)
            wait_for(lambda pid=process.pid: not Path(f"/proc/{pid}").exists() or is_zombie(pid), 200, f"{role} to end")  # type: ignore[misc]
            assert time.monotonic() - began_s < 30, f"the supervisor would have killed {role}"
        wait_for(
            lambda role=role: f"{role} 0 ended with 0" in cluster.error_path.read_text(),  # type: ignore[misc]
            200,
            f"{role} to have ended in order",
        )
    cluster.wait_until_ready()
    sent(cluster.url, *good_frames("after-all"))
    assert_exact(cluster, "after-all")


def is_zombie(pid: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
