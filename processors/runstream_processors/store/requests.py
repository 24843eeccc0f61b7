"""What every store checks and sets before an engine sees a request, and makes of its response: in process and over HTTP
the same."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa

from runstream_service.store import Block, QueryClass, StoreInvalid

_IDENTIFIER: Final = re.compile(r"[a-z][a-z0-9_]*\Z")

#: Results in Arrow: plain strings, no dictionaries, and bytes that are copied nowhere else and so need no compression.
READ_SETTINGS: Final[Mapping[str, str]] = {
    "output_format_arrow_string_as_string": "1",
    "output_format_arrow_low_cardinality_as_dictionary": "0",
    "output_format_arrow_compression_method": "none",
}
#: One insert is one part: a block is never cut, never joined with another, never written by two threads, and never
#: put aside to be written later.
WRITE_SETTINGS: Final[Mapping[str, str]] = {
    "async_insert": "0",
    "max_insert_threads": "1",
    "input_format_parallel_parsing": "0",
    "max_block_size": "1000000000",
    "max_insert_block_size": "1000000000",
    "max_insert_block_size_bytes": "0",
    "min_insert_block_size_rows": "0",
    "min_insert_block_size_bytes": "0",
}


def token_settings(token: str) -> dict[str, str]:
    """The settings of an insert with this token; "" for none."""
    # insert_deduplicate = 0 alone changes nothing in newer engines (26.9): there deduplicate_insert has the last word.
    if not token:
        return {"insert_deduplicate": "0", "deduplicate_insert": "disable"}
    return {"insert_deduplicate": "1", "deduplicate_insert": "enable", "insert_deduplication_token": token}


def slot_name(of: QueryClass, number: int, owner: str = "") -> str:
    """What the queries of a slot are marked with (`log_comment`), so that they can be found and killed. owner: tells
    the slots of several processes, or of several databases of a process, apart."""
    return f"runstream-{owner}{of.value}-{number}"


def kill_statement(names: Sequence[str], on_cluster: str = "") -> str:
    """Ends what runs in these slots (of `slot_name`), without waiting for it."""
    listed = ", ".join(f"'{name}'" for name in names)
    return f"KILL QUERY{on_cluster} WHERE Settings['log_comment'] IN ({listed}) ASYNC"


def check_identifier(name: str, what: str) -> None:
    """Raises StoreInvalid unless `name` can stand in a statement as it is."""
    if not _IDENTIFIER.match(name):
        raise StoreInvalid(f"{name!r} is no name of a {what} of ours: give lower-case letters, digits and '_'")


def check_insert(table: str, columns: Sequence[str], block: Block, rows: int) -> None:
    """Raises StoreInvalid unless this is one Native block of `rows` rows for a table and columns with names of ours."""
    for name in (table, *columns):
        check_identifier(name, "table or column")
    if block.rows != rows:
        raise StoreInvalid(f"the block for {table} says {block.rows} rows, the caller {rows}: nothing was inserted")


def result_table(result: bytes, sql: str) -> pa.Table:
    """The table of a read's result in Arrow's file format. Raises StoreInvalid if it is none."""
    try:
        return pa.ipc.open_file(pa.BufferReader(result)).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreInvalid(f"the statement gives no single table: {' '.join(sql.split())[:160]}") from error
