"""Random runs as rows of the read models, with older states beside the newest that no merge has taken away yet."""

import math
from collections.abc import Iterator
from random import Random
from typing import Any

from kit.oracles.filter_trees import NOW_US, random_run
from kit.oracles.filters import Run
from runstream_model.attributes import json_of, number_of, text_of
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.tables import column_names, encode_rows

KINDS = {"param": "parameter", "other": "other", "env": "environment"}
Rows = dict[str, list[dict[str, Any]]]


def rows_of_run(run: Run, offset: int = 1) -> Rows:
    """One state of everything that a run has, from the record at `offset`."""
    place = {"part": 0, "offset": offset}
    state = {
        **run.texts,
        **{f"{name}_at": at for name, at in run.times.items()},
        **run.flags,
        **place,
        "run": run.id,
        "tags": run.tags,
        "links": [],
        "points_dropped": 0,
        "state": "{}",
    }
    summaries: list[dict[str, Any]] = [
        {
            "run": run.id,
            "metric": name,
            "count": int(values["count"]),
            "nan_count": 0,
            "minimum": values["min"],
            "maximum": values["max"],
            "first": values["first"],
            "last": values["last"],
            "total": values["sum"],
            # Where the server does not know it, it counts as NaN.
            "std": None if math.isnan(values["std"]) else values["std"],
            "total_exponent": 0,
            "total_digits": [],
            **{f"{end}_{what}": 0 for end in ("minimum", "maximum", "first", "last") for what in ("step", "at")},
            **place,
        }
        for name, values in run.metrics.items()
    ]
    attributes = [
        attribute_row(run, kind, name, value, offset)
        for kind, values in run.logged.items()
        for name, value in values.items()
    ]
    return {"run_states": [state], "summary_states": summaries, "attribute_states": attributes}


def attribute_row(run: Run, kind: str, name: str, value: Any, offset: int, deleted: bool = False) -> dict[str, Any]:
    return {
        "run": run.id,
        "kind": KINDS[kind],
        "name": name,
        "value": json_of(value),
        "text": text_of(value),
        "number": number_of(value),
        "at": 0,
        "deleted": deleted,
        "part": 0,
        "offset": offset,
    }


def history(run: Run, random: Random) -> Iterator[Rows]:
    """Up to three older states of a run, then its newest: it was elsewhere, had other tags, values and statuses."""
    older = random.randrange(4)
    gone: set[tuple[str, str]] = set()
    for offset in range(1, older + 1):
        before = random_run(run.id, random)
        # A metric never goes away again; a logged value does when somebody deletes it.
        before.metrics = {name: before.metrics[name] for name in before.metrics if name in run.metrics}
        gone |= {(kind, name) for kind, values in before.logged.items() for name in values}
        yield rows_of_run(before, offset)
    newest = rows_of_run(run, older + 1)
    for kind, name in sorted(gone):
        if name not in run.logged[kind]:
            newest["attribute_states"].append(attribute_row(run, kind, name, 1.0, older + 1, deleted=True))
    yield newest


def writer_row(run: Run) -> dict[str, Any]:
    """A writer that never ended and was heard of just now."""
    return {
        "key": run.id,
        "writer": "w",
        "seen": [0, 1],
        "last_seen_at": NOW_US,
        "ended": False,
        "part": 0,
        "offset": 1,
    }


async def insert(store: ChdbStore, pieces: list[Rows]) -> None:
    """All rows in one insert a table."""
    tables: Rows = {}
    for piece in pieces:
        for table, rows in piece.items():
            tables.setdefault(table, []).extend(rows)
    for table, rows in tables.items():
        if rows:
            await store.insert(table, column_names(table, rows[0]), encode_rows(table, rows), len(rows))
