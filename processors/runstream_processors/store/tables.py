"""The read models' tables as data: what the migrations make, and how rows become blocks for them.

A test compares `TABLES` with the live database, so that neither changes without the other.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from runstream_model.columns import ColumnData
from runstream_processors.store.native import InvalidColumn, block, block_rows

_NAME: Final = "LowCardinality(String)"
_TIME: Final = "DateTime64(6, 'UTC')"

#: Table -> column -> ClickHouse type, in the order of the table.
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "points": {
        "run": _NAME,
        "metric": _NAME,
        "step": "Int64",
        "at": _TIME,
        "value": "Float64",
        "writer": "UInt64",
        "part": "UInt16",
        "offset": "UInt64",
        "epoch": "Nullable(Int64)",
    },
    "summary_states": {
        "run": _NAME,
        "metric": _NAME,
        "count": "UInt64",
        "nan_count": "UInt64",
        "minimum": "Float64",
        "minimum_step": "Int64",
        "minimum_at": _TIME,
        "maximum": "Float64",
        "maximum_step": "Int64",
        "maximum_at": _TIME,
        "first": "Float64",
        "first_step": "Int64",
        "first_at": _TIME,
        "last": "Float64",
        "last_step": "Int64",
        "last_at": _TIME,
        "total": "Float64",
        "total_exponent": "Int32",
        "total_digits": "Array(Int64)",
        "part": "UInt16",
        "offset": "UInt64",
    },
    "run_states": {
        "run": "String",
        "workspace": _NAME,
        "project": _NAME,
        "experiment": _NAME,
        "name": "String",
        "status": _NAME,
        "message": "String",
        "user": _NAME,
        "host": _NAME,
        "notes": "String",
        "tags": "Array(String)",
        "created_at": _TIME,
        "started_at": _TIME,
        "ended_at": f"Nullable({_TIME})",
        "updated_at": _TIME,
        "archived": "Bool",
        "deleted": "Bool",
        "points_dropped": "UInt64",
        "state": "String",
        "part": "UInt16",
        "offset": "UInt64",
    },
    "attribute_states": {
        "run": _NAME,
        "kind": _NAME,
        "name": _NAME,
        "value": "String",
        "text": "String",
        "number": "Nullable(Float64)",
        "at": _TIME,
        "deleted": "Bool",
        "part": "UInt16",
        "offset": "UInt64",
    },
    "asset_states": {
        "run": _NAME,
        "asset": "String",
        "name": "String",
        "kind": _NAME,
        "sha256": "String",
        "size_bytes": "UInt64",
        "content_type": _NAME,
        "step": "Nullable(Int64)",
        "metadata": "String",
        "at": _TIME,
        "deleted": "Bool",
        "part": "UInt16",
        "offset": "UInt64",
        "context": _NAME,
    },
    "project_states": {
        "workspace": _NAME,
        "project": "String",
        "description": "String",
        "notes": "String",
        "created_at": _TIME,
        "updated_at": _TIME,
        "deleted": "Bool",
        "part": "UInt16",
        "offset": "UInt64",
    },
    "experiment_states": {
        "workspace": _NAME,
        "project": "String",
        "experiment": "String",
        "description": "String",
        "created_at": _TIME,
        "updated_at": _TIME,
        "deleted": "Bool",
        "part": "UInt16",
        "offset": "UInt64",
    },
    "artifact_states": {
        "key": "String",
        "artifact": "String",
        "workspace": _NAME,
        "project": "String",
        "artifact_type": _NAME,
        "name": "String",
        "description": "String",
        "notes": "String",
        "tags": "Array(String)",
        "public": "Bool",
        "created_at": _TIME,
        "updated_at": _TIME,
        "deleted": "Bool",
        "versions": "UInt64",
        "latest_ordinal": "UInt64",
        "latest_version": "String",
        "state": "String",
        "part": "UInt16",
        "offset": "UInt64",
    },
    "artifact_version_states": {
        "artifact": "String",
        "ordinal": "UInt64",
        "version": "String",
        "comment": "String",
        "status": _NAME,
        "tags": "Array(String)",
        "aliases": "Array(String)",
        "stages": "Array(String)",
        "run": "String",
        "files": "UInt64",
        "size_bytes": "UInt64",
        "created_at": _TIME,
        "updated_at": _TIME,
        "deleted": "Bool",
        "part": "UInt16",
        "offset": "UInt64",
    },
    "artifact_contents": {
        "artifact": "String",
        "ordinal": "UInt64",
        "metadata": "String",
        "file_names": "Array(String)",
        "file_sha256s": "Array(String)",
        "file_sizes": "Array(UInt64)",
        "file_types": "Array(String)",
        "file_links": "Array(String)",
        "at": _TIME,
        "part": "UInt16",
        "offset": "UInt64",
    },
    "artifact_outcomes": {
        "artifact": "String",
        "writer": "String",
        "seq": "UInt64",
        "changed": "Bool",
        "refused": _NAME,
        "ordinal": "UInt64",
        "version": "String",
        "part": "UInt16",
        "offset": "UInt64",
    },
    "output": {
        "run": _NAME,
        "writer": "UInt64",
        "seq": "UInt64",
        "at": _TIME,
        "stream": _NAME,
        "text": "String",
        "part": "UInt16",
        "offset": "UInt64",
    },
    "events": {
        "key": "String",
        "part": "UInt16",
        "offset": "UInt64",
        "writer": "String",
        "seq": "UInt64",
        "at": _TIME,
        "type": _NAME,
        "body": "String",
    },
    "quarantine": {
        "part": "UInt16",
        "offset": "UInt64",
        "item": "UInt32",
        "key": "String",
        "cause": _NAME,
        "detail": "String",
        "body": "String",
        "at": _TIME,
    },
    "watermark_states": {
        "key": "String",
        "writer": "String",
        "seen": "Array(UInt64)",
        "last_seen_at": _TIME,
        "ended": "Bool",
        "part": "UInt16",
        "offset": "UInt64",
        "tails": f"Map({_NAME}, UInt64)",
    },
}

#: Columns that came later and that most rows have nothing for: what stands in them if a row leaves them out.
_BLANKS: Final[Mapping[str, Mapping[str, Any]]] = {"watermark_states": {"tails": {}}}

#: How many of its last inserts with a token a table knows by that token. Ten workers that insert twice a second each
#: fill it in eight minutes; the server ends an insert after one.
TOKENS_REMEMBERED: Final = 10_000


#: Columns that a block may leave out altogether: then the insert does not name them, and the engine makes them.
OPTIONAL: Final[Mapping[str, frozenset[str]]] = {"points": frozenset({"epoch"})}


def column_names(table: str, optional: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of a table's columns, in the order in which `encode_rows` and `encode_columns` write them; of those
    that are optional only the ones that are given."""
    return tuple(_kinds(table, optional))


