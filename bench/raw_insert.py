"""What the engine does alone with the rows of a run: `python -m bench.raw_insert export|insert|sizes ...`.

export DATA FILE [BLOCK_POINTS]   the rows of a stopped server's table, in blocks as the log has them, as an Arrow file
insert FILE DIR                   `insert_arrow` of those blocks into a fresh table with the same schema
sizes DATA                        rows, and bytes a point by column after the last merge; bytes a point of the log
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import clickhouse_connect
import pyarrow as pa

from bench.tables import merge, table_bytes
from runstream_infra.settings import ServerSettings
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.migrate import migrate
from runstream_processors.store.tables import column_names

#: As many as the worker puts into one insert while much waits. A million take the engine just as long.
BLOCK_POINTS: Final = 1_600_000
_DICTIONARIES: Final = {"output_format_arrow_low_cardinality_as_dictionary": "1"}


def client_of(store_dir: Path, **settings: str) -> Any:
    """The engine's ordinary client, on a store that this process has open."""
    return clickhouse_connect.get_client(
        interface="chdb", path=str(store_dir / "engine"), database="runstream", settings=settings
    )


async def export(data_dir: Path, file: Path, block_points: int) -> dict[str, Any]:
    """Each block holds the next stretch of the log, ordered as the table is."""
    store_dir = ServerSettings(data_dir=data_dir).store_dir
    store = await ChdbStore.open(store_dir)
    client = client_of(store_dir, **_DICTIONARIES)
    rows = blocks = 0
    writer: Any = None
    for first, last in await stretches(store, block_points):
        sql = f"SELECT {', '.join(column_names('points'))} FROM points WHERE offset BETWEEN {first} AND {last}"
        response = client.raw_query(f"{sql} ORDER BY run, metric, step", fmt="ArrowStream")
        table = pa.ipc.open_stream(response).read_all().unify_dictionaries().combine_chunks()
        if writer is None:
            options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=False, unify_dictionaries=True)
            writer = pa.ipc.new_stream(str(file), table.schema, options=options)
        writer.write_table(table)
        rows, blocks = rows + table.num_rows, blocks + 1
    if writer is not None:
        writer.close()
    client.close()
    await store.close()
    return {"rows": rows, "blocks": blocks}


async def stretches(store: ChdbStore, block_points: int) -> list[tuple[int, int]]:
    """[first, last] offsets of the log with about `block_points` points each. One partition."""
    table = await store.query("SELECT offset, count() AS n FROM points GROUP BY offset ORDER BY offset")
    found: list[tuple[int, int]] = []
    first, held = None, 0
    for offset, count in zip(table["offset"].to_pylist(), table["n"].to_pylist(), strict=True):
        if first is not None and held + count > block_points:
            found.append((first, offset - 1))
            first, held = None, 0
        first, held = offset if first is None else first, held + count
    return [*found, (first, offset)] if first is not None else found


async def insert(file: Path, directory: Path) -> dict[str, Any]:
    store = await ChdbStore.open(directory)
    await migrate(store)
    client = client_of(directory)
    with pa.ipc.open_stream(file.read_bytes()) as blocks:
        tables = [pa.Table.from_batches([batch]) for batch in blocks]
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    for table in tables:
        client.insert_arrow("points", table)
    seconds, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    points = sum(table.num_rows for table in tables)
    found = (await store.query("SELECT count() AS n FROM points"))["n"][0].as_py()
    client.close()
    await store.close()
    if found != points:
        raise RuntimeError(f"{found} rows are in the table, {points} were inserted")
    return {"points": points, "blocks": len(tables), "seconds": seconds, "cpu_s": cpu_s}


async def sizes(data_dir: Path) -> dict[str, Any]:
    settings = ServerSettings(data_dir=data_dir)
    log_bytes = sum(path.stat().st_size for path in settings.log_dir.rglob("*.segment"))
    store = await ChdbStore.open(settings.store_dir)
    points = (await store.query("SELECT count() AS n FROM points"))["n"][0].as_py()
    await merge(store)
    table = await table_bytes(store, "points", points)
    await store.close()
    return {"points": points, "log_bytes_per_point": round(log_bytes / points, 3), "table_bytes_per_point": table}


def main() -> None:
    match sys.argv[1:]:
        case ["export", data, file, *rest]:
            response = asyncio.run(export(Path(data), Path(file), int(rest[0]) if rest else BLOCK_POINTS))
        case ["insert", file, directory]:
            response = asyncio.run(insert(Path(file), Path(directory)))
        case ["sizes", data]:
            response = asyncio.run(sizes(Path(data)))
        case _:
            raise SystemExit(__doc__)
    print(json.dumps(response), flush=True)


if __name__ == "__main__":
    main()
