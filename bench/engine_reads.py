"""Reads by the engine alone, in a process of its own, on the data of a stopped server.

    python -m bench.engine_reads DATA REPEATS '{"NAME": [SQL, {PARAMETER: VALUE}], ...}' OUT [merge]

Says the least wall and CPU seconds of each statement, and leaves its rows in OUT/NAME.arrow. `merge` first brings the
points into one part with its roll-up, as they come to lie after a while.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from bench.raw_insert import client_of
from bench.tables import merge
from runstream_infra.settings import ServerSettings
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.requests import READ_SETTINGS


async def measure(data_dir: Path, repeats: int, statements: dict[str, Any], out: Path, merged: bool) -> dict[str, Any]:
    store_dir = ServerSettings(data_dir=data_dir).store_dir
    store = await ChdbStore.open(store_dir)
    if merged:
        await merge(store)
    client = client_of(store_dir, **READ_SETTINGS)
    found = {}
    for name, (sql, parameters) in statements.items():
        walls, cpus = [], []
        for _ in range(repeats):
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            response = client.raw_query(sql, parameters=parameters, fmt="Arrow")
            table = pa.ipc.open_file(pa.BufferReader(response)).read_all()
            walls.append(time.perf_counter() - began_s)
            cpus.append(time.process_time() - began_cpu_s)
        with pa.OSFile(str(out / f"{name}.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        found[name] = {"wall_s": min(walls), "cpu_s": min(cpus), "rows": table.num_rows}
    client.close()
    await store.close()
    return found


def main() -> None:
    data, repeats, statements, out, *rest = sys.argv[1:]
    response = asyncio.run(measure(Path(data), int(repeats), json.loads(statements), Path(out), bool(rest)))
    print(json.dumps(response), flush=True)


if __name__ == "__main__":
    main()
