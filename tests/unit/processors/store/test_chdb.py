"""What is special about the store in process: its lock, its one engine a process, its settings, and damaged files."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.engine import MERGE_NICENESS, MERGE_THREADS, engine_options, query_limits
from runstream_processors.store.migrate import migrate
from runstream_processors.store.native import block
from runstream_processors.store.tables import column_names, encode_rows
from runstream_service.store import Block, StoreBusy, StoreCorrupt, StoreError, StoreInvalid, StoreUnavailable

pytestmark = pytest.mark.store

HOLDER = """
import asyncio, sys
from pathlib import Path
from runstream_processors.store.chdb import ChdbStore
async def hold():
    await ChdbStore.open(Path(sys.argv[1]), query_threads=1)
    print("open", flush=True)
    sys.stdin.readline()
asyncio.run(hold())
"""
ROWS = 100_000


def numbers(first: int, rows: int) -> Block:
    return block([("n", "UInt64", np.arange(first, first + rows))])


async def test_another_process_is_refused_by_name_until_it_dies(tmp_path: Path) -> None:
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout
    assert await holder.stdout.readline() == b"open\n"
    with pytest.raises(StoreBusy, match=f"{tmp_path} is open in process {holder.pid}: stop that server"):
        await ChdbStore.open(tmp_path)
    holder.kill()
    await holder.wait()
    store = await ChdbStore.open(tmp_path)
    assert (tmp_path / "LOCK").read_text() == f"{os.getpid()}\n"
    await store.close()


PRIORITIES = """
import asyncio, os, sys
from pathlib import Path
import numpy as np
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.native import block

def priorities(of_merges):
    threads = [f for f in Path("/proc/self/task").iterdir() if merges(f) == of_merges]
    return [os.getpriority(os.PRIO_PROCESS, int(thread.name)) for thread in threads]

def merges(thread):
    return (thread / "comm").read_text().startswith("MergeMutate")

async def main():
    store = await ChdbStore.open(Path(sys.argv[1]))
    await store.command("CREATE TABLE merged (n UInt64) ENGINE = MergeTree ORDER BY n")
    for first in range(3):
        await store.insert("merged", ("n",), block([("n", "UInt64", np.arange(first, first + 10))]), 10)
    await store.command("OPTIMIZE TABLE merged FINAL")
    print(priorities(True), max(priorities(False)) == os.getpriority(os.PRIO_PROCESS, os.getpid()))
    await store.close()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority for each thread")
def test_merges_give_way_to_everything_else(tmp_path: Path) -> None:
    # In a process of its own, as a server is: the engine hands threads of a closed store on to the next one.
    done = subprocess.run([sys.executable, "-c", PRIORITIES, str(tmp_path)], capture_output=True, text=True, check=True)
    own = os.getpriority(os.PRIO_PROCESS, os.getpid())
    assert done.stdout == f"{[own + MERGE_NICENESS] * MERGE_THREADS} True\n"


async def test_a_process_holds_one_store(store: ChdbStore, tmp_path: Path) -> None:
    with pytest.raises(StoreBusy, match="open in this process"):
        await ChdbStore.open(tmp_path / "store")
    with pytest.raises(StoreBusy, match="one a process: close it before"):
        await ChdbStore.open(tmp_path / "other")
    assert (await store.query("SELECT 1 AS a"))["a"].to_pylist() == [1]
    await store.close()
    other = await ChdbStore.open(tmp_path / "other")
    await other.close()


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="file/below cannot be used"):
        await ChdbStore.open(tmp_path / "file" / "below")


async def test_databases_are_apart(tmp_path: Path) -> None:
    store = await ChdbStore.open(tmp_path, database="first")
    await store.command("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    await store.insert("t", ["n"], numbers(0, 3), 3)
    await store.close()
    store = await ChdbStore.open(tmp_path, database="second")
    with pytest.raises(StoreInvalid, match="t"):
        await store.query("SELECT n FROM t")
    await store.close()
    with pytest.raises(StoreInvalid, match="database"):
        await ChdbStore.open(tmp_path, database="x; DROP DATABASE first")


async def test_settings_reach_every_connection(tmp_path: Path) -> None:
    store = await ChdbStore.open(tmp_path, query_threads=2, settings={"max_threads": "1"})
    requested = "SELECT getSetting('max_threads') AS n"
    responses = await asyncio.gather(*(store.query(requested) for _ in range(6)))
    assert [response["n"].to_pylist() for response in responses] == [[1]] * 6
    await store.close()
    with pytest.raises(StoreError, match="no_such_setting"):
        await ChdbStore.open(tmp_path, settings={"no_such_setting": "1"})
    store = await ChdbStore.open(tmp_path)  # the failed opening held on to nothing
    await store.close()


async def test_the_engine_is_bounded_and_writes_no_logs_of_its_own(store: ChdbStore) -> None:
    limits = (await store.query("SELECT name, value FROM system.server_settings")).to_pylist()
    memory = int(next(row["value"] for row in limits if row["name"] == "max_server_memory_usage"))
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory <= total // 2
    logs = (
        "SELECT count() AS n FROM system.tables WHERE database = 'system' AND name LIKE '%\\\\_log' AND total_rows > 0"
    )
    assert (await store.query(logs))["n"].to_pylist() == [0]


def test_limits_fit_into_each_other() -> None:
    memory_bytes = 8 << 30
    query = query_limits(memory_bytes)
    assert int(query["max_bytes_before_external_sort"]) < int(query["max_memory_usage"])
    assert int(query["max_memory_usage"]) < int(engine_options(memory_bytes)["max_server_memory_usage"])


async def test_closing_waits_for_the_insert_that_runs(tmp_path: Path) -> None:
    store = await ChdbStore.open(tmp_path)
    await store.command("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    inserting = asyncio.create_task(store.insert("t", ["n"], numbers(0, ROWS), ROWS))
    await asyncio.sleep(0)
    await store.close()
    await inserting
    store = await ChdbStore.open(tmp_path)
    assert (await store.query("SELECT count() AS n FROM t"))["n"].to_pylist() == [ROWS]
    await store.close()


async def test_a_damaged_part_is_an_error_and_no_silent_loss(tmp_path: Path) -> None:
    """The tables' settings see to that: by default the engine would put the part aside and go on."""
    directory = tmp_path / "store"
    store = await ChdbStore.open(directory)
    await migrate(store)
    row = {"part": 0, "offset": 1, "item": 0, "key": "k", "cause": "c", "detail": "d", "body": "b", "at": 0}
    await store.insert("quarantine", column_names("quarantine"), encode_rows("quarantine", [row]), 1)
    paths = await store.query("SELECT path FROM system.parts WHERE active AND table = 'quarantine'")
    await store.close()
    for file in Path(paths["path"][0].as_py()).iterdir():
        file.write_bytes(b"")
    with pytest.raises(StoreCorrupt, match=r"a table are damaged.* from the log"):
        await quarantined(directory)


async def quarantined(directory: Path) -> int:
    """Open the store, count the rows of a table, close."""
    store = await ChdbStore.open(directory)
    try:
        return int((await store.query("SELECT count() AS n FROM quarantine"))["n"][0].as_py())
    finally:
        await store.close()
