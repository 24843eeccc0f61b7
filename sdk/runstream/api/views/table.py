"""Lists of values that become tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from runstream.api.optional import pandas
from runstream.api.views import notebook
from runstream.api.views.arrow import arrow_table, pandas_column

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

View = TypeVar("View")
#: Fields of a value that are no columns of a table: the way back to the server, and the columns themselves.
_HIDDEN: Final = ("api", "columns")


class Table(list[View]):
    """A list of values that becomes a pandas.DataFrame or an Arrow table."""

    #: What an empty list has the columns of, where that is known.
    _kind: ClassVar[type | None] = None

    def __init__(self, items: Iterable[View] = (), more: bool = False) -> None:
        super().__init__(items)
        #: Whether the list goes on behind the `limit` that was given.
        self.more = more

    def __repr__(self) -> str:
        return f"{type(self).__name__}({super().__repr__()})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the first rows as a table."""
        rows = self._shown()
        more = "there are more than the limit that was given" if self.more else ""
        return notebook.table(self._shown_columns(rows), rows, more)

    def _shown(self) -> list[dict[str, Any]]:
        return self.rows()

    def _shown_columns(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        return self._columns(rows)

    def rows(self) -> list[dict[str, Any]]:
        """Return one dictionary an item."""
        return [{name: getattr(item, name) for name in column_names(type(item))} for item in self]

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame with one row an item. Integers and truth values beside missing ones stay what they are
        (Int64, boolean). Raises DataPackageMissing without pandas."""
        rows = self.rows()
        module = pandas(f"{type(self).__name__}.to_pandas")
        names = self._columns(rows)
        columns = {name: pandas_column(module, [row.get(name) for row in rows]) for name in names}
        frame: pd.DataFrame = module.DataFrame(columns, columns=names)
        return frame

    def to_arrow(self) -> pa.Table:
        """Return an Arrow table with one row an item. Texts, numbers, times and lists of them are columns of that type;
        mappings, and what is of several kinds under one name, stand as JSON. Raises DataPackageMissing without pyarrow.
        """
        rows = self.rows()
        return arrow_table(self._columns(rows), rows, f"{type(self).__name__}.to_arrow")

    def _columns(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        own = [] if self._kind is None else column_names(self._kind)
        return list(dict.fromkeys([*own, *(name for row in rows for name in row)]))


def column_names(kind: type) -> list[str]:
    """Return the fields of a dataclass that are columns of a table of them."""
    return [field.name for field in fields(kind) if field.name not in _HIDDEN]
