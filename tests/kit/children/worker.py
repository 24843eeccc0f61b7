"""A worker in a process of its own that ends itself, by SIGKILL, at a step of its loop.

Arguments: DIRECTORY "after points" [--merge] [--delete RUN]. Prints DONE when all is folded.
"""

import argparse
import asyncio
import os
import signal
from pathlib import Path

from runstream.events.positions import Positions
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.migrate import migrate
from runstream_processors.worker.inserts import APPENDED, COMMIT, POINTS, STATES, SUMMARIES
from runstream_processors.worker.loop import Worker
from runstream_processors.worker.settings import WorkerSettings
from runstream_service.visibility import Progress

TABLES = (POINTS, SUMMARIES, *APPENDED, *STATES, COMMIT)
#: Every place between two writes at which a process can die.
STEPS = ("resumed", *(f"{side} {table}" for table in TABLES for side in ("before", "after")))
#: Small batches, no pauses and a flush at every batch, so that a short log walks through many steps, on every machine
#: the same ones.
SETTINGS = WorkerSettings(max_batch_raw_bytes=4_000, max_batch_records=7, min_cycle_s=0.0, flush_every_s=0.0)


class Killer:
    """Ends this process when it first comes to a step, with no chance to tidy up."""

    def __init__(self, kill_at: str) -> None:
        self._kill_at = kill_at

    def __call__(self, step: str) -> None:
        if step == self._kill_at:
            print(f"KILLED {step}", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


async def main(directory: Path, kill_at: str, merge: bool, delete: str | None) -> None:
    log = EmbeddedLog.open(directory / "log")
    store = await ChdbStore.open(directory / "store")
    await migrate(store)
    if merge:
        for table in ("points", "summary_states", "watermark_states", "run_states"):
            await store.command(f"OPTIMIZE TABLE {table} FINAL")
    if delete is not None:
        await store.command(f"ALTER TABLE points DELETE WHERE run = '{delete}' SETTINGS mutations_sync = 2")
    end = Positions(await log.next_offsets())
    worker = Worker(log, store, Progress(), SETTINGS, on_step=Killer(kill_at))
    await worker.catch_up(end)
    await store.close()
    await log.close()
    print("DONE", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=Path)
    parser.add_argument("kill_at")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--delete")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.directory, arguments.kill_at, arguments.merge, arguments.delete))
