"""Which tables of a flush may be on their way together, and which wait for the others."""

import asyncio

from runstream.events.positions import Positions
from runstream_processors.worker.inserts import COMMIT, Insert
from runstream_processors.worker.writing import TableWriter, Written
from runstream_service.store import Block


async def test_states_of_artifacts_wait_for_what_is_made_of_them_and_the_commit_for_all() -> None:
    under_way: set[str] = set()
    seen: dict[str, set[str]] = {}
    done: list[str] = []

    async def insert(block: Insert) -> None:
        under_way.add(block.table)
        await asyncio.sleep(0)
        seen[block.table] = set(under_way)
        await asyncio.sleep(0)
        under_way.remove(block.table)
        done.append(block.table)

    tables = ("events", "artifact_version_states", "artifact_outcomes", "artifact_states", COMMIT)
    visible: list[Positions] = []
    writer = TableWriter(insert, visible.append, at_once=True)
    inserts = [Insert(table, Block(1, ()), 1, {}, {0: 1}) for table in tables]
    await writer.put(Written(inserts, Positions({0: 1})))
    await writer.drain()
    await writer.close()
    assert seen["events"] == {"events", "artifact_version_states", "artifact_outcomes"}
    assert seen["artifact_states"] == {"artifact_states"}
    assert seen[COMMIT] == {COMMIT}
    assert done[-2:] == ["artifact_states", COMMIT]
    assert visible == [Positions({0: 1})]
