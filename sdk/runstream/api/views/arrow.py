"""Rows as Arrow columns, also where what was logged under one name is of several kinds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstream.api.optional import pyarrow

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_table(names: Sequence[str], rows: Sequence[Mapping[str, Any]], what: str) -> pa.Table:
    """Make a table with these columns; a row without a member has null there. Raises DataPackageMissing; `what` says
    what needed pyarrow."""
    arrow = pyarrow(what)
    columns = [_column(arrow, [row.get(name) for row in rows]) for name in names]
    return arrow.Table.from_arrays(columns, names=list(names))


def _column(arrow: Any, values: list[Any]) -> Any:
    if not any(isinstance(value, Mapping) for value in values):
        try:
            return arrow.array(values)
        except (ValueError, TypeError, OverflowError):
            pass  # several kinds under one name, or an integer that no column holds
    return arrow.array([None if value is None else json.dumps(value, ensure_ascii=False) for value in values])
