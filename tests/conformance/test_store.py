"""What `runstream_service.store` promises, held against every store.

A store takes part by one `Harness`: add it to `HARNESSES` and change nothing else. The store in process (chDB) and the
one over HTTP on the development server (a child process) always do; a real ClickHouse server does where
RUNSTREAM_TEST_CLICKHOUSE_URL names one (with RUNSTREAM_CLICKHOUSE_USER and RUNSTREAM_CLICKHOUSE_PASSWORD). Each test
makes a database of its own there, and drops it. That server needs `http_max_field_value_size` of 1 MiB or more.
"""

import asyncio
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kit.servers.dev_clickhouse import DevServer
from runstream_model.columns import Coded, Constant
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.http import HttpStore
from runstream_processors.store.native import block
from runstream_processors.store.settings import StoreSettings
from runstream_service.store import (
    Block,
    QueryClass,
    QueryLimitExceeded,
    QueryLimits,
    Store,
    StoreInvalid,
    StoreOverloaded,
    StoreUnavailable,
)

COLUMNS = ("number", "half", "name")
CREATE = """
CREATE TABLE IF NOT EXISTS things (number UInt64, half Float64, name LowCardinality(String))
ENGINE = MergeTree ORDER BY number
"""


#: Small enough that a test meets each of them soon, except for the time: that of LIGHT is for tests that meet it.
LIMITS = {
    QueryClass.HEAVY: QueryLimits(
        slots=2,
        queue=3,
        wait_s=60.0,
        time_s=600.0,
        memory_bytes=200_000_000,
        result_rows=100_000,
        result_bytes=10_000_000,
    ),
    QueryClass.LIGHT: QueryLimits(slots=1, queue=0, wait_s=60.0, time_s=0.5, rows_read=1000),
    QueryClass.PROBE: QueryLimits(slots=1),
    QueryClass.LOOKUP: QueryLimits(slots=1, queue=10, wait_s=60.0, time_s=60.0),
}
#: Takes minutes, and returns one row.
ENDLESS = "SELECT count() AS n FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
#: Sorts 8 GB.
HUGE_SORT = "SELECT groupArray(number) AS n FROM numbers(1000000000)"


class Harness(ABC):
    """How the suite gets at one kind of store. `place` is where its data live: a folder, or a database's address."""

    def __init__(self, place: str) -> None:
        self.place = place

    @abstractmethod
    async def open(self) -> Store:
        """Open the store: empty at first, later with what was inserted before."""

    @abstractmethod
    async def discard(self) -> None:
        """Take away what the test left."""


class ChdbHarness(Harness):
    async def open(self) -> Store:
        return await ChdbStore.open(Path(self.place), query_threads=3, limits=LIMITS)

    async def discard(self) -> None:
        shutil.rmtree(self.place)


class HttpHarness(Harness):
    async def open(self) -> Store:
        url, _, database = self.place.rpartition("/")
        return await HttpStore.open(StoreSettings.from_environment(url=url, database=database), limits=LIMITS)

    async def discard(self) -> None:
        store = await self.open()
        await store.command(f"DROP DATABASE {self.place.rpartition('/')[2]} SYNC")
        await store.close()


REAL_SERVER = os.environ.get("RUNSTREAM_TEST_CLICKHOUSE_URL", "")
HARNESSES: dict[str, type[Harness]] = {"chdb": ChdbHarness, "http": HttpHarness}
if REAL_SERVER:
    HARNESSES["server"] = HttpHarness


@pytest.fixture(scope="module")
def dev_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with DevServer(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server


@pytest.fixture(params=list(HARNESSES))
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Harness]:
    database = f"test_{uuid.uuid4().hex}"
    match request.param:
        case "http":
            place = f"{request.getfixturevalue('dev_server').url}/{database}"
        case "server":
            place = f"{REAL_SERVER.rstrip('/')}/{database}"
        case _:
            place = str(tmp_path / "store")
    harness = HARNESSES[request.param](place)
    yield harness
    await harness.discard()


