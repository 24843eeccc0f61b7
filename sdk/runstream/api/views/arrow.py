"""Rows as Arrow columns, also where what was logged under one name is of several kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from runstream.api.optional import pyarrow

#: Beyond it a double skips integers.
_MAX_EXACT: Final = 2**53

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_table(names: Sequence[str], rows: Sequence[Mapping[str, Any]], what: str) -> pa.Table:
    """Make a table with these columns; a row without a member has null there. Raises DataPackageMissing; `what` says
    what needed pyarrow."""
    arrow = pyarrow(what)
    columns = [_column(arrow, [row.get(name) for row in rows]) for name in names]
    return arrow.Table.from_arrays(columns, names=list(names))


def pandas_column(pandas: Any, values: list[Any]) -> Any:
    """Make a column of a DataFrame, without turning integers or truth values into doubles for what is missing."""
    kinds = {type(value) for value in values}
    missing = type(None) in kinds
    kinds -= {type(None)}
    if kinds == {int} and missing and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return pandas.array(values, dtype="Int64")
    if kinds == {bool} and missing:
        return pandas.array(values, dtype="boolean")
    if (
        int in kinds
        and any(type(value) is int and abs(value) > _MAX_EXACT for value in values)
        and len(kinds) + missing > 1
    ):
        return pandas.Series(values, dtype=object)
    return pandas.Series(values)


def _column(arrow: Any, values: list[Any]) -> Any:
    if not any(isinstance(value, Mapping) for value in values):
        try:
            return arrow.array(values)
        except (ValueError, TypeError, OverflowError):
            pass  # several kinds under one name, or an integer that no column holds
    return arrow.array([None if value is None else json.dumps(value, ensure_ascii=False) for value in values])
