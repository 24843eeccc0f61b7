"""Points and summaries through the real engine: what is loaded goes on as if it had never left memory."""

import math
import random
from pathlib import Path

import pyarrow as pa
import pytest

from kit.oracles.metrics import Delivery, Row, Summary, points, summaries
from kit.recorded.metric_frames import FoldedLog, frame_bytes, point_rows, with_bits
from kit.stores import open_migrated
from runstream_model.summaries import SummaryFold
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.tables import TABLES, column_names, encode_columns

pytestmark = pytest.mark.store

RUNS = ("run-0", "run-1", "run-2")
AWKWARD = (0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, -1e308, 1e-300, 0.1, 1.0)
#: Before 1970, and beyond what DateTime64 can print: kept as numbers all the same.
TIMES_NS = (-1_500, 0, 1_700_000_000_123_456_789, 2**62)


async def test_points_and_summaries_survive_the_store(tmp_path: Path) -> None:
    rng = random.Random(5)
    deliveries = [delivery(offset, rng) for offset in range(12)]
    store = await open_migrated(tmp_path / "store", query_threads=1)
    try:
        for one in deliveries:
            log = FoldedLog()
            log.fold.load(set(RUNS), await store.query("SELECT * FROM summaries"))
            batch = log.apply([(one, frame_bytes(one))])
            columns = batch.columns()
            encoded = encode_columns("points", columns, batch.points)
            await store.insert("points", column_names("points", columns), encoded, batch.points)
            await save(store, log.fold)
        stored = await store.query(f"SELECT run, metric, {', '.join(map(micros, Summary._fields))} FROM summaries")
        kept = await store.query(f"SELECT {', '.join(map(micros, TABLES['points']))} FROM points")
    finally:
        await store.close()
    counted = points(deliveries)
    assert rows(stored) == {(*key, *with_bits(summary)): 1 for key, summary in summaries(counted).items()}
    assert rows(kept) == point_rows(counted)


def delivery(offset: int, rng: random.Random) -> Delivery:
    names = rng.sample(["loss", "acc", "größe", "all nan"], 3)
    first = offset * 5
    made = tuple(
        Row(
            first + i,
            rng.choice([i, -(2**63), 2**63 - 1]),
            rng.choice(TIMES_NS),
            {n: value(n, rng) for n in names},
            rng.choice([None, 0, i, -(2**63) + 1]) if offset % 3 == 0 else None,
        )
        for i in range(5)
    )
    return Delivery(RUNS[offset % 3], "ab" * 16, first, first + 5, made, 1, offset)


def value(name: str, rng: random.Random) -> float:
    return math.nan if name == "all nan" else rng.choice([*AWKWARD, rng.gauss(0, 1), rng.gauss(0, 1)])


def micros(name: str) -> str:
    return f"toUnixTimestamp64Micro({name})" if name == "at" or name.endswith("_at") else name


def rows(table: pa.Table) -> dict[tuple[object, ...], int]:
    found: dict[tuple[object, ...], int] = {}
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        found[with_bits(row)] = found.get(with_bits(row), 0) + 1
    return found


async def save(store: ChdbStore, fold: SummaryFold) -> None:
    columns, count = fold.changed_columns()
    table = "summary_states"
    await store.insert(table, column_names(table, columns), encode_columns(table, columns, count), count)
    fold.mark_saved()