@pytest.fixture
async def store(harness: Harness) -> AsyncIterator[Store]:
    opened = await harness.open()
    yield opened
    await opened.close()


def things(first: int, rows: int, name: str = "thing") -> Block:
    numbers = np.arange(first, first + rows, dtype=np.uint64)
    return block(
        [
            ("number", "UInt64", numbers),
            ("half", "Float64", numbers / 2),
            ("name", "LowCardinality(String)", Constant(name, rows)),
        ]
    )


async def one(store: Store, sql: str, **parameters: Any) -> Any:
    """The single value that a statement gives."""
    table = await store.query(sql, parameters)
    assert table.num_rows == table.num_columns == 1
    return table.column(0)[0].as_py()


# Queries


NOON = datetime(2026, 2, 3, 12, 0, 0, 123456, tzinfo=UTC)
NASTY = 'it\'s\\ "x" `y` \t\n\r\b\0 %s %(a)s {a:String} -- ; /* é 漢字 🏃'


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("String", NASTY),
        ("String", ""),
        ("String", "\\N"),
        ("Nullable(String)", None),
        ("Array(String)", [NASTY, "", "\\N", "NULL"]),
        ("Array(String)", []),
        ("UInt8", 255),
        ("Int8", -128),
        ("UInt64", 2**64 - 1),
        ("Int64", -(2**63)),
        ("Array(UInt64)", [0, 2**64 - 1]),
        ("Float64", -0.0),
        ("Float64", 5e-324),
        ("Float64", math.inf),
        ("Float64", -math.inf),
        ("Array(Float64)", [1.5, -0.0, math.inf]),
        ("Nullable(Float64)", None),
        ("Bool", True),
        ("Bool", False),
        ("DateTime64(6, 'UTC')", NOON),
        ("Array(DateTime64(6, 'UTC'))", [NOON, NOON - timedelta(microseconds=1)]),
    ],
)
async def test_a_parameter_arrives_as_it_is(store: Store, kind: str, value: object) -> None:
    found = await one(store, f"SELECT {{value:{kind}}} AS value", value=value)
    assert found == value
    if isinstance(value, float):
        assert math.copysign(1, found) == math.copysign(1, value)


async def test_nan_is_a_parameter_too(store: Store) -> None:
    assert math.isnan(await one(store, "SELECT {value:Float64} AS value", value=math.nan))


@pytest.mark.parametrize(
    "attempt",
    [
        "' OR 1 = 1 --",
        "\\' OR 1 = 1 --",
        "'; DROP TABLE things; --",
        "{number:UInt64}",
        "\\",
        "name",
        "%s",
        "$x$",
        "*/",
    ],
)
async def test_an_injection_stays_a_value(store: Store, attempt: str) -> None:
    await store.command(CREATE)
    await store.insert("things", COLUMNS, things(0, 3), 3)
    assert await one(store, "SELECT count() FROM things WHERE name = {name:String}", name=attempt) == 0
    assert await one(store, "SELECT {name:String} AS name", name=attempt) == attempt
    assert await one(store, "SELECT count() FROM things WHERE name IN {names:Array(String)}", names=[attempt]) == 0
    assert await one(store, "SELECT count() FROM things") == 3


async def test_types_of_responses(store: Store) -> None:
    response = await store.query(
        """
        SELECT 'a' AS text, toLowCardinality('b') AS low, toDateTime64('2026-02-03 12:00:00.123456', 6, 'UTC') AS at,
            CAST(NULL AS Nullable(Float64)) AS nothing, true AS yes, ['x'] AS many, toUInt64(1) AS one,
            toInt64(-1) AS less
        """
    )
    assert response.schema.types == [
        pa.string(),
        pa.string(),
        pa.timestamp("us", tz="UTC"),
        pa.float64(),
        pa.bool_(),
        pa.list_(pa.field("item", pa.string(), nullable=False)),
        pa.uint64(),
        pa.int64(),
    ]
    assert response.to_pylist() == [
        {"text": "a", "low": "b", "at": NOON, "nothing": None, "yes": True, "many": ["x"], "one": 1, "less": -1}
    ]


