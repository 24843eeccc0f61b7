"""Requests for trials at several gateways at once, in any interleaving of what they read and append: no trial is given
twice, and never more than the budget."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from runstream_protocols.kit.entities import Entity, EntityChanged, EntityExists, Place
from runstream_protocols.kit.search_turns import SearchTurns
from runstream_protocols.sweeps import asking
from runstream_protocols.sweeps.configs import config_in
from runstream_protocols.sweeps.state import KnownTrial, Sweep

AT = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = ("w", "p")
CONFIG = {"space": {"x": {"min": 1, "max": 7}}, "metric": "loss"}


class Store:
    """Entities as the fold has them: of several that create one name or replace one revision, one succeeds. Each step
    lets others go first, as often as the seed says."""

    def __init__(self, seed: int, dying: set[int], sweep: Entity) -> None:
        self.random = Random(seed)
        self.dying = dying
        self.sweep = sweep
        self.kept: dict[str, Entity] = {}

    async def pause(self) -> None:
        for _ in range(self.random.randrange(4)):
            await asyncio.sleep(0)

    async def find(self, place: Place, kind: str, name: str) -> Entity | None:
        await self.pause()
        return self.sweep if name == self.sweep.name else None

    async def create(self, place: Place, kind: str, name: str, properties: Mapping[str, Any]) -> Entity:
        await self.pause()
        if name in self.kept:
            raise EntityExists(kind, name, self.kept[name])
        made = self.kept[name] = Entity(*place, kind, name, name, 1, dict(properties), AT, AT)
        await self.pause()
        return made

    async def replace(self, entity: Entity, properties: Mapping[str, Any]) -> Entity:
        await self.pause()
        now = self.kept[entity.name]
        if now.revision != entity.revision:
            raise EntityChanged(entity.kind, entity.name, now)
        made = self.kept[entity.name] = Entity(
            *PLACE, entity.kind, entity.name, entity.id, now.revision + 1, dict(properties), AT, AT
        )
        await self.pause()
        return made

    async def trials(self, side: Any, sweep: Sweep) -> list[KnownTrial]:
        await self.pause()
        entities = [self.kept[name] for name in sorted(self.kept)]
        known = [
            KnownTrial(one, number, "lost" if self.is_lost(number, one) else "running", None)
            for number, one in enumerate(entities)
        ]
        await self.pause()
        return known

    def is_lost(self, number: int, one: Entity) -> bool:
        return number in self.dying and one.properties["attempt"] == 1


async def asked(store: Store, sweep: Sweep, gateways: int, workers: int) -> list[KnownTrial]:
    """What all workers got, each of whom asks one of the gateways until none is left; every second request is sent
    twice, but for those whose trial is lost at once."""
    sides = [
        SimpleNamespace(turns=SearchTurns(), entities=store, context=SimpleNamespace(now_us=lambda: 0))
        for _ in range(gateways)
    ]
    got: list[KnownTrial] = []

    async def work(worker: int) -> None:
        for number in range(100):
            side: Any = sides[(worker + number) % gateways]
            trial, _ = await asking.ask(side, sweep, f"token {worker} {number}")
            if trial is None:
                return
            if number % 2 and not store.is_lost(trial.number, trial.entity):
                again, _ = await asking.ask(side, sweep, f"token {worker} {number}")
                assert again is not None
                assert (again.number, again.values) == (trial.number, trial.values)
            got.append(trial)

    await asyncio.gather(*(work(worker) for worker in range(workers)))
    return got


@given(
    seed=st.integers(0, 2**32),
    method=st.sampled_from(["grid", "random"]),
    limit=st.integers(1, 9),
    dying=st.sets(st.integers(0, 6), max_size=3),
    gateways=st.integers(1, 3),
    workers=st.integers(1, 5),
)
def test_each_trial_is_given_once_and_again_where_it_was_lost(
    seed: int, method: str, limit: int, dying: set[int], gateways: int, workers: int
) -> None:
    config = config_in({**CONFIG, "method": method, "max_trials": limit})
    sweep = Sweep(Entity(*PLACE, "sweep", "s", "0" * 32, 1, config.properties, AT, AT), config)
    store = Store(seed, dying, sweep.entity)
    with mock.patch.object(asking, "trials_of", store.trials):
        got = asyncio.run(asked(store, sweep, gateways, workers))
    size = min(limit, 7)
    assert config.limit == size
    lost = {number for number in dying if number < size}
    expected = Counter({(number, 1): 1 for number in range(size)}) + Counter({(number, 2): 1 for number in lost})
    assert Counter((one.number, one.attempt) for one in got) == expected
    values = {one.number: one.values["x"] for one in got}
    assert len(set(values.values())) == size, "no value twice"
