"""The embedded log beside SQLite in WAL mode, in the same run: appends that are durable when they return.

    python bench/log_append.py [--writers 8] [--seconds 3] [--directory DIR]

Both sides get the same load: `writers` callers, each of which appends one record at a time and waits until it is
durable. SQLite runs at synchronous=FULL (what an acknowledgement needs) and with the same group commit: one thread
takes whatever has gathered into one transaction. Prints one JSON object; `ratio` is ours over SQLite's.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from runstream_ingest.log.embedded import EmbeddedLog

Append = Callable[[bytes, bytes], Awaitable[object]]

SIZES_BYTES = (1_000, 10_000, 100_000)
ROUNDS = 7


class SqliteLog:
    """The same promise by SQLite: a table, one thread, whatever has gathered in one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._pending: list[tuple[bytes, bytes, asyncio.Future[None]]] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def append(self, key: bytes, value: bytes) -> None:
        done = asyncio.get_running_loop().create_future()
        with self._changed:
            self._pending.append((key, value, done))
            self._changed.notify()
        await done

    def close(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE log (position INTEGER PRIMARY KEY, at_us INTEGER, key BLOB, value BLOB)")
        while True:
            with self._changed:
                while not self._pending and not self._closing:
                    self._changed.wait()
                batch, self._pending = self._pending, []
            if not batch:
                break
            now_us = time.time_ns() // 1000
            database.execute("BEGIN IMMEDIATE")
            rows = [(now_us, key, value) for key, value, _ in batch]
            database.executemany("INSERT INTO log (at_us, key, value) VALUES (?, ?, ?)", rows)
            database.execute("COMMIT")
            futures = [done for _, _, done in batch]
            futures[0].get_loop().call_soon_threadsafe(_complete, futures)
        database.close()


def _complete(futures: list["asyncio.Future[None]"]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)


async def load(append: Append, writers: int, size_bytes: int, seconds: float) -> dict[str, float]:
    """Drive `append` for a while: appends a second, MB a second, latencies in milliseconds."""
    value = os.urandom(size_bytes)
    latencies_s: list[float] = []
    start_s = time.perf_counter()
    end_s = start_s + seconds

    async def writer(name: int) -> None:
        key = b"run-%d" % name
        while (before_s := time.perf_counter()) < end_s:
            await append(key, value)
            latencies_s.append(time.perf_counter() - before_s)

    await asyncio.gather(*(writer(name) for name in range(writers)))
    wall_s = time.perf_counter() - start_s
    cuts = statistics.quantiles(latencies_s, n=1000)
    return {
        "appends_per_s": round(len(latencies_s) / wall_s, 1),
        "megabytes_per_s": round(len(latencies_s) * size_bytes / wall_s / 1e6, 2),
        "p50_ms": round(cuts[499] * 1e3, 3),
        "p99_ms": round(cuts[989] * 1e3, 3),
    }


async def measure(directory: Path, writers: int, size_bytes: int, seconds: float) -> dict[str, Any]:
    """Both logs with records of one size, in turns, because the machine's speed varies; the ratio is the median."""
    log = EmbeddedLog.open(directory / f"embedded-{size_bytes}")
    sqlite = SqliteLog(directory / f"sqlite-{size_bytes}.db")
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(await load(lambda key, value: log.append([(key, value)]), writers, size_bytes, seconds / ROUNDS))
        theirs.append(await load(sqlite.append, writers, size_bytes, seconds / ROUNDS))
    await log.close()
    sqlite.close()
    ratios = [a["appends_per_s"] / b["appends_per_s"] for a, b in zip(ours, theirs, strict=True)]
    return {
        "size_bytes": size_bytes,
        "embedded": medians(ours),
        "sqlite_wal_full": medians(theirs),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
    }


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure over the rounds."""
    return {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}


def main() -> None:
    """Measure every size and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.5)
    parser.add_argument("--directory", type=Path, default=None, help="where to write")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.directory) as name:
        results = [asyncio.run(measure(Path(name), chosen.writers, size, chosen.seconds)) for size in SIZES_BYTES]
    print(json.dumps({"benchmark": "log_append", "writers": chosen.writers, "results": results}, indent=1))


if __name__ == "__main__":
    main()
