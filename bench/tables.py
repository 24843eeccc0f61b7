"""Measures designs of the table `points` on real shapes of data: `python bench/tables.py [--points M] [--json FILE]`.

Two shapes of many inserts (8 runs x 10 metrics, 1,000 runs x 100 metrics) go into the shipped table and into others
that differ in one thing each; then one series of 10 M points is drawn from the roll-up and by scanning. CPU is that
of the whole process, all threads. Machines differ: compare figures of one run with each other, not across runs.
"""

import argparse
import asyncio
import json
import re
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
import numpy as np
import pyarrow as pa

from runstream_model.columns import Coded, ColumnData
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.maintenance import ROLL_UP, complete_roll_up
from runstream_processors.store.migrate import shipped
from runstream_processors.store.native import block
from runstream_processors.store.tables import TABLES, column_names
from runstream_service.store import Block

START_US: Final = 1_760_000_000_000_000
POINTS: Final = {name: TABLES["points"][name] for name in column_names("points")}


@dataclass(frozen=True, slots=True)
class Shape:
    """`rows` calls of log() of each run go into one insert."""

    runs: int
    metrics: int
    rows: int

    @property
    def points(self) -> int:
        """Of one insert."""
        return self.runs * self.metrics * self.rows


SHAPES: Final = {"8 runs x 10 metrics": Shape(8, 10, 12_500), "1,000 runs x 100 metrics": Shape(1000, 100, 10)}
LONG: Final = Shape(1, 1, 1_000_000)