async def test_an_empty_response_has_its_columns(store: Store) -> None:
    response = await store.query("SELECT 1 AS a, toLowCardinality('b') AS b WHERE 0")
    assert (response.num_rows, response.schema.names) == (0, ["a", "b"])
    assert response.schema.field("b").type == pa.string()


async def test_a_big_response_comes_whole(store: Store) -> None:
    response = await store.query("SELECT number, toString(number) AS text FROM numbers(1000000) ORDER BY number")
    assert np.array_equal(response["number"].to_numpy(), np.arange(1_000_000))
    assert response["text"][999_999].as_py() == "999999"


async def test_a_list_of_many_values_is_one_parameter(store: Store) -> None:
    names = [f"run-{i}" for i in range(20_000)]
    assert await one(store, "SELECT length({names:Array(String)}) AS n", names=names) == 20_000


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELEC 1", {}),
        ("SELECT missing FROM things", {}),
        ("SELECT * FROM absent", {}),
        ("SELECT {a:UInt8} AS a", {"a": "1 OR 1"}),
        ("SELECT {a:UInt8} AS a", {"a": 256}),
        ("SELECT {a:UInt64} AS a", {"a": -1}),
        ("SELECT {a:Array(Int8)} AS a", {"a": [1, 128]}),
        ("SELECT {a:String} AS a", {}),
        ("SELECT {a:String} AS a", {"b": "x"}),
        ("SELECT 1 AS a", {"a": "unused"}),
        ("SELECT %(a)s AS a", {"a": "pasted"}),
        ("SELECT {a:DateTime64(6, 'UTC')} AS a", {"a": datetime(2026, 1, 1)}),
        ("SELECT 1; SELECT 2", {}),
        ("INSERT INTO things VALUES (1, 1, 'x')", {}),
        ("DROP TABLE things", {}),
    ],
)
async def test_a_wrong_statement_is_invalid_and_harms_nothing(
    store: Store, sql: str, parameters: dict[str, object]
) -> None:
    await store.command(CREATE)
    with pytest.raises(StoreInvalid):
        await store.query(sql, parameters)
    assert await one(store, "SELECT count() FROM things") == 0


async def test_a_query_beyond_its_memory_is_not_blamed_for_ever(store: Store) -> None:
    with pytest.raises(StoreUnavailable, match="memory"):
        await store.query("SELECT groupArray(number) AS n FROM numbers(10000000) SETTINGS max_memory_usage = 1000000")
    assert await one(store, "SELECT 1 AS a") == 1


# Limits, classes and cancellation


@pytest.mark.parametrize(
    ("sql", "of", "limit"),
    [
        ("SELECT number FROM numbers(100001)", QueryClass.HEAVY, "result_rows"),
        ("SELECT repeat(toString(number % 10), 1000) AS x FROM numbers(20000)", QueryClass.HEAVY, "result_bytes"),
        (HUGE_SORT, QueryClass.HEAVY, "memory_bytes"),
        ("SELECT max(number) AS n FROM numbers(1000000)", QueryClass.LIGHT, "rows_read"),
        (
            "SELECT sleepEachRow(0.01) AS n FROM numbers(500) SETTINGS max_block_size = 1, max_rows_to_read = 0",
            QueryClass.LIGHT,
            "time_s",
        ),
    ],
)
async def test_a_limit_that_is_met_is_named_and_the_next_query_is_whole(
    store: Store, sql: str, of: QueryClass, limit: str
) -> None:
    with pytest.raises(QueryLimitExceeded) as found:
        await store.query(sql, of=of)
    assert (found.value.of, found.value.limit) == (of, limit)
    assert found.value.value == getattr(LIMITS[of], limit)
    assert f"{found.value.value:g}" in str(found.value) or str(found.value.value) in str(found.value)
    # Nothing of what it had by then stands before the next response.
    for number in range(4):
        assert (await store.query(f"SELECT {number} AS n", of=of)).to_pylist() == [{"n": number}]


