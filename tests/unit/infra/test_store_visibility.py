"""How far the read models are, asked of a store that others write, and that is away at times."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import pyarrow as pa

from runstream.events.positions import Positions
from runstream_infra.cluster.visibility import StoreVisibility
from runstream_processors.store.resume import committed
from runstream_service.store import StoreUnavailable


class Commits:
    """A store that has commit rows and nothing else."""

    def __init__(self) -> None:
        self.offsets: dict[int, int] = {}
        self.away = False
        self.requested = 0

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None, **of: Any) -> pa.Table:
        self.requested += 1
        if self.away:
            raise StoreUnavailable("invented: nobody answers")
        rows = [{"part": p, "last": o, "tables": [], "offsets": []} for p, o in self.offsets.items()]
        return pa.Table.from_pylist(rows) if rows else pa.table({"part": pa.array([], pa.uint16())})


async def test_who_waits_is_answered_as_soon_as_it_is_visible() -> None:
    store = Commits()
    visibility = StoreVisibility(partial(committed, store))
    visibility.start()
    waiting = asyncio.create_task(visibility.wait_for(Positions.after(1, 7), 120.0))
    await asyncio.sleep(0.15)
    assert not waiting.done()
    store.offsets = {0: 3, 1: 7}
    assert await waiting
    assert visibility.visible() == Positions({0: 4, 1: 8})
    assert not await visibility.wait_for(Positions.after(0, 4), 0.1)
    await visibility.close()


async def test_nobody_waiting_costs_a_question_a_second_at_most() -> None:
    store = Commits()
    visibility = StoreVisibility(partial(committed, store))
    began_s = time.monotonic()
    visibility.start()
    await asyncio.sleep(0.5)
    assert 1 <= store.requested <= 1 + int(time.monotonic() - began_s)
    await visibility.close()


async def test_a_store_that_is_away_takes_nothing_back() -> None:
    store = Commits()
    store.offsets = {0: 3}
    visibility = StoreVisibility(partial(committed, store))
    visibility.start()
    assert await visibility.wait_for(Positions.after(0, 3), 120.0)
    assert (visibility.visible(), visibility.trouble) == (Positions.after(0, 3), None)
    store.away = True
    assert not await visibility.wait_for(Positions.after(0, 4), 0.2)
    assert (visibility.visible(), visibility.trouble) == (Positions.after(0, 3), "invented: nobody answers")
    store.away, store.offsets = False, {0: 5}
    assert await visibility.wait_for(Positions.after(0, 4), 120.0)
    assert visibility.trouble is None
    await visibility.close()


async def test_a_store_that_is_found_later_is_queried_from_then_on() -> None:
    visibility = StoreVisibility()
    visibility.start()
    assert visibility.trouble is not None
    store = Commits()
    store.offsets = {0: 1}
    visibility.committed = partial(committed, store)
    assert await visibility.wait_for(Positions.after(0, 1), 120.0)
    await visibility.close()
