"""`runstream rebuild`: fold the whole log into fresh tables and hold them against the ones in use."""

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from runstream.events.positions import Positions
from runstream_infra.listening import StartFailed
from runstream_infra.settings import ServerSettings
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_processors.rebuild import ComparedTable, TableHash, compared, rebuild, table_hashes
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.worker.guarding import CrashGuard
from runstream_service.log import LogError
from runstream_service.store import StoreError


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """`position`: up to where the log was folded, in both. `replaced`: whether the fresh tables are now in use."""

    position: Positions
    tables: tuple[ComparedTable, ...]
    replaced: Path | None

    @property
    def equal(self) -> bool:
        return all(table.equal for table in self.tables)


async def rebuild_and_compare(settings: ServerSettings, *, replace: bool = False) -> RebuildResult:
    """Replay the log of a stopped server into a fresh store beside the one in use and compare what they hold.

    The store in use is first brought up to the end of the log, as any start of the server does. With `replace` the
    fresh store takes its place, and the old one is kept beside it under the name that the result gives; without, the
    fresh one is removed. Raises StartFailed (a server is running, the log is damaged, no room).
    """
    fresh_dir = settings.data_dir / "store.rebuilt"
    try:
        log = await asyncio.to_thread(EmbeddedLog.open, settings.log_dir, partitions=None)
        try:
            # chDB holds one directory a process at a time: one after the other.
            position, live = await _folded(log, settings.store_dir, settings.worker_dir)
            await asyncio.to_thread(shutil.rmtree, fresh_dir, ignore_errors=True)
            _, fresh = await _folded(log, fresh_dir, settings.worker_dir)
        finally:
            await log.close()
        tables = compared(live, fresh)
        if not replace:
            await asyncio.to_thread(shutil.rmtree, fresh_dir)
            return RebuildResult(position, tables, None)
        return RebuildResult(position, tables, _replace(settings.store_dir, fresh_dir, position))
    except (LogError, StoreError, OSError) as error:
        raise StartFailed(f"the read models cannot be rebuilt: {error}") from error


async def _folded(log: EmbeddedLog, directory: Path, worker_dir: Path) -> tuple[Positions, dict[str, TableHash]]:
    """Bring the store in `directory` up to the end of the log; where that is, and what the store holds then."""
    store = await ChdbStore.open(directory)
    try:
        position = await rebuild(log, store, guard=CrashGuard.of_files(worker_dir, "worker"))
        return position, await table_hashes(store)
    finally:
        await store.close()


def _replace(store_dir: Path, fresh_dir: Path, position: Positions) -> Path:
    kept = store_dir.with_name(f"store.before-{str(position).replace(':', '-').replace(',', '_') or 'empty'}")
    number = 1
    while kept.exists():
        number += 1
        kept = kept.with_name(f"{kept.name.split('.copy')[0]}.copy{number}")
    store_dir.rename(kept)
    fresh_dir.rename(store_dir)
    return kept
