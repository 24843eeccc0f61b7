"""How far series are: first points from steps on, against the same written naively."""

import numpy as np
import pytest

from kit.query.service import Service
from kit.query.tables import NOW_US, insert_points, run
from runstream.events.names import NO_STEP
from runstream_query.repositories import Repositories
from runstream_query.repositories.series import FirstPoint
from runstream_service.access import EVERYTHING
from runstream_service.store import QueryClass


@pytest.mark.parametrize("steps", [[1], [1, 3, 9, 27, 81], [50, 5, 5], [10**6], [2**62], [0, 2**62]])
async def test_first_points_from_steps_on(service: Service, steps: list[int]) -> None:
    random = np.random.default_rng(3)
    data = {name: random.integers(-5, 90, 40) for name in ("a", "b")} | {"c": np.array([NO_STEP, 2, 2**62 + 1])}
    expected = []
    for name, places in data.items():
        await service.insert("run_states", run(name))
        at_us, values = NOW_US + random.permutation(len(places)), random.normal(size=len(places))
        await insert_points(service.store, name, "loss", places, values, at_us=at_us)
        await insert_points(service.store, name, "other", places, values + 1, at_us=at_us)
        rows = sorted(zip(places.tolist(), at_us.tolist(), values.tolist(), strict=True))
        for step in sorted(set(steps)):
            expected += [FirstPoint(name, step, value, at) for place, at, value in rows if place >= step][:1]
    read = Repositories.over(service.store, QueryClass.HEAVY).series
    assert await read.first_points(EVERYTHING, list(data), "loss", steps) == expected
