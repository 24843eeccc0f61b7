"""The read models' tables: how rows become blocks for them, and which view the migrations must end in.

Their columns are those of `runstream_model.projections`. Tests compare them and the views with the live database, so
that neither changes without the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from runstream_model.columns import ColumnData
from runstream_model.projections import PROJECTIONS, Column, Projection
from runstream_processors.store.native import InvalidColumn, block
from runstream_service.store import Block

#: Table -> column -> ClickHouse type, in the order of the table.
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    name: {column.name: column.type for column in projection.stored} for name, projection in PROJECTIONS.items()
}

#: Columns that came later and that most rows have nothing for: what stands in them if a row leaves them out.
_BLANKS: Final[Mapping[str, Mapping[str, Any]]] = {
    name: {column.name: column.blank for column in projection.stored if column.blank is not None}
    for name, projection in PROJECTIONS.items()
}

#: How many of its last inserts with a token a table knows by that token. Ten workers that insert twice a second each
#: fill it in eight minutes; the server ends an insert after one.
TOKENS_REMEMBERED: Final = 10_000


#: Columns that a block may leave out altogether: then the insert does not name them, and the engine makes them. Those
#: that a later version of a projection brought are left out in generations of an earlier one.
OPTIONAL: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(column.name for column in projection.stored if column.optional or column.since > 1)
    for name, projection in PROJECTIONS.items()
}


def column_names(table: str, optional: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of a table's columns, in the order in which `encode_rows` and `encode_columns` write them; of those
    that are optional only the ones that are given."""
    return tuple(_kinds(table, optional))


def _kinds(table: str, given: Iterable[str]) -> dict[str, str]:
    """Column -> type of a block that has `given` columns."""
    absent = OPTIONAL[table].difference(given)
    return {name: kind for name, kind in TABLES[table].items() if name not in absent}


def newest_view(projection: Projection) -> str:
    """The statement that makes a projection's view: the newest row of each key. The projection has a view.

    The grouping is by the table's sort key, so a filter on it reaches the primary key, and each column is an aggregate
    of its own, so columns that nobody selects are not read.
    """
    selected = ", ".join(f"{_newest(projection, column)} AS {column.name}" for column in projection.viewed)
    where = f" WHERE {projection.view_where}" if projection.view_where else ""
    keys = ", ".join(f"s.{name}" for name in projection.key)
    return f"CREATE VIEW {projection.view} AS SELECT {selected} FROM {projection.name} AS s{where} GROUP BY {keys}"


def _newest(projection: Projection, column: Column) -> str:
    if column.name in projection.key:
        return f"s.{column.name}"
    return "max(s.offset)" if column.name == "offset" else column.newest


def encode_rows(table: str, rows: Sequence[Mapping[str, Any]]) -> Block:
    """Rows as one Native block, for the small tables. Every row has every column of the table (`tails` of
    `watermark_states` may be left out: nothing; an optional column may be left out of all rows) and nothing else;
    times are whole microseconds since 1970 UTC. Raises InvalidColumn."""
    kinds, blanks = _kinds(table, rows[0] if rows else ()), _BLANKS[table]
    wanted = kinds.keys()
    for number, row in enumerate(rows):
        if row.keys() != wanted and row.keys() | blanks.keys() != wanted:
            raise _mismatch(f"row {number} for {table}", row.keys(), wanted)
    columns = {
        name: [row.get(name, blanks[name]) for row in rows] if name in blanks else [row[name] for row in rows]
        for name in wanted
    }
    return block([(name, kind, columns[name]) for name, kind in kinds.items()])


def encode_columns(table: str, columns: Mapping[str, ColumnData], rows: int) -> Block:
    """Whole columns of `rows` rows as one Native block, for the large tables. Times as in `encode_rows`; what a
    column may be stands in `runstream_processors.store.native`; optional columns may be left out. Raises
    InvalidColumn."""
    wanted = _kinds(table, columns)
    if columns.keys() != wanted.keys():
        raise _mismatch(f"the columns for {table}", columns.keys(), wanted.keys())
    encoded = block([(name, kind, columns[name]) for name, kind in wanted.items()])
    if encoded.rows != rows:
        raise InvalidColumn(f"the columns for {table} have {encoded.rows} rows, not {rows}")
    return encoded


def _mismatch(what: str, found: Any, wanted: Any) -> InvalidColumn:
    missing, unknown = sorted(wanted - found), sorted(found - wanted)
    return InvalidColumn(f"{what}: missing {missing}, unknown {unknown}: give the table's columns, each once")