async def test_the_servers_own_queries_meet_no_limit_of_a_class(store: Store) -> None:
    assert (await store.query("SELECT number FROM numbers(100001)")).num_rows == 100_001
    assert (await store.query("SELECT count() AS n FROM numbers(100000)", of=QueryClass.PROBE)).to_pylist()


RUNNING = f"SELECT count() AS n FROM system.processes WHERE startsWith(query, '{ENDLESS[:50]}')"


async def running(store: Store, count: int) -> None:
    """Until so many endless queries run."""
    async with asyncio.timeout(240):
        while (await store.query(RUNNING, of=QueryClass.LOOKUP)).to_pylist() != [{"n": count}]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_who_gives_up_ends_the_query_and_frees_its_slot(store: Store) -> None:
    for _ in range(3):
        tasks = [asyncio.create_task(store.query(ENDLESS, of=QueryClass.HEAVY)) for _ in range(2)]
        await running(store, 2)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(240):
            assert (await store.query("SELECT 7 AS n", of=QueryClass.HEAVY)).to_pylist() == [{"n": 7}]
        await running(store, 0)


async def test_no_class_waits_for_another_and_a_full_one_says_so(store: Store) -> None:
    await store.command(CREATE)
    tasks = [asyncio.create_task(store.query(ENDLESS, of=QueryClass.HEAVY)) for _ in range(5)]
    await running(store, 2)
    with pytest.raises(StoreOverloaded, match="2 heavy queries run and 3 wait") as found:
        await store.query("SELECT 1 AS n", of=QueryClass.HEAVY)
    assert isinstance(found.value, StoreUnavailable)
    assert found.value.of is QueryClass.HEAVY
    # All of these would wait for minutes.
    async with asyncio.timeout(120):
        for number in range(5):
            await store.insert("things", COLUMNS, things(number, 1), 1)
            for of in (QueryClass.WORKER, QueryClass.PROBE, QueryClass.LOOKUP):
                rows = (await store.query("SELECT count() AS n FROM things", of=of)).to_pylist()
                assert rows == [{"n": number + 1}]
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await running(store, 0)


# Inserts


@pytest.mark.parametrize("rows", [1, 1_000_000, 1_500_000])
async def test_one_insert_is_one_part_and_visible_at_once(store: Store, rows: int) -> None:
    await store.command(CREATE)
    await store.insert("things", COLUMNS, things(0, rows), rows)
    assert await one(store, "SELECT count() FROM things") == rows
    parts = (
        "SELECT groupArray(rows) AS n FROM system.parts WHERE active AND table = 'things' AND database = {db:String}"
    )
    database = await one(store, "SELECT currentDatabase() AS db")
    assert await one(store, parts, db=database) == [rows]


async def test_values_come_back_bit_by_bit(store: Store) -> None:
    await store.command("CREATE TABLE floats (i UInt8, value Float64) ENGINE = MergeTree ORDER BY i")
    values = np.array([math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7976931348623157e308, 0.1])
    await store.insert("floats", ("i", "value"), block([("i", "UInt8", np.arange(8)), ("value", "Float64", values)]), 8)
    found = (await store.query("SELECT value FROM floats ORDER BY i"))["value"].to_numpy()
    assert found.view(np.uint64).tolist() == values.view(np.uint64).tolist()


async def test_nothing_is_inserted_by_an_insert_without_rows(store: Store) -> None:
    await store.command(CREATE)
    await store.insert("things", COLUMNS, things(0, 0), 0)
    assert await one(store, "SELECT count() FROM things") == 0


def cut(data: Block) -> Block:
    return Block(data.rows, (bytes(data)[:-5],))


