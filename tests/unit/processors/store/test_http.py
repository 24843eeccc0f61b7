"""What is special about the store over HTTP: its settings, one try an insert, answers that get lost, and patience."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from kit.servers.dev_clickhouse import DevServer
from runstream_processors.store.http import HttpStore
from runstream_processors.store.native import block
from runstream_processors.store.profiles import EngineProfile
from runstream_processors.store.settings import StoreSettings, insert_settings, read_settings
from runstream_service.store import StoreCorrupt, StoreInvalid, StoreUnavailable

pytestmark = pytest.mark.sockets

BLOCK = block([("n", "UInt64", np.arange(3))])
URL = "http://127.0.0.1:8123"


# Settings


def test_settings_come_from_the_environment_under_arguments() -> None:
    environment = {
        "RUNSTREAM_CLICKHOUSE_URL": "https://db.example/",
        "RUNSTREAM_CLICKHOUSE_USER": "ann",
        "RUNSTREAM_CLICKHOUSE_PASSWORD": "secret",
        "RUNSTREAM_CLICKHOUSE_PROFILE": "distributed",
        "RUNSTREAM_CLICKHOUSE_CLUSTER": "runs",
        "RUNSTREAM_CLICKHOUSE_TIMEOUT_S": "7",
        "RUNSTREAM_CLICKHOUSE_DATABASE": "",
    }
    settings = StoreSettings.from_environment(environment, user="bob")
    assert (settings.secure, settings.host, settings.port) == (True, "db.example", 8443)
    assert (settings.user, settings.password.get_secret_value(), settings.timeout_s) == ("bob", "secret", 7)
    assert settings.database == "runstream"
    assert settings.engine_profile == EngineProfile("distributed", "runs")
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "RUNSTREAM_CLICKHOUSE_URL: Field required"),
        ({"url": "db:8123"}, "no address of a server"),
        ({"url": "http://ann:secret@db"}, "holds a user"),
        ({"url": "http://db/path"}, "more than host and port"),
        ({"url": "http://db:99999"}, "Port out of range"),
        ({"url": URL, "profile": "sharded"}, "RUNSTREAM_CLICKHOUSE_PROFILE"),
        ({"url": URL, "profile": "distributed", "cluster": ""}, "needs the name of a cluster"),
        ({"url": URL, "quorum": "most"}, "RUNSTREAM_CLICKHOUSE_QUORUM"),
        ({"url": URL, "ca_file": __file__}, "https:// only"),
        ({"url": "https://db", "ca_file": "/absent.pem"}, "there is no file /absent.pem"),
        ({"url": "https://db", "client_key_file": __file__}, "needs client_cert_file"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(StoreInvalid, match=message) as raised:
        StoreSettings.from_environment({}, **arguments)
    assert "secret" not in str(raised.value)


def test_each_profile_says_when_an_insert_counts_and_what_a_read_sees() -> None:
    plain = StoreSettings(url=URL)
    assert insert_settings(plain) == read_settings(plain) == {}
    replicated = StoreSettings(url=URL, profile="replicated", timeout_s=9)
    assert insert_settings(replicated) == {
        "insert_quorum": "auto",
        "insert_quorum_parallel": "0",
        "insert_quorum_timeout": "9000",
    }
    assert read_settings(replicated) == {"select_sequential_consistency": "1"}
    distributed = StoreSettings(url=URL, profile="distributed", quorum="0")
    assert insert_settings(distributed) == {"distributed_foreground_insert": "1"}
    assert read_settings(distributed) == {"distributed_product_mode": "global", "skip_unavailable_shards": "0"}


# A server that answers as it is told


class Scripted:
    """Answers the client's first questions as a server would, and everything else by `answer`. `bodies` are what came
    besides."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.queries: list[dict[str, str]] = []
        self.response: Callable[[web.Request], web.StreamResponse] = lambda request: web.Response()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if b"version()" in body:
            return web.Response(text="24.8.1.1\tUTC\n")
        if b"system.databases" in body:
            return web.Response(text="1\n")
        if b"system.settings" in body:
            names = (
                "insert_deduplicate",
                "insert_deduplication_token",
                "async_insert",
                "readonly",
                "max_execution_time",
            )
            return web.Response(body=_settings_table(names))
        if b"SELECT 1 AS check" in body:
            return web.Response()
        self.bodies.append(body)
        self.queries.append(dict(request.query))
        return self.response(request)


def _settings_table(names: tuple[str, ...]) -> bytes:
    columns: list[Any] = [
        ("name", "String", names),
        ("value", "String", [""] * len(names)),
        ("readonly", "UInt8", np.zeros(len(names), np.uint8)),
    ]
    return bytes(block(columns))


