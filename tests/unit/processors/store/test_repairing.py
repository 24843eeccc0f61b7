"""The embedded server's store finds out that the engine lost a write, and makes room for tables that are whole."""

import asyncio
import os
import resource
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from runstream_processors.store import chdb
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.engine import memory_file
from runstream_processors.store.repairing import SelfRepairingStore
from runstream_processors.store.tables import column_names, encode_rows
from runstream_service.store import StoreCorrupt, StoreUnavailable

pytestmark = pytest.mark.store

ROW = {"key": "k", "part": 0, "offset": 1, "writer": "w", "seq": 1, "at": 1, "type": "t", "body": "x"}
BLOCK = encode_rows("events", [ROW])
ASIDE = "store.damaged-20260203T040506"


async def insert(store: SelfRepairingStore | ChdbStore) -> None:
    await store.insert("events", column_names("events"), BLOCK, 1)


async def rows(store: SelfRepairingStore) -> int:
    return int((await store.query("SELECT count() AS n FROM events"))["n"][0].as_py())


async def opened(folder: Path, whole_log: bool = True) -> SelfRepairingStore:
    async def reaches_back() -> bool:
        return whole_log

    return await SelfRepairingStore.open(
        folder / "store", reaches_back=reaches_back, clock=lambda: datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    )


@contextmanager
def no_room() -> Iterator[None]:
    """No file of this process may have a byte: to the engine this is a disk that is full in the middle of an insert."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def full_after_the_block(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The block is still written for the engine; then there is no room."""

    @contextmanager
    def then_full(pieces: Iterable[bytes | memoryview]) -> Iterator[str]:
        with memory_file(pieces) as path, no_room():
            yield path

    with monkeypatch.context() as patch:
        patch.setattr(chdb, "memory_file", then_full)
        yield


async def lose_a_write(store: SelfRepairingStore | ChdbStore) -> None:
    with pytest.raises(StoreCorrupt, match=r"the engine lost [0-9]+ writes to its files"):
        await insert(store)


@contextmanager
def watched(store: SelfRepairingStore) -> Iterator[None]:
    watch = asyncio.create_task(store.watch(look_every_s=0.01))
    try:
        yield
    finally:
        watch.cancel()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not within a minute")


async def insert_when_mended(store: SelfRepairingStore) -> None:
    for _ in range(6000):
        try:
            return await insert(store)
        except (StoreCorrupt, StoreUnavailable):
            await asyncio.sleep(0.01)
    raise AssertionError("not within a minute")


async def test_an_insert_whose_files_are_empty_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await opened(tmp_path)
    with full_after_the_block(monkeypatch):
        await lose_a_write(store)
    with pytest.raises(StoreUnavailable, match="the engine lost writes, the store will be opened anew"):
        await store.query("SELECT body FROM events")
    await lose_a_write(store)  # the next one too, though there is room: what was lost is still lost
    await store.close()


async def test_tables_that_are_damaged_while_it_runs_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(tmp_path)
    with full_after_the_block(monkeypatch):
        await lose_a_write(store)
    with watched(store):
        await insert_when_mended(store)
        assert await rows(store) == 1
    await store.close()
    assert (tmp_path / ASIDE).exists()


async def test_a_write_that_was_lost_without_damage_costs_nothing(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await insert(store)
    with no_room():
        await store.query("SELECT 1 AS one")
        with pytest.raises(StoreCorrupt, match="lost"):
            await store.command(f"INSERT INTO FUNCTION file('{tmp_path / 'elsewhere.csv'}') SELECT 1")
    with watched(store):
        await insert_when_mended(store)
        assert await rows(store) == 2
    await store.close()
    assert not (tmp_path / ASIDE).exists()


def damage(folder: Path) -> None:
    for part in (folder / "store" / "engine" / "store").glob("*/*/all_*"):
        os.truncate(part / "data.bin", 0)


async def test_a_damaged_store_is_set_aside_and_nothing_of_it_is_removed(tmp_path: Path) -> None:
    for again in ("", ".2"):
        store = await opened(tmp_path)
        await insert(store)
        await store.close()
        damage(tmp_path)
        store = await opened(tmp_path)
        assert await rows(store) == 0
        await store.close()
        assert list((tmp_path / f"{ASIDE}{again}").glob("engine/store/*/*/all_*"))


async def test_a_damaged_store_stays_if_the_log_has_lost_its_beginning(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await insert(store)
    await store.close()
    damage(tmp_path)
    with pytest.raises(StoreCorrupt, match=r"Move that directory away.*the log does not reach back to its beginning"):
        await opened(tmp_path, whole_log=False)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


class Disk(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture
def free_bytes(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How much room the store sees; 100 GiB, of which it keeps 256 MiB in reserve."""
    seen = {"free": 50 * 1024**3}

    def usage(_: Any) -> Disk:
        return Disk(100 * 1024**3, 0, seen["free"])

    monkeypatch.setattr(shutil, "disk_usage", usage)
    return seen


async def test_a_damaged_store_stays_if_there_is_no_room_for_another(
    tmp_path: Path, free_bytes: dict[str, int]
) -> None:
    store = await opened(tmp_path)
    await insert(store)
    await store.close()
    damage(tmp_path)
    free_bytes["free"] = 10
    with pytest.raises(StoreUnavailable, match=r"is damaged and can be made again .* and 10 are free: make room"):
        await opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


async def test_a_full_disk_is_read_from_until_there_is_room_to_mend(
    tmp_path: Path, free_bytes: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await opened(tmp_path)
    with full_after_the_block(monkeypatch):
        await lose_a_write(store)
    with watched(store):
        free_bytes["free"] = 0
        await asyncio.sleep(0.5)
        assert (await store.query("SELECT 1 AS one")).to_pylist() == [{"one": 1}]
        assert not (tmp_path / ASIDE).exists()
        free_bytes["free"] = 50 * 1024**3
        await insert_when_mended(store)
    await store.close()
    assert (tmp_path / ASIDE).exists()


async def test_a_disk_that_is_nearly_full_takes_no_inserts_and_no_merges(
    tmp_path: Path, free_bytes: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []
    command = ChdbStore.command

    async def noted(store: ChdbStore, sql: str) -> None:
        commands.append(sql)
        await command(store, sql)

    store = await opened(tmp_path)
    monkeypatch.setattr(ChdbStore, "command", noted)
    reserve_bytes = 256 * 1024**2
    with watched(store):
        free_bytes["free"] = reserve_bytes - 1
        with pytest.raises(StoreUnavailable, match=f"NOT_ENOUGH_SPACE: {reserve_bytes - 1} bytes are free"):
            await insert(store)
        await until(lambda: commands == ["SYSTEM STOP MERGES"])
        free_bytes["free"] = reserve_bytes + 10_000
        await insert(store)
        await asyncio.sleep(0.1)
        assert commands == ["SYSTEM STOP MERGES"]
        free_bytes["free"] = 2 * reserve_bytes
        await until(lambda: commands == ["SYSTEM STOP MERGES", "SYSTEM START MERGES"])
        assert await rows(store) == 1
    await store.close()
