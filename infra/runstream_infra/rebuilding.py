"""Folding the whole log of a stopped server into fresh tables, and comparing them with the ones in use."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runstream.events.positions import Positions
from runstream_infra.listening import StartFailed
from runstream_infra.settings import ServerSettings
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_ingest.log.errors import LogBusy
from runstream_processors.comparing import compared_name, same_in_both
from runstream_processors.generations import CURRENT, Versions
from runstream_processors.rebuild import ComparedTable, TableHash, compared, rebuild, table_hashes
from runstream_processors.store.databases import EngineDatabases
from runstream_processors.worker.guarding import CrashGuard
from runstream_service.log import LogError
from runstream_service.store import StoreError


class ServerRuns(StartFailed):
    """A server runs on the directory."""


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """`position`: up to where the log was folded, in both. `tables`: those that both fold alike; `redefined`: those
    that this build folds as another version than the tables in use, so that they cannot be compared. `replaced`: where
    the old tables are, if the fresh ones are now in use."""

    position: Positions
    tables: tuple[ComparedTable, ...]
    redefined: tuple[str, ...]
    replaced: Path | None

    @property
    def equal(self) -> bool:
        return all(table.equal for table in self.tables)


async def rebuild_and_compare(
    settings: ServerSettings, *, replace: bool = False, versions: Versions = CURRENT
) -> RebuildResult:
    """Replay the log of a stopped server into a fresh store beside the one in use and compare what they hold.

    The store in use is first brought up to the end of the log, as any start of the server does. With `replace` the
    fresh store takes its place, and the old one is kept beside it under the name that the result gives; without, the
    fresh one is removed. versions: that fresh tables are folded by. Raises ServerRuns, StartFailed (the log is damaged,
    no room).
    """
    fresh_dir = settings.data_dir / "store.rebuilt"
    try:
        log = await asyncio.to_thread(EmbeddedLog.open, settings.log_dir, partitions=None)
        try:
            # chDB holds one directory a process at a time: one after the other.
            live = await _folded(log, settings.store_dir, settings.worker_dir, versions)
            await asyncio.to_thread(shutil.rmtree, fresh_dir, ignore_errors=True)
            fresh = await _folded(log, fresh_dir, settings.worker_dir, versions)
        finally:
            await log.close()
        alike = {compared_name(one) for one in same_in_both(live.versions, fresh.versions)}
        tables = tuple(one for one in compared(live.hashes, fresh.hashes) if one.table in alike)
        redefined = tuple(sorted(live.hashes.keys() - alike))
        if not replace:
            await asyncio.to_thread(shutil.rmtree, fresh_dir)
            return RebuildResult(live.position, tables, redefined, None)
        kept = _replace(settings.store_dir, fresh_dir, live.position)
        return RebuildResult(live.position, tables, redefined, kept)
    except LogBusy as error:
        raise ServerRuns(f"the read models cannot be rebuilt: {error}") from error
    except (LogError, StoreError, OSError) as error:
        raise StartFailed(f"the read models cannot be rebuilt: {error}") from error


@dataclass(frozen=True, slots=True)
class _Folded:
    """A store at the end of the log: where that is, what it holds, and the versions of the projections in it."""

    position: Positions
    hashes: Mapping[str, TableHash]
    versions: Versions


async def _folded(log: EmbeddedLog, directory: Path, worker_dir: Path, wanted: Versions) -> _Folded:
    """Bring the store in `directory` up to the end of the log, in the generation that serves there."""
    databases = await EngineDatabases.open(directory, versions=wanted)
    try:
        with databases.using(None) as store:
            guard, versions = CrashGuard.of_files(worker_dir, "worker", "rebuilding"), databases.serving.versions
            position = await rebuild(log, store, guard=guard, versions=versions)
            return _Folded(position, await table_hashes(store), versions)
    finally:
        await databases.close()


def _replace(store_dir: Path, fresh_dir: Path, position: Positions) -> Path:
    where = str(position).replace(":", "-").replace(",", "_") if position else "empty"
    kept = store_dir.with_name(f"store.before-{where}")
    number = 1
    while kept.exists():
        number += 1
        kept = kept.with_name(f"{kept.name.split('.copy')[0]}.copy{number}")
    store_dir.rename(kept)
    fresh_dir.rename(store_dir)
    return kept