@pytest.fixture
async def scripted() -> AsyncIterator[tuple[Scripted, StoreSettings]]:
    script = Scripted()
    app = web.Application()
    app.router.add_route("*", "/", script.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield script, StoreSettings(url=f"http://127.0.0.1:{runner.addresses[0][1]}", timeout_s=1, command_timeout_s=1)
    await runner.cleanup()


@contextlib.asynccontextmanager
async def opened(settings: StoreSettings, grace_s: int = 5) -> AsyncIterator[HttpStore]:
    store = await HttpStore.open(settings, grace_s=grace_s)
    try:
        yield store
    finally:
        await store.close()


def refusal(code: int, text: str, status: int = 500) -> web.Response:
    return web.Response(
        status=status,
        text=f"Code: {code}. DB::Exception: {text} (version 24.8.1.1)",
        headers={"X-ClickHouse-Exception-Code": str(code)},
    )


async def test_an_insert_whose_connection_breaks_is_sent_once(scripted: tuple[Scripted, StoreSettings]) -> None:
    """The server may have taken it: whoever sends it again without looking has its rows twice."""
    script, settings = scripted

    def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport
        # No goodbye: what a client sees of a server that was killed.
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        request.transport.abort()
        return web.Response()

    script.response = hang_up
    async with opened(settings) as store:
        with pytest.raises(StoreUnavailable, match=r"no answer from ClickHouse at http://127\.0\.0\.1"):
            await store.insert("t", ["n"], BLOCK, 3)
    assert script.bodies == [bytes(BLOCK)]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_an_insert_that_a_proxy_refuses_is_sent_once(
    scripted: tuple[Scripted, StoreSettings], status: int
) -> None:
    script, settings = scripted
    script.response = lambda request: web.Response(status=status, text="try later", headers={"Retry-After": "0"})
    async with opened(settings) as store:
        with pytest.raises(StoreUnavailable, match=f"{status}"):
            await store.insert("t", ["n"], BLOCK, 3)
    assert len(script.bodies) == 1


@pytest.mark.parametrize(("code", "reads"), [(286, False), (517, False), (289, True)])
async def test_a_busy_replicated_table_is_tried_again(
    scripted: tuple[Scripted, StoreSettings], code: int, reads: bool
) -> None:
    script, settings = scripted
    script.response = lambda request: web.Response() if len(script.bodies) > 2 else refusal(code, "Quorum")
    async with opened(settings) as store:
        if reads:
            with pytest.raises(StoreInvalid, match="no single table"):  # an empty response is none
                await store.query("SELECT 1")
        else:
            await store.insert("t", ["n"], BLOCK, 3, token="p0:1-2")
    assert len(script.bodies) == 3
    assert len(set(script.bodies)) == 1
    assert {query.get("insert_deduplication_token") for query in script.queries} == ({None} if reads else {"p0:1-2"})


async def test_a_command_waits_for_a_replica_that_starts_and_an_insert_does_not(
    scripted: tuple[Scripted, StoreSettings],
) -> None:
    script, settings = scripted
    script.response = lambda request: (
        web.Response() if len(script.bodies) > 2 else refusal(242, "Table is in readonly mode")
    )
    async with opened(settings) as store:
        await store.command("ALTER TABLE t ADD COLUMN b Int8")
        assert len(script.bodies) == 3
        script.bodies.clear()
        with pytest.raises(StoreUnavailable, match="readonly mode"):
            await store.insert("t", ["n"], BLOCK, 3)
    assert len(script.bodies) == 1


async def test_an_unknown_outcome_is_not_tried_again(scripted: tuple[Scripted, StoreSettings]) -> None:
    script, settings = scripted
    script.response = lambda request: refusal(319, "Unknown status of insert")
    async with opened(settings) as store:
        with pytest.raises(StoreUnavailable, match="code 319"):
            await store.insert("t", ["n"], BLOCK, 3)
    assert len(script.bodies) == 1


async def test_a_server_without_a_setting_does_not_get_it(scripted: tuple[Scripted, StoreSettings]) -> None:
    script, settings = scripted
    async with opened(settings) as store:
        await store.insert("t", ["n"], BLOCK, 3)
    (query,) = script.queries
    assert query["query"] == "INSERT INTO t (`n`) FORMAT Native"
    assert query["insert_deduplicate"] == "0"
    assert query["wait_end_of_query"] == "1"
    assert "deduplicate_insert" not in query


async def test_the_code_decides_who_is_to_blame(scripted: tuple[Scripted, StoreSettings]) -> None:
    script, settings = scripted
    async with opened(settings) as store:
        script.response = lambda request: refusal(60, "Table runstream.t does not exist. (UNKNOWN_TABLE)", 404)
        with pytest.raises(
            StoreInvalid, match=r"does not exist\. \(UNKNOWN_TABLE\) \(code 60, statement: INSERT INTO t"
        ):
            await store.insert("t", ["n"], BLOCK, 3)
        script.response = lambda request: refusal(243, "Cannot reserve 1 MiB. (NOT_ENOUGH_SPACE)")
        with pytest.raises(StoreUnavailable, match="NOT_ENOUGH_SPACE"):
            await store.insert("t", ["n"], BLOCK, 3)
        script.response = lambda request: refusal(40, "Checksum doesn't match")
        with pytest.raises(StoreCorrupt, match="Drop the database on that server and rebuild it"):
            await store.query("SELECT 1")
        script.response = lambda request: refusal(516, "default: Authentication failed", 403)
        with pytest.raises(StoreInvalid, match="Authentication failed"):
            await store.command("SYSTEM FLUSH LOGS")


async def test_a_response_that_does_not_come_is_given_up(scripted: tuple[Scripted, StoreSettings]) -> None:
    script, settings = scripted
    held = asyncio.Event()

    class Silent(web.Response):
        async def prepare(self, request: web.BaseRequest) -> None:
            await held.wait()

    script.response = lambda request: Silent()
    async with opened(settings, grace_s=0) as store:
        with pytest.raises(StoreUnavailable, match="timed out"):
            await store.insert("t", ["n"], BLOCK, 3)
        assert script.queries[0]["max_execution_time"] == "1"
        held.set()
    assert len(script.bodies) == 1


async def test_half_a_response_is_none(scripted: tuple[Scripted, StoreSettings]) -> None:
    script, settings = scripted

    class Half(web.Response):
        async def write_eof(self, data: bytes = b"") -> None:
            assert self._req
            assert self._req.transport
            self._req.transport.close()

    script.response = lambda request: Half(body=b"ARROW1" * 1000)
    async with opened(settings) as store:
        with pytest.raises(StoreUnavailable, match="no answer"):
            await store.query("SELECT 1")


async def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(StoreUnavailable, match=f"no answer from ClickHouse at {url}: .*refused"):
            await HttpStore.open(StoreSettings(url=url))


async def test_a_database_with_a_strange_name_is_refused() -> None:
    with pytest.raises(StoreInvalid, match="no name of a database"):
        await HttpStore.open(StoreSettings(url=URL, database="a; DROP"))


# Compression, users and certificates, on the development server


async def test_blocks_may_travel_compressed(tmp_path: Path) -> None:
    rows = 100_000
    data = block([("n", "UInt64", np.arange(rows))])
    with DevServer(tmp_path / "data") as server:
        async with opened(StoreSettings(url=server.url, compression="lz4")) as store:
            await store.command("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
            await store.insert("t", ["n"], data, rows)
            assert (await store.query("SELECT sum(n) AS n FROM t"))["n"].to_pylist() == [rows * (rows - 1) // 2]


@pytest.mark.skipif(not shutil.which("openssl"), reason="making a certificate takes openssl")
async def test_a_certificate_is_checked(tmp_path: Path, scripted: tuple[Scripted, StoreSettings]) -> None:
    certificate, key = tmp_path / "server.pem", tmp_path / "key.pem"
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        stderr=subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    app = web.Application()
    app.router.add_route("*", "/", scripted[0].handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    async with opened(StoreSettings(url=url, ca_file=certificate)) as store:
        await store.insert("t", ["n"], BLOCK, 3)
    assert scripted[0].bodies == [bytes(BLOCK)]
    with pytest.raises(StoreUnavailable, match=r"no answer from ClickHouse at https://.*certificate verify failed"):
        await HttpStore.open(StoreSettings(url=url))
    await runner.cleanup()


def test_only_the_user_is_let_in(tmp_path: Path) -> None:
    async def attempt(**who: Any) -> int:
        async with opened(StoreSettings(url=server.url, **who)) as store:
            return int((await store.query("SELECT 1 AS a"))["a"][0].as_py())

    with DevServer(tmp_path / "data", "--user", "ann", password="it's ü") as server:
        assert asyncio.run(attempt(user="ann", password="it's ü")) == 1
        for who in ({}, {"user": "ann"}, {"user": "ann", "password": "its"}, {"user": "bob", "password": "it's ü"}):
            with pytest.raises(StoreInvalid, match="Authentication failed"):
                asyncio.run(attempt(**who))
