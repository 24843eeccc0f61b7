"""Rows of the read models with sensible values, and a store that takes them: what the query service's tests read."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from kit.stores import open_migrated
from runstream_model.columns import ColumnData
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.tables import column_names, encode_columns, encode_rows

#: 2026-01-31T12:00:00Z in microseconds: when these tests take place.
NOW_US: Final = 1_769_860_800_000_000
SECOND_US: Final = 1_000_000
Row = dict[str, Any]


def open_store(folder: Path) -> ChdbStore:
    """A migrated store; coroutines of it may run in any loop."""

    return asyncio.run(open_migrated(folder, query_threads=2))


async def insert(store: ChdbStore, table: str, rows: Sequence[Row]) -> None:
    if rows:
        await store.insert(table, column_names(table, rows[0]), encode_rows(table, rows), len(rows))


def run(run_id: str, **changes: Any) -> Row:
    return {
        "run": run_id,
        "workspace": "w",
        "project": "p",
        "experiment": "",
        "name": run_id,
        "status": "finished",
        "message": "",
        "user": "ann",
        "host": "node-1",
        "notes": "",
        "tags": [],
        "created_at": NOW_US - 3600 * SECOND_US,
        "started_at": NOW_US - 3600 * SECOND_US,
        "ended_at": NOW_US - 1800 * SECOND_US,
        "updated_at": NOW_US - 1800 * SECOND_US,
        "archived": False,
        "deleted": False,
        "points_dropped": 0,
        "state": "{}",
        "part": 0,
        "offset": 1,
        "group": "",
        "job_type": "",
        "links": [],
        "set_running": False,
    } | changes


def summary(run_id: str, metric: str, value: float = 1.0, **changes: Any) -> Row:
    """Of one point with `value` at step 0."""
    row: Row = {"run": run_id, "metric": metric, "count": 1, "nan_count": int(value != value)}
    for end in ("minimum", "maximum", "first", "last"):
        row |= {end: value, f"{end}_step": 0, f"{end}_at": NOW_US}
    return row | {"total": value, "total_exponent": 0, "total_digits": [], "part": 0, "offset": 1} | changes


def attribute(run_id: str, name: str, value: Any, kind: str = "parameter", **changes: Any) -> Row:
    """As the processors write it: NaN and the infinities are strings in `value` and numbers in `number`."""
    number = float(value) if isinstance(value, int | float) else None
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        text = "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
        encoded = json.dumps(text)
    else:
        encoded = json.dumps(value, ensure_ascii=False)
        text = value if isinstance(value, str) else encoded
    return {
        "run": run_id,
        "kind": kind,
        "name": name,
        "value": encoded,
        "text": text,
        "number": number,
        "at": NOW_US,
        "deleted": False,
        "part": 0,
        "offset": 1,
    } | changes


def asset(run_id: str, asset_id: str, name: str, sha256: str, size_bytes: int, **changes: Any) -> Row:
    return {
        "run": run_id,
        "asset": asset_id,
        "name": name,
        "kind": "asset",
        "sha256": sha256,
        "size_bytes": size_bytes,
        "content_type": "application/octet-stream",
        "step": None,
        "metadata": "{}",
        "at": NOW_US,
        "deleted": False,
        "part": 0,
        "offset": 1,
        "context": "",
        "role": "",
        "location": "",
        "model": "",
    } | changes


def watermark(run_id: str, writer: str, silent_s: float, ended: bool = False) -> Row:
    return {
        "key": run_id,
        "writer": writer,
        "seen": [0, 1],
        "last_seen_at": NOW_US - round(silent_s * SECOND_US),
        "ended": ended,
        "part": 0,
        "offset": 1,
    }


async def insert_points(
    store: ChdbStore,
    run_id: str,
    metric: str,
    steps: np.ndarray[Any, np.dtype[np.int64]],
    values: npt.NDArray[np.number[Any]],
    *,
    at_us: np.ndarray[Any, np.dtype[np.int64]] | None = None,
    offset: int = 1,
    summarised: bool = True,
    epochs: Sequence[int | None] | None = None,
    writers: Sequence[int] | None = None,
    seqs: Sequence[int] | None = None,
) -> None:
    """Points of one series, as one writer logged them where none are given, and the summary that belongs to them (first
    and last by step, as far as reads need it)."""
    n = len(steps)
    columns: dict[str, ColumnData] = {
        "run": [run_id] * n,
        "metric": [metric] * n,
        "step": steps.astype(np.int64),
        "at": NOW_US + steps.astype(np.int64) if at_us is None else at_us,
        "value": values.astype(np.float64),
        "writer": np.full(n, 7, np.uint64) if writers is None else np.array(writers, np.uint64),
        "part": np.zeros(n, np.uint16),
        "offset": np.full(n, offset, np.uint64),
        "seq": np.arange(n, dtype=np.uint64) if seqs is None else np.array(seqs, np.uint64),
    }
    if epochs is not None:
        columns["epoch"] = epochs
    await store.insert("points", column_names("points", columns), encode_columns("points", columns, n), n)
    if summarised:
        ends = {"first_step": int(steps.min()), "last_step": int(steps.max()), "count": n, "offset": offset}
        await insert(store, "summary_states", [summary(run_id, metric, float(values[-1]), **ends)])