@pytest.mark.parametrize(
    ("table", "columns", "data", "rows"),
    [
        ("absent", COLUMNS, things(0, 3), 3),
        ("things", ("number", "half", "other"), things(0, 3), 3),
        ("things", COLUMNS, things(0, 3), 4),
        ("things", COLUMNS, cut(things(0, 1000)), 1000),
        ("things", COLUMNS, Block(1, (b"\xff" * 20,)), 1),
        ("things", COLUMNS, Block(1, (b"garbage, no block",)), 1),
        ("things) SELECT 1, 1, 'x' --", COLUMNS, things(0, 3), 3),
    ],
)
async def test_a_wrong_insert_is_invalid_and_inserts_nothing(
    store: Store, table: str, columns: tuple[str, ...], data: Block, rows: int
) -> None:
    await store.command(CREATE)
    with pytest.raises(StoreInvalid):
        await store.insert(table, columns, data, rows)
    await store.insert("things", COLUMNS, things(0, 2), 2)
    assert await one(store, "SELECT count() FROM things") == 2


WINDOW = 4
REMEMBERING = f"{CREATE.rstrip()} SETTINGS non_replicated_deduplication_window = {WINDOW}"


async def add(store: Store, name: str, token: str = "", rows: int = 3) -> None:
    await store.insert("things", COLUMNS, things(0, rows, name), rows, token=token)


async def names(store: Store) -> list[str]:
    found = await store.query("SELECT name, count() AS n FROM things GROUP BY name ORDER BY name")
    return [f"{row['name']} {row['n']}" for row in found.to_pylist()]


async def test_a_token_is_taken_once_and_another_one_too(store: Store) -> None:
    await store.command(REMEMBERING)
    await add(store, "a", "p0:1-7")
    await add(store, "a", "p0:1-7")
    await add(store, "other rows", "p0:1-7", rows=5)
    await add(store, "a", "p0:1-8")
    assert await names(store) == ["a 6"]


async def test_without_a_token_every_block_is_inserted(store: Store) -> None:
    await store.command(REMEMBERING)
    await add(store, "a", "token")
    for _ in range(WINDOW + 1):
        await add(store, "a")
    await add(store, "a", "token")  # those without one were not counted either
    assert await names(store) == [f"a {3 * (WINDOW + 2)}"]


@pytest.mark.parametrize("token", ["it's", "a\\'b", "%s {a:String}", "x' SETTINGS y = 'z", "é ; --", "t" * 300])
async def test_a_token_may_be_any_text(store: Store, token: str) -> None:
    await store.command(REMEMBERING)
    for given in (token, token, token + " "):
        await add(store, "a", given)
    assert await names(store) == ["a 6"]


async def test_a_token_is_remembered_after_reopening_and_merges(harness: Harness) -> None:
    store = await harness.open()
    await store.command(REMEMBERING)
    await add(store, "a", "one")
    await add(store, "b", "two")
    await store.command("OPTIMIZE TABLE things FINAL")
    await store.close()
    store = await harness.open()
    await add(store, "a", "one")
    await add(store, "b", "three")
    assert await names(store) == ["a 3", "b 6"]
    await store.close()


async def test_a_token_that_left_the_window_is_taken_again(store: Store) -> None:
    await store.command(REMEMBERING)
    for number in range(WINDOW):
        await add(store, "a", f"{number}")
    await add(store, "a", "0")
    assert await names(store) == [f"a {3 * WINDOW}"]
    await add(store, "a", "new")
    await add(store, "a", "0")
    assert await names(store) == [f"a {3 * (WINDOW + 2)}"]


async def test_each_table_has_its_own_tokens(store: Store) -> None:
    await store.command(REMEMBERING)
    await store.command(REMEMBERING.replace("things", "others"))
    await add(store, "a", "token")
    await store.insert("others", COLUMNS, things(0, 2), 2, token="token")
    assert await one(store, "SELECT count() FROM others") == 2


async def test_reads_run_beside_inserts_and_see_whole_ones(store: Store) -> None:
    await store.command(CREATE)
    done = asyncio.Event()
    seen: list[int] = []

    async def read() -> None:
        while not done.is_set():
            seen.append(await one(store, "SELECT count() FROM things"))

    readers = [asyncio.create_task(read()) for _ in range(3)]
    for number in range(8):
        await store.insert("things", COLUMNS, things(number * 100_000, 100_000), 100_000)
        assert await one(store, "SELECT count() FROM things") == (number + 1) * 100_000
    done.set()
    await asyncio.gather(*readers)
    assert len(seen) > len(readers)
    assert all(count % 100_000 == 0 for count in seen)


