"""From tables of points and buckets to the curves of a JSON response."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runstream_query.responses import Curve, Envelope

_VALUES_AT_ONCE: Final = 8_192


def parts_of(table: pa.Table) -> Iterator[tuple[str, str, pa.Table]]:
    """Iterate over (run, metric, its rows) of a table that is ordered by run and metric."""
    if not table.num_rows:
        return
    runs, metrics = (table.column(name).combine_chunks() for name in ("run", "metric"))
    if pa.types.is_dictionary(runs.type):  # of a single series
        yield runs[0].as_py(), metrics[0].as_py(), table
        return
    changes = pc.or_(pc.not_equal(runs[1:], runs[:-1]), pc.not_equal(metrics[1:], metrics[:-1]))
    begins = [0, *(np.flatnonzero(changes.to_numpy(zero_copy_only=False)) + 1).tolist(), table.num_rows]
    for begin, end in pairwise(begins):
        yield runs[begin].as_py(), metrics[begin].as_py(), table.slice(begin, end - begin)


def values_of(column: pa.ChunkedArray) -> list[Any]:
    """Return the values as `to_pylist` does, in slices: a million at once would hold the interpreter for half a
    second."""
    if len(column) <= _VALUES_AT_ONCE:
        return column.to_pylist()  # type: ignore[no-any-return]
    values: list[Any] = []
    for begin in range(0, len(column), _VALUES_AT_ONCE):
        values.extend(column.slice(begin, _VALUES_AT_ONCE).to_pylist())
    return values


def curves_of(table: pa.Table) -> list[Curve]:
    """Return the points of a table as the curves of a JSON response."""
    return [
        Curve(
            run=run,
            metric=metric,
            steps=values_of(rows.column("step")),
            at=values_of(rows.column("at")),
            values=values_of(rows.column("value")),
            writers=[f"{writer:016x}" for writer in values_of(rows.column("writer"))],
            epochs=values_of(rows.column("epoch")) if "epoch" in rows.column_names else None,
        )
        for run, metric, rows in parts_of(table)
    ]


def envelopes_of(table: pa.Table) -> list[Envelope]:
    """Return the buckets of a table as the envelopes of a JSON response."""
    columns = [name for name in table.column_names if name not in ("run", "metric")]
    return [
        Envelope(run=run, metric=metric, **{name: values_of(rows.column(name)) for name in columns})
        for run, metric, rows in parts_of(table)
    ]
