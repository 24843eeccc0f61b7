"""Tables as CSV: from pandas, polars, pyarrow, and rows of plain Python."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runstream.errors import Invalid


def is_table(value: object) -> bool:
    """Return whether `csv_bytes` takes `value`: a frame, a table with `columns` and `data`, or a list of dicts."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(row, Mapping) for row in value)
    return _is_frame(value) or _is_arrow(value) or _has_data(value)


def csv_bytes(table: Any) -> bytes:
    """Return a table as CSV with a line of titles, UTF-8. Raises Invalid."""
    if _is_frame(table):
        write = getattr(table, "write_csv", None)
        text = write() if callable(write) else table.to_csv(index=not _is_numbered(table))
        return str(text).encode("utf-8", "replace")
    if _is_arrow(table):
        return _csv(table.column_names, zip(*(column.to_pylist() for column in table.columns), strict=True))
    if _has_data(table):
        return _csv(list(table.columns), table.data)
    if not is_table(table):
        raise Invalid(f"a table of type {type(table).__name__}: give a DataFrame, an Arrow table or a list of dicts")
    columns = list(dict.fromkeys(name for row in table for name in row))
    return _csv(columns, ([row.get(name) for name in columns] for row in table))


def _is_frame(value: object) -> bool:
    """A DataFrame or Series of pandas, or a DataFrame of polars."""
    return callable(getattr(value, "to_csv", None)) or callable(getattr(value, "write_csv", None))


def _is_arrow(value: object) -> bool:
    return hasattr(value, "column_names") and callable(getattr(value, "to_pylist", None))


def _has_data(value: object) -> bool:
    """W&B's tables and their like."""
    columns, data = getattr(value, "columns", None), getattr(value, "data", None)
    return isinstance(columns, list | tuple) and isinstance(data, list | tuple)


def _is_numbered(frame: Any) -> bool:
    """Whether the rows of a frame of pandas have no names but their numbers."""
    return type(frame.index).__name__ == "RangeIndex"


def _csv(columns: Sequence[Any], rows: Iterable[Sequence[Any]]) -> bytes:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return target.getvalue().encode("utf-8", "replace")