async def test_other_threads_and_loops_may_call(store: Store) -> None:
    await store.command(CREATE)
    responses: list[int] = []

    def work(number: int) -> None:
        async def both() -> None:
            await store.insert("things", COLUMNS, things(number * 10, 10), 10)
            responses.append(await one(store, "SELECT count() FROM things WHERE number = {n:UInt64}", n=number * 10))

        asyncio.run(both())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert responses == [1] * 4
    assert await one(store, "SELECT count() FROM things") == 40


async def test_a_caller_that_gives_up_does_not_disturb_the_next(store: Store) -> None:
    waiting = asyncio.create_task(store.query("SELECT sleep(0.2)"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert [await one(store, "SELECT {i:UInt8} AS i", i=i) for i in range(4)] == list(range(4))


# Commands and life


async def test_a_wrong_command_is_invalid(store: Store) -> None:
    with pytest.raises(StoreInvalid, match="CREATE TABLE nonsense"):
        await store.command("CREATE TABLE nonsense")


async def test_what_was_inserted_is_there_after_reopening(harness: Harness) -> None:
    store = await harness.open()
    await store.command(CREATE)
    names = Coded(["a", "é", ""], np.array([2, 1, 0, 0]))
    data = block(
        [
            ("number", "UInt64", np.arange(4)),
            ("half", "Float64", np.zeros(4)),
            ("name", "LowCardinality(String)", names),
        ]
    )
    await store.insert("things", COLUMNS, data, 4)
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.query("SELECT 1")
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.insert("things", COLUMNS, data, 4)
    store = await harness.open()
    found = await store.query("SELECT name FROM things ORDER BY number")
    assert found["name"].to_pylist() == ["", "é", "a", "a"]
    await store.close()


#: Large enough that most kills fall into an insert, not between two.
KILLED_ROWS = 300_000
#: `make faults KILLS=1000` kills more.
KILLS = max(4, int(os.environ.get("RUNSTREAM_KILLS", "0")))


async def insert_until_killed(harness: Harness, first: int) -> None:
    """What the killed child does: insert number after number, and say so after each."""
    store = await harness.open()
    await store.command(CREATE)
    for number in range(first, 1 << 30):
        await store.insert("things", COLUMNS, things(0, KILLED_ROWS, f"insert {number}"), KILLED_ROWS)
        print(number, flush=True)


@pytest.mark.timeout(900 + 10 * KILLS)
async def test_sigkill_leaves_whole_inserts_only(request: pytest.FixtureRequest, harness: Harness) -> None:
    chance = random.Random(20260203)
    written: list[int] = []
    for _ in range(KILLS):
        first = written[-1] + 10 if written else 0
        child = subprocess.Popen(  # noqa: ASYNC220 (nothing else runs in this loop)
            [sys.executable, __file__, request.node.callspec.params["harness"], harness.place, str(first)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.stdout
        written.append(int(child.stdout.readline()))  # it has started, and its first insert is done
        await asyncio.sleep(chance.uniform(0.0, 0.15))
        os.kill(child.pid, signal.SIGKILL)
        written += [int(line) for line in child.communicate()[0].split("\n") if line]
        store = await harness.open()
        rows = (
            await store.query("SELECT name, count() AS n, uniqExact(number) AS u FROM things GROUP BY name")
        ).to_pylist()
        await store.close()
        assert {(row["n"], row["u"]) for row in rows} == {(KILLED_ROWS, KILLED_ROWS)}
        assert {row["name"] for row in rows} >= {f"insert {number}" for number in written}


if __name__ == "__main__":
    asyncio.run(insert_until_killed(HARNESSES[sys.argv[1]](sys.argv[2]), int(sys.argv[3])))