def _kinds(table: str, given: Iterable[str]) -> dict[str, str]:
    """Column -> type of a block that has `given` columns."""
    absent = OPTIONAL.get(table, frozenset()).difference(given)
    return {name: kind for name, kind in TABLES[table].items() if name not in absent}


def encode_rows(table: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as one Native block, for the small tables. Every row has every column of the table (`tails` of
    `watermark_states` may be left out: nothing; an optional column may be left out of all rows) and nothing else;
    times are whole microseconds since 1970 UTC. Raises InvalidColumn."""
    kinds, blanks = _kinds(table, rows[0] if rows else ()), _BLANKS.get(table, {})
    wanted = kinds.keys()
    for number, row in enumerate(rows):
        if row.keys() != wanted and row.keys() | blanks.keys() != wanted:
            raise _mismatch(f"row {number} for {table}", row.keys(), wanted)
    columns = {
        name: [row.get(name, blanks[name]) for row in rows] if name in blanks else [row[name] for row in rows]
        for name in wanted
    }
    return block([(name, kind, columns[name]) for name, kind in kinds.items()])


def encode_columns(table: str, columns: Mapping[str, ColumnData], rows: int) -> bytes:
    """Whole columns of `rows` rows as one Native block, for the large tables. Times as in `encode_rows`; what a
    column may be stands in `runstream_processors.store.native`; optional columns may be left out. Raises
    InvalidColumn."""
    wanted = _kinds(table, columns)
    if columns.keys() != wanted.keys():
        raise _mismatch(f"the columns for {table}", columns.keys(), wanted.keys())
    encoded = block([(name, kind, columns[name]) for name, kind in wanted.items()])
    if block_rows(encoded) != rows:
        raise InvalidColumn(f"the columns for {table} have {block_rows(encoded)} rows, not {rows}")
    return encoded


def _mismatch(what: str, found: Any, wanted: Any) -> InvalidColumn:
    missing, unknown = sorted(wanted - found), sorted(found - wanted)
    return InvalidColumn(f"{what}: missing {missing}, unknown {unknown}: give the table's columns, each once")
