"""Sweeps that are deleted, over the fold and the tables that they end in."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest

from kit.query import tables
from kit.query.entities import FoldingRecorder, context_of
from kit.query.service import CountingStore, Service
from runstream_ingest.assets.local import LocalAssets
from runstream_protocols.kit.errors import Refused
from runstream_protocols.sweeps.asking import ask
from runstream_protocols.sweeps.state import TRIAL, Sweep, SweepSide, delete_sweep, given_to, open_sweep, trial_name

pytestmark = pytest.mark.store

PLACE = ("w", "p")
CONFIG = {"space": {"x": [1, 2, 3]}, "metric": "loss", "method": "grid"}


@pytest.fixture
def side(tmp_path: Any) -> Iterator[SweepSide]:
    store = tables.open_store(tmp_path / "store")
    recorder = FoldingRecorder(Service(store, CountingStore(store), LocalAssets(tmp_path / "assets")))
    yield SweepSide(cast(Any, recorder), cast(Any, None), context_of(recorder, "w"))
    asyncio.run(store.close())


async def taken(side: SweepSide, sweep: Sweep, token: str) -> int | None:
    trial, _ = await ask(side, sweep, token)
    return None if trial is None else trial.number


async def test_a_deleted_sweep_gives_nothing_and_its_name_is_free(side: SweepSide) -> None:
    old = await open_sweep(side, PLACE, "s", CONFIG)
    assert [await taken(side, old, token) for token in "ab"] == [0, 1]
    other = await side.entities.create(PLACE, "variable", "s/000000", {})
    assert [await delete_sweep(side, PLACE, "s") for _ in range(2)] == [True, False]
    assert await side.entities.list(PLACE, "variable") == [other], "what others keep below the name stays"
    with pytest.raises(Refused, match="there is no sweep 's'"):
        await ask(side, old, "c")
    new = await open_sweep(side, PLACE, "s", CONFIG | {"metric": "acc"})
    with pytest.raises(Refused, match="there is no sweep 's'"):
        await ask(side, old, "c")
    assert [await taken(side, new, token) for token in "abcd"] == [0, 1, 2, None]


async def test_a_trial_that_another_gateway_gave_meanwhile_is_none_of_the_next_sweep(side: SweepSide) -> None:
    old = await open_sweep(side, PLACE, "s", CONFIG)
    await delete_sweep(side, PLACE, "s")
    late = {"sweep": old.entity.id, "values": {"x": 1}, "run": "r", "attempt": 1, "ask": "a", "at_us": 0}
    await side.entities.create(PLACE, TRIAL, trial_name(old, 1), late | {"lost_runs": []})
    new = await open_sweep(side, PLACE, "s", CONFIG)
    assert await given_to(side, new) == []
    assert [await taken(side, new, token) for token in "abcd"] == [0, 1, 2, None]
