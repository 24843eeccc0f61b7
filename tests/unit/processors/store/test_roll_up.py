"""The roll-up of points: used, exact whatever the inserts and merges, and right about NaN."""

import asyncio
import math
from typing import Any

import numpy as np
import pytest

from runstream_model.columns import Coded, ColumnData
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.maintenance import complete_roll_up
from runstream_processors.store.tables import column_names, encode_columns
from runstream_query.repositories.arguments import Range
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.series import Names, projected_rows

pytestmark = pytest.mark.store

PARAMETERS = Parameters()
VIEW = f"""
SELECT run, metric, bucket, begin AS first_step, end AS last_step, n AS points, nans,
       if(n = nans, nan, low) AS low, if(n = nans, nan, high) AS high, total
FROM ({projected_rows(Names(("r",), ("m",)), Range(), 768, PARAMETERS)}) ORDER BY bucket
"""


async def add(store: ChdbStore, steps: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> None:
    rows = len(steps)
    zeros = np.zeros(rows, np.uint8)
    columns: dict[str, ColumnData] = {
        "run": Coded(["r", "s"], np.arange(rows) % 2),
        "metric": Coded(["m"], zeros),
        "step": steps,
        "at": zeros,
        "value": values,
        **dict.fromkeys(("writer", "part", "offset"), zeros),
    }
    await store.insert("points", column_names("points"), encode_columns("points", columns, rows), rows)


async def view(store: ChdbStore, settings: str = "") -> list[dict[str, Any]]:
    table = await store.query(f"{VIEW} {settings}", PARAMETERS.values)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> bool:
    for one, other in zip(found, wanted, strict=True):
        assert repr(one) == repr(other)  # nan is nan here
    return True


async def parts(store: ChdbStore) -> list[bool]:
    """For each part whether it has the roll-up."""
    rows = await store.query(
        "SELECT notEmpty(projections) AS rolled FROM system.parts WHERE active AND table = 'points'"
        " ORDER BY min_block_number"
    )
    return [bool(rolled) for rolled in rows["rolled"].to_pylist()]


async def test_a_view_is_exact_in_all_mixtures_of_parts(models: ChdbStore) -> None:
    """Against Python, over values without rounding, in random order, before and after merges and in between."""
    rng = np.random.default_rng(5)
    steps = rng.permutation(20_000) - 5_000  # below zero too
    values = rng.integers(-1000, 1000, len(steps)).astype(float)
    values[steps % 7 == 0] = math.nan
    values[(steps >= 768) & (steps < 1536)] = math.nan  # a bucket of nothing but NaN
    values[steps == 5_000], values[steps == 5_001] = math.inf, -math.inf
    inserts = np.array_split(np.arange(len(steps)), 12)
    for number, some in enumerate(inserts):
        await add(models, steps[some], values[some])
        if number in (3, 7):
            await models.command("OPTIMIZE TABLE points FINAL")
    mixed = await parts(models)
    assert True in mixed
    assert False in mixed
    wanted = _buckets(steps, values, inserts)
    assert same(await view(models), wanted)
    assert same(await view(models, "SETTINGS optimize_use_projections = 0"), wanted)
    await models.command("OPTIMIZE TABLE points FINAL")
    assert same(await view(models), wanted)


def _buckets(
    steps: np.ndarray[Any, Any], values: np.ndarray[Any, Any], inserts: list[np.ndarray[Any, Any]]
) -> list[dict[str, Any]]:
    mine = np.concatenate([some[::2] for some in inserts])
    buckets: dict[int, list[tuple[int, float]]] = {}
    for step, value in zip(steps[mine].tolist(), values[mine].tolist(), strict=True):
        width = int(step / 256)  # intDiv rounds towards zero
        buckets.setdefault(int(width / 3), []).append((step, value))
    rows = []
    for bucket, points in sorted(buckets.items()):
        numbers = [value for _, value in points if not math.isnan(value)]
        rows.append(
            {
                "run": "r",
                "metric": "m",
                "bucket": bucket,
                "first_step": min(step for step, _ in points),
                "last_step": max(step for step, _ in points),
                "points": len(points),
                "nans": len(points) - len(numbers),
                "low": min(numbers, default=math.nan),
                "high": max(numbers, default=math.nan),
                "total": sum(numbers, 0.0),
            }
        )
    return rows


async def test_the_roll_up_is_what_is_read(models: ChdbStore) -> None:
    for begin in (0, 50_000):
        await add(models, np.arange(begin, begin + 50_000), np.ones(50_000))
    await models.command("OPTIMIZE TABLE points FINAL")
    explained = await models.query(f"EXPLAIN projections = 1 {VIEW}", PARAMETERS.values)
    text = "\n".join(explained["explain"].to_pylist())
    assert "ReadFromMergeTree (buckets)" in text, text
    assert await view(models, "SETTINGS force_optimize_projection = 1")


async def test_a_part_that_merges_forgot_is_completed(models: ChdbStore) -> None:
    await models.command("SYSTEM STOP MERGES points")
    steps = np.arange(5_000)
    for number in range(3):
        await add(models, steps + 5_000 * number, np.ones(5_000))
    assert await parts(models) == [False] * 3
    assert await complete_roll_up(models, older_than_s=3600) == 0
    before = await view(models)
    await models.command("SYSTEM START MERGES points")
    async with asyncio.timeout(240):
        while not all(await parts(models)):
            await complete_roll_up(models, older_than_s=0)
            await asyncio.sleep(0.2)
    assert same(await view(models), before)
