"""Measures pages of runs at growing numbers of runs: `python -m bench.pages [--runs N ...] [--json FILE]`.

Every run has 10 metrics and 20 parameters; one run in a hundred belongs to the project `small`, all others to
`large`; a tenth of all states were written again and are in parts of their own, as a living server has them. Each
question goes through the whole query service (HTTP included) and stands beside a bare scan of the columns that it is
about, in the same run. The least of some repeats; CPU is that of the whole process. Compare figures of one run with
each other.
"""

import argparse
import asyncio
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runstream.events.positions import Positions
from runstream.ids import RANDOM_BYTES, uuid7_hex
from runstream_ingest.assets.local import LocalAssets
from runstream_model.columns import Coded, ColumnData
from runstream_model.projection import TEXT
from runstream_model.run_state import RUN_STATES
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.migrate import migrate
from runstream_processors.store.tables import TABLES, encode_columns
from runstream_query import QuerySettings, add_query
from runstream_service.problems import problem_middleware
from runstream_service.visibility import Progress

START_US: Final = 1_760_000_000_000_000
METRICS: Final = tuple(f"m{i}" for i in range(10))
PARAMETERS: Final = tuple(f"q{i:02}" for i in range(20))
STATUSES: Final = ("crashed", "failed", "finished", "running")
#: Runs of one insert: 5,000 runs are 50,000 summaries and 100,000 parameters.
RUNS_PER_INSERT: Final = 5_000
REPEATS: Final = 7
Columns = Mapping[str, ColumnData]
#: Behind the last record of each partition.
END: Final = Positions(dict.fromkeys(range(8), 2**40))
NOW: Final = str(END)

#: Name -> what is asked of GET /api/v1/runs. `{one}` is the id of a run.
QUESTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "newest of a project": {"project": "large"},
    "newest of a small project": {"project": "small"},
    "newest of all projects": {},
    "newest, with all columns": {"project": "large", "columns": "metric.*,param.*"},
    "sorted by a metric": {"project": "large", "sort": "-metric.m3.min"},
    "sorted by a parameter": {"project": "large", "sort": "param.q07"},
    "two tests, 0.5 % match": {"project": "large", "filter": "metric.m3.min < 0.01 and param.q07 < 0.5"},
    "two tests, half match": {"project": "large", "filter": "metric.m3.min < 0.9 and param.q07 < 0.6"},
    "five tests": {
        "project": "large",
        "filter": "metric.m3.min < 0.3 and metric.m4.last > 0.5 and param.q07 < 0.5 and param.q08 > 0.2 "
        'and status = "finished"',
    },
    "no run matches": {"project": "large", "filter": "param.q07 < -1"},
    "a tag": {"project": "large", "filter": '"tag-7" in tags'},
    "one run by id": {"filter": 'id = "{one}"'},
    "newest, and how many": {"project": "large", "count": "true"},
    "as of now, of a small project": {"project": "small", "as_of": NOW},
    "as of now, sorted by a metric": {"project": "small", "as_of": NOW, "sort": "-metric.m3.min", "columns": "param.*"},
}
#: Beside them: statements that only look at the columns.
SCANS: Final = {
    "runs: project, created_at": "SELECT countIf(project = 'large' AND created_at > 0) FROM run_states",
    "summaries: metric, minimum": "SELECT countIf(metric = 'm3' AND minimum < 0.01) FROM summary_states",
    "attributes: name, number": "SELECT countIf(name = 'q07' AND number < 0.5) FROM attribute_states",
}


