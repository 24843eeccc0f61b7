"""The development server: what ClickHouse's clients ask of it, and what a kill or a full disk leaves of it."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import clickhouse_connect
import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from kit.servers.dev_clickhouse import DevServer
from runstream_model.columns import Constant
from runstream_processors.store.http import HttpStore
from runstream_processors.store.migrate import migrate, shipped
from runstream_processors.store.native import block
from runstream_processors.store.settings import StoreSettings
from runstream_processors.store.tables import column_names, encode_rows
from runstream_service.store import StoreUnavailable

CREATE = (
    "CREATE TABLE IF NOT EXISTS things (name LowCardinality(String), number UInt64) ENGINE = MergeTree ORDER BY number "
    "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 10000"
)
ROWS = 100_000
#: Of each of three writers, between which the server is killed. `make faults KILLS=1000` writes and kills more.
BLOCKS = max(15, int(os.environ.get("RUNSTREAM_KILLS", "0")))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with DevServer(tmp_path_factory.mktemp("clickhouse") / "data") as server:
        yield server


def port(server: DevServer) -> int:
    return int(server.url.rsplit(":", 1)[1])


def post(server: DevServer, query: str, body: bytes = b"", **options: str) -> tuple[int, bytes, dict[str, str]]:
    """The status, body and headers of a response. Of the options `method` and `encoding` do not go into the address."""
    method, encoding = options.pop("method", "POST"), options.pop("encoding", "")
    address = f"{server.url}/?{urllib.parse.urlencode({'query': query, **options})}"
    headers = {"Content-Encoding": encoding} if encoding else {}
    request = urllib.request.Request(address, body if method == "POST" else None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, response.read(), dict(response.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Referer": "https://evil.example/"},
        {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)", "Host": "evil.example"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_send_no_statements(server: DevServer, headers: dict[str, str], method: str) -> None:
    for path in ("/?query=SELECT+1", "/ping"):
        body = b"SELECT 1" if method == "POST" else None
        request = urllib.request.Request(server.url + path, body, headers, method=method)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=120)


# ClickHouse's clients


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_the_synchronous_client_works(server: DevServer, compress: bool | str) -> None:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port(server), compress=compress)
    client.command("CREATE OR REPLACE TABLE sync (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    assert client.ping()
    assert client.insert("sync", [[1, "a"], [2, "b\n\t'\\"]], column_names=["n", "s"]).written_rows == 2
    client.insert_arrow("sync", pa.table({"n": pa.array([3], pa.uint64()), "s": ["c"]}))
    client.command("INSERT INTO sync VALUES (4, 'it''s; fine')")
    assert client.query("SELECT s FROM sync WHERE n = {n:UInt64}", parameters={"n": 2}).result_rows == [("b\n\t'\\",)]
    assert client.query("SELECT * FROM sync LIMIT 0").column_names == ("n", "s")
    assert client.query_arrow("SELECT n FROM sync ORDER BY n")["n"].to_pylist() == [1, 2, 3, 4]
    assert client.command("SELECT count() FROM sync") == 4
    rows = client.raw_query("SELECT * FROM sync WHERE n > 3 FORMAT JSONEachRow")
    assert json.loads(rows) == {"n": 4, "s": "it's; fine"}
    with client.query_rows_stream("SELECT number FROM numbers(100000)") as stream:
        assert sum(row[0] for row in stream) == 4_999_950_000
    client.close()


async def test_the_asynchronous_client_works_beside_itself(server: DevServer) -> None:
    client = await clickhouse_connect.get_async_client(
        host="127.0.0.1", port=port(server), autogenerate_session_id=False
    )
    await client.command("CREATE OR REPLACE TABLE many (n UInt64) ENGINE = MergeTree ORDER BY n")
    await asyncio.gather(*(client.insert("many", [[n]], column_names=["n"]) for n in range(12)))
    sums = await asyncio.gather(*(client.query("SELECT sum(n) + {a:Int8} FROM many", {"a": a}) for a in range(12)))
    assert [response.result_rows for response in sums] == [[(66 + a,)] for a in range(12)]
    await client.close()


def test_tokens_of_the_client_hold(server: DevServer) -> None:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port(server))
    client.command(CREATE)
    for token in ("a", "a", "b"):
        client.insert(
            "things", [["x", 1]], column_names=["name", "number"], settings={"insert_deduplication_token": token}
        )
    assert client.command("SELECT count() FROM things") == 2
    client.command("DROP TABLE things SYNC")
    client.close()


def test_errors_have_the_code_and_the_status_of_a_server(server: DevServer) -> None:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=port(server))
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE") as raised:
        client.query("SELECT * FROM absent")
    assert raised.value.code == 60
    client.close()


# The interface itself


@pytest.mark.parametrize(
    ("query", "options", "status", "code", "words"),
    [
        ("SELEC 1", {}, 400, "62", b"Syntax error"),
        ("", {}, 400, "62", b"Empty query"),
        ("SELECT 1; SELECT 2", {}, 400, "62", b"Multi-statements"),
        ("SELECT {a:UInt8}", {}, 400, "456", b"`a` is not set"),
        ("SELECT 1", {"max_thread": "1"}, 404, "115", b"max_thread"),
        ("SELECT 1", {"a b": "1"}, 404, "115", b"a b"),
        ("SELECT 1", {"database": "absent"}, 404, "81", b"absent"),
        ("SELECT 1", {"decompress": "1"}, 501, "48", b"Content-Encoding"),
        ("SELECT 1", {"encoding": "snappy"}, 501, "48", b"snappy"),
        ("SELECT 1", {"encoding": "lz4", "body": "no frame"}, 500, "354", b"decompressed as lz4"),
        ("CREATE TABLE t (n UInt8) ENGINE = Memory", {"method": "GET"}, 500, "164", b"readonly"),
        ("INSERT INTO absent FORMAT Native", {"body": "x"}, 404, "60", b"absent"),
    ],
)
def test_what_is_wrong_is_reported_with_a_code(
    server: DevServer, query: str, options: dict[str, str], status: int, code: str, words: bytes
) -> None:
    options = dict(options)
    body = options.pop("body", "").encode()
    found, text, headers = post(server, query, body, **options)
    assert (found, headers.get("X-ClickHouse-Exception-Code")) == (status, code), text
    assert words in text


def test_settings_parameters_and_formats_stand_in_the_address(server: DevServer) -> None:
    status, body, headers = post(
        server, "SELECT getSetting('max_threads') AS n, {a:String} AS a", max_threads="3", param_a="é"
    )
    assert (status, body) == (200, "3\té\n".encode())
    assert headers["X-ClickHouse-Format"] == "TabSeparated"
    assert json.loads(headers["X-ClickHouse-Summary"])["written_rows"] == "0"
    assert post(server, "SELECT 1 AS a", default_format="JSONEachRow")[1] == b'{"a":1}\n'
    assert post(server, "SELECT getSetting('max_threads') = 3")[1] == b"0\n"  # it was that request's setting
    assert post(server, "SELECT 1", method="GET")[1] == b"1\n"
    with urllib.request.urlopen(f"{server.url}/ping") as response:
        assert response.read() == b"Ok.\n"


def test_a_long_query_holds_up_nobody(server: DevServer) -> None:
    with ThreadPoolExecutor(1) as threads:
        sleeping = threads.submit(post, server, "SELECT sleep(2)")
        while (
            post(server, "SELECT count() > 0 FROM system.processes WHERE query LIKE '%sleep(2)%' AND is_initial_query")[
                1
            ]
            != b"1\n"
        ):
            assert not sleeping.done(), "it was never seen beside another one"
        assert post(server, "CREATE OR REPLACE TABLE beside (n UInt8) ENGINE = MergeTree ORDER BY n")[0] == 200
        assert post(server, "INSERT INTO beside FORMAT TabSeparated", b"1\n")[0] == 200
        assert not sleeping.done()
        assert sleeping.result()[0] == 200


# Its life


def test_a_directory_is_one_servers_until_it_ends(tmp_path: Path) -> None:
    with DevServer(tmp_path / "data") as first:
        second = subprocess.run(
            [
                sys.executable,
                "-m",
                "runstream_infra.dev_clickhouse",
                "--data-dir",
                str(tmp_path / "data"),
                "--port",
                "0",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert f"is open in process {first.pid}: stop that server" in second.stderr
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(post, first, "SELECT sleep(1)")
            time.sleep(0.3)
            assert first.end(signal.SIGTERM) == 0
            assert running.result()[:2] == (200, b"0\n")
        first.start()


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--host", "0.0.0.0"], "give --user and a password"), (["--user", "ann"], "RUNSTREAM_CLICKHOUSE_PASSWORD")],
)
def test_an_open_door_is_refused(tmp_path: Path, options: list[str], words: str) -> None:
    command = [sys.executable, "-m", "runstream_infra.dev_clickhouse", "--data-dir", str(tmp_path), "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "RUNSTREAM_CLICKHOUSE_PASSWORD"}
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert words in done.stderr


async def test_several_processes_migrate_one_database(server: DevServer) -> None:
    program = (
        "import asyncio, sys\n"
        "from runstream_processors.store.http import HttpStore\n"
        "from runstream_processors.store.migrate import migrate\n"
        "from runstream_processors.store.settings import StoreSettings\n"
        "async def main():\n"
        "    store = await HttpStore.open(StoreSettings(url=sys.argv[1], database='together'))\n"
        "    await migrate(store)\n"
        "    await store.close()\n"
        "asyncio.run(main())\n"
    )
    children = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, server.url, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for child in children:
        _, output = await child.communicate()
        assert child.returncode == 0, output.decode()
    store = await HttpStore.open(StoreSettings(url=server.url, database="together"))
    assert await migrate(store) == []
    names = await store.query("SELECT DISTINCT name FROM schema_migrations ORDER BY name")
    assert names["name"].to_pylist() == [migration.name for migration in shipped()]
    await store.close()


async def write(url: str, writer: int, blocks: int, answered: list[str], retried: Counter[str]) -> None:
    """Insert block after block, each until it is answered, always under its own token."""
    store: HttpStore | None = None
    names = [f"w{writer} b{number}" for number in range(blocks)]
    for name in names:
        data = block(
            [
                ("name", "LowCardinality(String)", Constant(name, ROWS)),
                ("number", "UInt64", np.arange(ROWS, dtype=np.uint64)),
            ]
        )
        while True:
            try:
                store = store or await HttpStore.open(StoreSettings(url=url))
                await store.insert("things", ["name", "number"], data, ROWS, token=name)
                answered.append(name)
                break
            except StoreUnavailable:
                retried[name] += 1
                await asyncio.sleep(0.05)
    assert store
    await store.close()


@pytest.mark.timeout(900 + 5 * BLOCKS)
async def test_sigkill_leaves_whole_inserts_each_once_and_a_directory_that_opens(tmp_path: Path) -> None:
    chance = random.Random(20260507)
    answered: list[str] = []
    retried: Counter[str] = Counter()
    with DevServer(tmp_path / "data") as server:
        store = await HttpStore.open(StoreSettings(url=server.url))
        await store.command(CREATE)
        async with asyncio.TaskGroup() as writers:
            for writer in range(3):
                writers.create_task(write(server.url, writer, BLOCKS, answered, retried))
            # A kill after some inserts more, in the middle of others.
            while len(answered) < 3 * BLOCKS:
                enough = min(len(answered) + chance.randrange(3, 14), 3 * BLOCKS)
                while len(answered) < enough:  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
                await asyncio.sleep(chance.uniform(0.0, 0.03))
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
        names = set(answered)
        rows: list[dict[str, Any]] = (
            await store.query("SELECT name, count() AS n, uniqExact(number) AS u FROM things GROUP BY name")
        ).to_pylist()
        await store.close()
    assert retried, "no kill hit an insert"
    assert {(row["n"], row["u"]) for row in rows} == {(ROWS, ROWS)}
    # Answered at once means there. One that was sent again under its token may be missing, if the server was killed
    # between remembering the token and the part (docs/design/store.md): so whoever sends it again has to look.
    missing = names - {row["name"] for row in rows}
    assert missing <= set(retried)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
async def test_an_insert_that_found_no_room_says_so(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", str(small)]
    if (done := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:  # noqa: ASYNC221
        pytest.skip(f"this machine mounts no file system for us: {done.stderr.strip()}")
    try:
        with DevServer(small / "data") as server:
            store = await HttpStore.open(StoreSettings(url=server.url))
            await migrate(store)
            row = {"key": "k", "part": 0, "offset": 1, "writer": "w", "seq": 1, "at": 1, "type": "t", "body": "x" * 50}
            data = encode_rows("events", [row])
            for number in range(2):
                filler = small / "filler"
                fill(filler)
                with pytest.raises(StoreUnavailable, match="NOT_ENOUGH_SPACE"):
                    await store.insert("events", column_names("events"), data, 1, token=f"{number}")
                filler.unlink()
                await store.insert("events", column_names("events"), data, 1)
            assert (await store.query("SELECT count() AS n FROM events"))["n"].to_pylist() == [2]
            await store.close()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)  # noqa: ASYNC221


def fill(path: Path) -> None:
    """Write until there is no room at all."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096):
                pass
        except OSError:
            return


def test_statements_that_take_long_hold_up_no_other_and_can_be_killed(server: DevServer) -> None:
    """As many as the heavy and light ones of two query servers: what a worker writes waits for none of them."""
    endless = "SELECT count() FROM numbers(90000000000) WHERE sipHash64(repeat(toString(number), 20)) = 1"
    count = 16

    def running() -> int:
        found = post(server, f"SELECT count() FROM system.processes WHERE startsWith(query, '{endless[:60]}')")
        return int(found[1])

    with ThreadPoolExecutor(count) as clients:
        requested = [clients.submit(post, server, endless, max_threads="1") for _ in range(count)]
        deadline_s = time.monotonic() + 60
        try:
            while running() < count:
                assert time.monotonic() < deadline_s
                time.sleep(0.1)
            assert post(server, "SELECT 1")[1] == b"1\n"
        finally:
            post(server, f"KILL QUERY WHERE startsWith(query, '{endless[:60]}') SYNC")
        assert {each.result()[0] for each in requested} != {200}
    assert running() == 0
