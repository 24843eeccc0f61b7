"""One insert under a claim, over a real engine: what the look says, and what follows from it."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from kit.stores import open_migrated_as
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.tables import column_names, encode_rows
from runstream_processors.worker.claims import Claim, Outcome, Overtaken, claim_of
from runstream_processors.worker.inserting import ClaimedInserts
from runstream_processors.worker.inserts import COMMIT, Insert
from runstream_service.store import Block, StoreUnavailable

pytestmark = pytest.mark.store

PART = 3


class ForgettingStore(ChdbStore):
    """Takes the tokens of the first `lose` inserts and loses their rows, as an engine does that dies in between."""

    lose = 0

    async def insert(self, table: str, columns: Sequence[str], block: Block, rows: int, *, token: str = "") -> None:
        if self.lose:
            self.lose -= 1
            await super().insert(table, columns, block, rows, token=token)
            await self.command(f"ALTER TABLE {table} DELETE WHERE true SETTINGS mutations_sync = 2")
            return
        await super().insert(table, columns, block, rows, token=token)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ForgettingStore]:
    opened = await open_migrated_as(ForgettingStore, tmp_path)
    yield opened
    await opened.close()


def output(after: int, *offsets: int, part: int = PART) -> Insert:
    rows = [
        {"run": "r", "writer": 1, "seq": o, "at": 0, "stream": "stdout", "text": str(o), "part": part, "offset": o}
        for o in offsets
    ]
    known = {part: after} if after >= 0 else {}
    return Insert("output", encode_rows("output", rows), len(rows), known, {part: max(offsets)})


async def offsets(store: ChdbStore) -> list[int]:
    rows = await store.query("SELECT offset FROM output ORDER BY offset")
    return [int(offset) for offset in rows["offset"].to_pylist()]


async def awake(store: ChdbStore, part: int) -> ClaimedInserts:
    """One that has looked into the table a moment ago, so it does not look before it inserts."""
    insert = ClaimedInserts(store)
    await insert(output(-1, 0, part=part))
    return insert


async def commit(store: ChdbStore, offset: int, tails: dict[str, int]) -> None:
    row = {"key": "", "writer": "", "seen": [], "last_seen_at": 0, "ended": True, "part": PART, "offset": offset}
    await store.insert(COMMIT, column_names(COMMIT), encode_rows(COMMIT, [row | {"tails": tails}]), 1)


async def test_blocks_stand_behind_each_other(store: ForgettingStore) -> None:
    insert = ClaimedInserts(store)
    await insert(output(-1, 0, 4))
    await insert(output(4, 5))
    await insert(output(-1, 2, part=PART + 1))
    assert await offsets(store) == [0, 2, 4, 5]


async def test_of_two_blocks_at_one_place_the_first_is_taken_and_the_other_is_told(
    store: ForgettingStore,
) -> None:
    first, second = await awake(store, 8), await awake(store, 9)
    await first(output(-1, 0, 4))
    await second(output(-1, 0, 4))  # the same block: it is there, whoever wrote it
    with pytest.raises(Overtaken, match=r"output has rows of partition 3 up to 4, and not up to 7"):
        await second(output(-1, 0, 4, 7))
    await first(output(4, 5, 6))
    with pytest.raises(Overtaken):
        await second(output(4, 5))
    assert await offsets(store) == [0, 0, 0, 4, 5, 6]


async def test_a_block_whose_token_outlived_it_is_inserted_again(
    store: ForgettingStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.lose = 2
    await ClaimedInserts(store)(output(-1, 0, 4))
    assert await offsets(store) == [0, 4]
    assert caplog.text.count("output took the block behind 3:-1 and does not have it") == 2


async def test_an_engine_that_loses_every_block_is_no_endless_loop(store: ForgettingStore) -> None:
    store.lose = 100
    with pytest.raises(StoreUnavailable, match=r"took a block 5 times and has none of it"):
        await ClaimedInserts(store)(output(-1, 0))


async def test_rows_that_were_deleted_after_their_commit_were_there(store: ForgettingStore) -> None:
    """What is left must not look like this worker's block, nor like no block at all."""
    other, late = ClaimedInserts(store), await awake(store, 9)
    await other(output(-1, 0, 1))
    await other(output(1, 2, 3))
    await commit(store, 3, {"output": 3})
    await store.command("ALTER TABLE output DELETE WHERE offset != 2 SETTINGS mutations_sync = 2")
    with pytest.raises(Overtaken):
        await late(output(-1, 0, 1, 2))
    await store.command("ALTER TABLE output DELETE WHERE true SETTINGS mutations_sync = 2")
    with pytest.raises(Overtaken):
        await late(output(-1, 0, 1, 2))
    assert await offsets(store) == []


async def test_a_worker_that_slept_looks_before_it_inserts(store: ForgettingStore) -> None:
    now_s = 0.0
    slept = ClaimedInserts(store, lambda: now_s)
    await slept(output(-1, 0))
    await store.insert("output", column_names("output"), output(0, 1).block, 1)  # its token is long forgotten
    now_s = 60.0
    with pytest.raises(Overtaken, match="up to 1, this worker knows of 0"):
        await slept(output(0, 1))
    assert await offsets(store) == [0, 1]


def test_what_the_end_of_a_table_means() -> None:
    claim = Claim(PART, 4, 9)
    assert [claim.outcome(end) for end in (9, 4, 3, 8, 10)] == [
        Outcome.WRITTEN,
        Outcome.ABSENT,
        *[Outcome.OVERTAKEN] * 3,
    ]
    assert claim.again().token != claim.token == Claim(PART, 4, 5).token
    assert claim_of({}, {PART: 0}).after == -1
    with pytest.raises(ValueError, match="one partition"):
        claim_of({}, {0: 1, 1: 1})
    with pytest.raises(ValueError, match="cannot stand behind"):
        Claim(PART, 4, 4)