def run_ids(count: int) -> list[str]:
    """Ids as the client makes them, a second apart: they sort by when a run was."""
    rng = np.random.default_rng(11)
    return [uuid7_hex(START_US // 1000 + number * 1000, rng.bytes(RANDOM_BYTES)) for number in range(count)]


def blocks(ids: list[str], first: int, offset: int) -> Iterator[tuple[str, dict[str, ColumnData], int]]:
    """(table, columns, rows) of the states of the runs `ids`, of which the first is number `first` in time."""
    rng = np.random.default_rng(first * 31 + offset)
    count = len(ids)
    number = np.arange(first, first + count)
    at = START_US + number * 1_000_000
    place = {"part": number % 8, "offset": np.full(count, offset)}
    yield "run_states", {**_run_columns(ids, number, at), **place}, count
    ends = [f"{end}{what}" for end in ("minimum", "maximum", "first", "last") for what in ("", "_step", "_at")]
    rows = count * len(METRICS)
    values = {name: rng.random(rows) if "_" not in name else np.repeat(at, len(METRICS)) for name in ends}
    yield (
        "summary_states",
        {
            "run": np.repeat(np.array(ids, object), len(METRICS)).tolist(),
            "metric": Coded(METRICS, np.tile(np.arange(len(METRICS), dtype=np.uint8), count)),
            "count": np.full(rows, 1000),
            "nan_count": np.zeros(rows, np.uint8),
            **values,
            "total": rng.random(rows),
            "total_exponent": np.zeros(rows, np.uint8),
            "total_digits": [[1, 2, 3]] * rows,
            "std": rng.random(rows).tolist(),
            "squares_exponent": np.zeros(rows, np.uint8),
            "squares_digits": [[1, 2, 3]] * rows,
            **{name: np.zeros(rows, np.uint8) for name in ("first_writer", "first_seq", "last_writer", "last_seq")},
            **{name: np.repeat(column, len(METRICS)) for name, column in place.items()},
        },
        rows,
    )
    yield "watermark_states", _watermark_columns(ids, number, at, offset), count
    rows = count * len(PARAMETERS)
    numbers = rng.random(rows).round(6)
    texts = [repr(value) for value in numbers.tolist()]
    yield (
        "attribute_states",
        {
            "run": np.repeat(np.array(ids, object), len(PARAMETERS)).tolist(),
            "kind": Coded(("parameter",), np.zeros(rows, np.uint8)),
            "name": Coded(PARAMETERS, np.tile(np.arange(len(PARAMETERS), dtype=np.uint8), count)),
            "value": texts,
            "text": texts,
            "number": numbers.tolist(),
            "at": np.repeat(at, len(PARAMETERS)),
            "deleted": np.zeros(rows, np.uint8),
            **{name: np.repeat(column, len(PARAMETERS)) for name, column in place.items()},
        },
        rows,
    )


def _run_columns(ids: list[str], number: Any, at: Any) -> dict[str, ColumnData]:
    count = len(ids)
    empty = {column.name: [""] * count for column in RUN_STATES.stored if column.kind == TEXT}
    status = np.where(number % 50 == 0, 3, np.where(number % 10 == 0, 1, 2)).astype(np.uint8)
    return empty | {
        "run": ids,
        "workspace": Coded(("default",), np.zeros(count, np.uint8)),
        "project": Coded(("large", "small"), (number % 100 == 0).astype(np.uint8)),
        "name": [f"mlp-{n}" for n in number.tolist()],
        "status": Coded(STATUSES, status),
        "user": Coded(("ann", "bob"), (number % 2).astype(np.uint8)),
        "host": Coded(("node-1",), np.zeros(count, np.uint8)),
        "links": [[]] * count,
        "set_running": np.zeros(count, np.uint8),
        "tags": [["sweep", f"tag-{n % 100}"] for n in number.tolist()],
        "created_at": at,
        "started_at": at,
        "ended_at": [None if s == 3 else a + 3_600_000_000 for s, a in zip(status.tolist(), at.tolist(), strict=True)],
        "updated_at": at + 3_600_000_000,
        "archived": np.zeros(count, np.uint8),
        "deleted": np.zeros(count, np.uint8),
        "points_dropped": np.zeros(count, np.uint8),
        "state": [json.dumps({"name": n, "writers": {f"{n:032x}": {"rank": 0}}}) for n in number.tolist()],
    }


def _watermark_columns(ids: list[str], number: Any, at: Any, offset: int) -> dict[str, ColumnData]:
    return {
        "key": ids,
        "writer": [f"{n:032x}" for n in number.tolist()],
        "seen": [[0, 1000]] * len(ids),
        "last_seen_at": at + 3_600_000_000,
        "ended": (number % 50 != 0).astype(np.uint8),
        "part": number % 8,
        "offset": np.full(len(ids), offset),
        "tails": [{}] * len(ids),
    }


async def fill(store: ChdbStore, ids: list[str]) -> None:
    """All runs, and a tenth of them again, a few at a time: those are the newest."""
    offset = 0
    for first in range(0, len(ids), RUNS_PER_INSERT):
        offset += 1
        await _insert(store, ids[first : first + RUNS_PER_INSERT], first, offset)
    again = max(1, len(ids) // 10)
    first = len(ids) - again
    for begin in range(first, len(ids), max(1, again // 20)):
        offset += 1
        await _insert(store, ids[begin : begin + max(1, again // 20)], begin, offset)


async def _insert(store: ChdbStore, ids: list[str], first: int, offset: int) -> None:
    for table, columns, rows in blocks(ids, first, offset):
        ordered = {name: columns[name] for name in TABLES[table]}
        await store.insert(table, list(ordered), encode_columns(table, ordered, rows), rows)


async def merged(store: ChdbStore) -> None:
    """Wait until the engine has merged what it wants to merge by itself, so that its CPU is in no figure."""
    quiet = 0
    while quiet < 3:
        running = (await store.query("SELECT count() AS merges FROM system.merges", {}))["merges"][0].as_py()
        quiet = 0 if running else quiet + 1
        await asyncio.sleep(0.5)


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def cost(work: Callable[[], Awaitable[Any]], repeats: int = REPEATS) -> dict[str, float]:
    """The least of some repeats, wall and CPU each, in milliseconds."""
    walls, cpus = [], []
    for _ in range(repeats):
        began, cpu = time.perf_counter(), _cpu_s()
        await work()
        walls.append(time.perf_counter() - began)
        cpus.append(_cpu_s() - cpu)
    return {"ms": round(min(walls) * 1e3, 1), "cpu_ms": round(min(cpus) * 1e3, 1)}


async def measure(directory: Path, count: int) -> dict[str, Any]:
    """Fill a store with `count` runs and ask every question."""
    store = await ChdbStore.open(directory / "store", query_threads=4)
    try:
        await migrate(store)
        ids = run_ids(count)
        began = time.perf_counter()
        await fill(store, ids)
        await merged(store)
        found: dict[str, Any] = {"fill_s": round(time.perf_counter() - began, 1), "questions": {}, "scans": {}}
        visible = Progress()
        visible.advance(END)
        app = web.Application(middlewares=[problem_middleware()])
        add_query(
            app,
            store=store,
            visibility=visible,
            log=None,
            assets=LocalAssets(directory / "assets"),
            settings=QuerySettings(),
        )
        async with TestClient(TestServer(app, host="127.0.0.1")) as client:
            for name, question in QUESTIONS.items():
                parameters = {key: value.format(one=ids[count // 2]) for key, value in question.items()}
                found["questions"][name] = await cost(lambda parameters=parameters: page(client, parameters))  # type: ignore[misc]
            deep = await cursor_of(client, {"project": "large"}, pages=5)
            behind = {"project": "large", **({"cursor": deep} if deep else {})}
            found["questions"]["the sixth page"] = await cost(lambda: page(client, behind))
        for name, scan in SCANS.items():
            found["scans"][name] = await cost(lambda scan=scan: store.query(scan, {}))  # type: ignore[misc]
        parts = await store.query(
            "SELECT table, count() AS parts, sum(p.rows) AS states FROM system.parts AS p WHERE active AND "
            "database = currentDatabase() AND endsWith(table, '_states') AND p.rows > 0 GROUP BY table ORDER BY table"
        )
        found["tables"] = parts.to_pylist()
    finally:
        await store.close()
    return found


async def page(client: TestClient[Any, Any], parameters: Mapping[str, str]) -> Any:
    async with client.get("/api/v1/runs", params=parameters) as response:
        body = await response.json()
        if response.status != 200:
            raise RuntimeError(f"{parameters} was refused: {body}")
        return body


async def cursor_of(client: TestClient[Any, Any], parameters: Mapping[str, str], pages: int) -> str | None:
    """The cursor behind so many pages; the last one if there are fewer."""
    cursor: str | None = None
    for _ in range(pages):
        body = await page(client, {**parameters, **({"cursor": cursor} if cursor else {})})
        cursor = body["next_cursor"] or cursor
    return cursor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="*", default=[1_000, 10_000, 100_000], metavar="N")
    parser.add_argument("--json", type=Path, help="write the figures there instead of to the standard output")
    options = parser.parse_args()
    results: dict[str, Any] = {}
    for count in options.runs:
        directory = Path(tempfile.mkdtemp(prefix="runstream-bench-"))
        try:
            results[str(count)] = asyncio.run(measure(directory, count))
        finally:
            shutil.rmtree(directory)
        print(f"{count} runs: {json.dumps(results[str(count)])}", file=sys.stderr)
    text = json.dumps(results, indent=1)
    if options.json:
        options.json.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