def inserts(shape: Shape, count: int, seed: int = 7) -> Iterator[dict[str, ColumnData]]:
    """`count` blocks as the worker makes them: ordered by run, metric and step.

    Metrics alternate between float32-origin noise, smooth float64, and shares of 128 (an accuracy). A run logs every
    2 ms +- jitter of its own clock in nanoseconds, which the fold rounds down to microseconds.
    """
    rng = np.random.default_rng(seed)
    runs = tuple(f"run-{i:05d}-{rng.integers(1 << 40):010x}" for i in range(shape.runs))
    metrics = tuple(sorted(f"train/layer_{i}/loss" for i in range(shape.metrics)))
    writers = rng.integers(0, 1 << 63, shape.runs).astype(np.uint64)
    clock_ns = np.full(shape.runs, START_US * 1000) + rng.integers(0, 10**9, shape.runs)
    for number in range(count):
        step = np.arange(number * shape.rows, (number + 1) * shape.rows)
        at_ns = clock_ns[:, None] + np.cumsum(rng.gamma(4.0, 500_000.0, (shape.runs, shape.rows)), axis=1).astype("i8")
        clock_ns = at_ns[:, -1]
        # A frame has at most 250 rows; frames of the runs of a partition take turns in the log.
        frames = -(-shape.rows // 250)
        order = np.arange(shape.rows) // 250 * shape.runs
        offset = number * frames * shape.runs + order + rng.permutation(shape.runs)[:, None]
        yield {
            "run": Coded(runs, np.repeat(np.arange(shape.runs, dtype=np.uint16), shape.metrics * shape.rows)),
            "metric": Coded(
                metrics, np.tile(np.repeat(np.arange(shape.metrics, dtype=np.uint8), shape.rows), shape.runs)
            ),
            "step": np.tile(step, shape.runs * shape.metrics),
            "at": np.repeat(at_ns // 1000, shape.metrics, axis=0).reshape(-1),
            "value": _values(rng, shape, step),
            "writer": np.repeat(writers, shape.metrics * shape.rows),
            "part": np.repeat(np.arange(shape.runs) % 8, shape.metrics * shape.rows).astype(np.uint16),
            "offset": np.repeat(offset, shape.metrics, axis=0).reshape(-1).astype(np.uint64),
        }


def _values(rng: np.random.Generator, shape: Shape, step: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    values = np.empty((shape.runs, shape.metrics, shape.rows))
    decay = np.exp(-step / 100_000)
    noise = rng.standard_normal(values.shape, dtype=np.float32) * np.float32(0.1)
    values[:, 0::3] = (decay.astype(np.float32) + noise[:, 0::3]).astype(np.float64)
    values[:, 1::3] = 5e-4 * (1 + np.cos(step / 30_000))
    values[:, 2::3] = np.round(np.clip(1 - decay + noise[:, 2::3] / 5, 0, 1) * 128) / 128
    return values.reshape(-1)


_PROJECTION: Final = re.compile(r"(?:\n\s*--[^\n]*)*\n\s*PROJECTION \w+\s*\(.*?\n    \)", re.DOTALL)
_ADDED: Final = re.compile(r"ALTER TABLE points ADD PROJECTION IF NOT EXISTS (.*)", re.DOTALL)


def shipped_points() -> str:
    """A CREATE TABLE of points with its present projection."""
    statements = [text for migration in shipped() for text in migration.statements()]
    created = next(text for text in statements if re.match(r"CREATE TABLE IF NOT EXISTS points\b", text))
    added = [found[1] for text in statements if (found := _ADDED.match(text))][-1].replace("\n)", "\n    )")
    changed, count = _PROJECTION.subn(lambda _: f"\n    PROJECTION {added}", created)
    assert count == 1
    return changed


def designs() -> dict[str, str]:
    """Name -> CREATE TABLE. Each differs from the shipped one in what its name says."""
    ours = shipped_points()

    def codec(column: str, codecs: str) -> str:
        changed = re.sub(rf"(\n\s+{column}\s+[^\n]*?)(CODEC\(.*\))?,\n", rf"\1 CODEC({codecs}),\n", ours, count=1)
        assert changed != ours, column
        return changed

    no_projection = re.sub(f",{_PROJECTION.pattern}", "", ours, flags=re.DOTALL)
    integers = ours.replace("run     LowCardinality(String)", "run UInt64").replace(
        "metric  LowCardinality(String)", "metric UInt32"
    )
    return {
        "shipped": ours,
        "value: Gorilla, LZ4": codec("value", "Gorilla, LZ4"),
        "value: ZSTD": codec("value", "ZSTD(1)"),
        "at: DoubleDelta, ZSTD": codec("at", "DoubleDelta, ZSTD(1)"),
        "step: DoubleDelta, ZSTD": codec("step", "DoubleDelta, ZSTD(1)"),
        "offset: DoubleDelta, ZSTD": codec("offset", "DoubleDelta, ZSTD(1)"),
        "key with time": ours.replace("ORDER BY (run, metric, step)", "ORDER BY (run, metric, step, at)"),
        "integer keys": integers,
        "granule of 2,048 rows": f"{ours}, index_granularity = 2048",
        "no roll-up": no_projection,
        "roll-up in inserts": _without_setting(ours, "materialize_projections_on_insert"),
        "with statistics": _without_setting(ours, "auto_statistics_types"),
        "without fsync": _without_setting(ours, "fsync_after_insert"),
        "vertical merges": f"{ours}, vertical_merge_algorithm_min_columns_to_activate = 1",
        "no index of positions": re.sub(r"\n\s*INDEX position[^\n]*", "", ours),
    }


def _without_setting(create: str, name: str) -> str:
    """The statement with a setting back at the engine's default."""
    changed = re.sub(rf"(SETTINGS |,\s*){name} = [^,]+,?", r"\1", create)
    assert changed != create, name
    return re.sub(r",\s*,|,\s*\Z", lambda found: "," if found.group().count(",") > 1 else "", changed)


@dataclass(slots=True)
class Cost:
    wall_s: float = 0.0
    cpu_s: float = 0.0


class Meter:
    """Adds what happens inside to a cost."""

    def __init__(self, cost: Cost) -> None:
        self.cost = cost

    def __enter__(self) -> None:
        self._began = time.perf_counter(), _cpu_s()

    def __exit__(self, *_: object) -> None:
        self.cost.wall_s += time.perf_counter() - self._began[0]
        self.cost.cpu_s += _cpu_s() - self._began[1]


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def encoded(columns: Mapping[str, ColumnData], kinds: Mapping[str, str]) -> Block:
    data = {
        name: value.codes if isinstance(value, Coded) and "Int" in kinds[name] else value
        for name, value in columns.items()
    }
    return block([(name, kinds[name], data[name]) for name in columns])


def as_arrow(columns: Mapping[str, ColumnData]) -> pa.Table:
    """The same rows for `insert_arrow`: names as Arrow dictionaries, times as timestamps."""
    arrays = {}
    for name, data in columns.items():
        if isinstance(data, Coded):
            arrays[name] = pa.DictionaryArray.from_arrays(pa.array(data.codes), pa.array(data.dictionary))
        elif name == "at":
            arrays[name] = pa.array(data, pa.timestamp("us", tz="UTC"))
        else:
            arrays[name] = pa.array(data)
    return pa.table(arrays)


async def rows_of(store: ChdbStore, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await store.query(sql, parameters)).to_pylist()
    return rows


async def read_cost(store: ChdbStore, sql: str, repeats: int = 5, **parameters: Any) -> Cost:
    """The least of some repeats, wall and CPU each."""
    costs = []
    for _ in range(repeats):
        costs.append(Cost())
        with Meter(costs[-1]):
            await store.query(sql, parameters)
    return Cost(min(cost.wall_s for cost in costs), min(cost.cpu_s for cost in costs))


async def table_bytes(store: ChdbStore, table: str, points: int) -> dict[str, float]:
    """Bytes a point by column, and `all` of the table's files with marks, indexes and projection."""
    sql = """
        SELECT column, sum(column_data_compressed_bytes) AS size FROM system.parts_columns
        WHERE active AND database = currentDatabase() AND table = {table:String} GROUP BY column ORDER BY column
    """
    sizes = {row["column"]: round(row["size"] / points, 3) for row in await rows_of(store, sql, table=table)}
    whole = """
        SELECT sum(bytes_on_disk) AS size FROM system.parts
        WHERE active AND database = currentDatabase() AND table = {table:String}
    """
    return {**sizes, "all": round((await rows_of(store, whole, table=table))[0]["size"] / points, 3)}


async def merge(store: ChdbStore) -> None:
    """Into one part, with its roll-up. A part with it and one without do not merge, so those are completed first."""
    await store.command("OPTIMIZE TABLE points FINAL")
    projections = await rows_of(store, "SELECT name FROM system.projections WHERE table = 'points'")
    if projections and await complete_roll_up(store, older_than_s=0):
        await store.command(f"ALTER TABLE points MATERIALIZE PROJECTION {ROLL_UP} SETTINGS mutations_sync = 1")
        await store.command("OPTIMIZE TABLE points FINAL")


#: 100 runs (or all there are), 10 metrics, 1,000 buckets each (or every step, if there are fewer).
PANEL: Final = """
SELECT run, metric, intDiv(step, {width}) AS bucket, min(step) AS first_step, count() AS points,
       minIf(value, NOT isNaN(value)) AS low, maxIf(value, NOT isNaN(value)) AS high
FROM points
WHERE run IN (SELECT DISTINCT run FROM points ORDER BY run LIMIT 100)
  AND metric IN (SELECT DISTINCT metric FROM points ORDER BY metric LIMIT 10)
GROUP BY run, metric, bucket ORDER BY run, metric, bucket
"""


async def measure_inserts(store: ChdbStore, create: str, shape: Shape, count: int) -> dict[str, Any]:
    """Insert, merge to the end, and look: rates, CPU, bytes, and a panel of 100 runs x 10 metrics."""
    await store.command("DROP TABLE IF EXISTS points SYNC")
    await store.command(create)
    described = await rows_of(store, "SELECT name, type FROM system.columns WHERE table = 'points' ORDER BY position")
    kinds = {row["name"]: row["type"] for row in described}
    encoding, inserting, merging = Cost(), Cost(), Cost()
    for columns in inserts(shape, count):
        with Meter(encoding):
            data = encoded(columns, kinds)
        with Meter(inserting):
            await store.insert("points", tuple(kinds), data, shape.points)
    with Meter(merging):
        await merge(store)
    points = shape.points * count
    width = max(1, shape.rows * count // 1000)
    panel = PANEL.format(width=width)
    key = (await rows_of(store, "SELECT run, metric FROM points LIMIT 1"))[0]
    where = f"run = {{run:{kinds['run']}}} AND metric = {{metric:{kinds['metric']}}}"
    series = f"SELECT step, at, value FROM points WHERE {where}"
    return {
        "insert_points_per_s": round(points / inserting.wall_s),
        "insert_cpu_us_per_point": round(inserting.cpu_s / points * 1e6, 4),
        "encode_cpu_us_per_point": round(encoding.cpu_s / points * 1e6, 4),
        "merge_cpu_us_per_point": round(merging.cpu_s / points * 1e6, 4),
        "bytes_per_point": await table_bytes(store, "points", points),
        "panel_cpu_ms": round((await read_cost(store, panel)).cpu_s * 1e3, 1),
        "one_series_cpu_ms": round((await read_cost(store, series, 5, **key)).cpu_s * 1e3, 1),
    }


async def measure_arrow(store: ChdbStore, path: Path, shape: Shape, count: int) -> dict[str, Any]:
    """`insert_arrow` of the same rows into the shipped table: what we compare ourselves with."""
    await store.command("DROP TABLE IF EXISTS points SYNC")
    await store.command(shipped_points())
    client = clickhouse_connect.get_client(interface="chdb", path=str(path / "engine"), database="runstream")
    cost = Cost()
    for columns in inserts(shape, count):
        table = as_arrow(columns)
        with Meter(cost):
            client.insert_arrow("points", table)
    client.close()
    points = shape.points * count
    return {
        "insert_points_per_s": round(points / cost.wall_s),
        "insert_cpu_us_per_point": round(cost.cpu_s / points * 1e6, 4),
    }


#: A curve in 1,000 buckets: whole buckets of the roll-up, so that it is exact. The scan is the same without it.
VIEW: Final = """
SELECT intDiv(intDiv(step, {width}), {{group:Int64}}) AS bucket, min(step) AS first_step, max(step) AS last_step,
       count() AS points, countIf(isNaN(value)) AS nans,
       minIf(value, NOT isNaN(value)) AS low, maxIf(value, NOT isNaN(value)) AS high
FROM points WHERE run = {{run:String}} AND metric = {{metric:String}} GROUP BY bucket ORDER BY bucket
"""


async def measure_view(store: ChdbStore, width: int, count: int) -> dict[str, Any]:
    """One series of `count` million points in a roll-up of `width` steps: drawn from it, by a scan, read whole."""
    await store.command("DROP TABLE IF EXISTS points SYNC")
    await store.command(shipped_points().replace("256", str(width)))
    cost = Cost()
    for columns in inserts(LONG, count):
        with Meter(cost):
            await store.insert("points", tuple(POINTS), encoded(columns, POINTS), LONG.points)
    await merge(store)
    names = (await rows_of(store, "SELECT any(run) AS run, any(metric) AS metric FROM points"))[0]
    points = count * LONG.points
    names["group"] = max(1, points // width // 1000)
    view = VIEW.format(width=width)
    scan = f"{view} SETTINGS optimize_use_projections = 0"
    rolled, scanned = await read_cost(store, view, **names), await read_cost(store, scan, **names)
    same = (await store.query(view, names)).equals(await store.query(scan, names))
    million = "SELECT step, at, value FROM points WHERE run = {run:String} AND metric = {metric:String}"
    ours = await read_cost(store, f"{million} AND step < 1000000", run=names["run"], metric=names["metric"])
    return {
        "insert_cpu_us_per_point": round(cost.cpu_s / points * 1e6, 4),
        "view_cpu_ms": round(rolled.cpu_s * 1e3, 1),
        "view_wall_ms": round(rolled.wall_s * 1e3, 1),
        "scan_cpu_ms": round(scanned.cpu_s * 1e3, 1),
        "view_share_of_scan_cpu": round(rolled.cpu_s / scanned.cpu_s, 4),
        "exact": same,
        "bytes_per_point": (await table_bytes(store, "points", points))["all"],
        "series_of_1m_wall_ms": round(ours.wall_s * 1e3, 1),
        "series_of_1m_cpu_ms": round(ours.cpu_s * 1e3, 1),
    }


async def measure(directory: Path, count: int, only: Sequence[str], widths: Sequence[int]) -> dict[str, Any]:
    store = await ChdbStore.open(directory)
    results: dict[str, Any] = {"inserts_per_shape": count, "shapes": {}, "views": {}}
    try:
        for label, shape in SHAPES.items():
            found = results["shapes"][label] = {}
            for name, create in designs().items():
                if not only or name in only:
                    found[name] = await measure_inserts(store, create, shape, count)
                    print(f"{label}: {name}: {found[name]}", file=sys.stderr)
            found["insert_arrow into shipped"] = await measure_arrow(store, directory, shape, count)
            print(f"{label}: insert_arrow: {found['insert_arrow into shipped']}", file=sys.stderr)
        for width in widths:
            results["views"][str(width)] = await measure_view(store, width, 10)
            print(f"view, {width} steps: {results['views'][str(width)]}", file=sys.stderr)
    finally:
        await store.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=20, metavar="M", help="million points a shape and design")
    parser.add_argument("--only", nargs="*", default=[], metavar="DESIGN", help="only these designs")
    parser.add_argument("--widths", nargs="*", type=int, default=[256], metavar="STEPS", help="roll-ups to draw from")
    parser.add_argument("--json", type=Path, help="write the figures there instead of to the standard output")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="runstream-bench-"))
    try:
        results = json.dumps(asyncio.run(measure(directory, options.points, options.only, options.widths)), indent=1)
    finally:
        shutil.rmtree(directory)
    if options.json:
        options.json.write_text(results + "\n")
    else:
        print(results)


if __name__ == "__main__":
    main()
