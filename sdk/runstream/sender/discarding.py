"""Giving up what a spool still has of a writer: on purpose, where it can never be sent."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from runstream.errors import Invalid
from runstream.private import NotPrivate, check_inside, check_root, make_inside
from runstream.sender.sync import is_locked, process_lives
from runstream.spool.format import Acked, SpoolCorrupt, WriterInfo
from runstream.spool.reader import SpoolReader


@dataclass(frozen=True, slots=True)
class Discardable:
    """A writer's folder that can be given up. `run_id` is empty, and `records` 0, where its files cannot be read."""

    folder: Path
    run_id: str
    records: int

    def discard(self) -> None:
        """Remove the folder, in one step, so that no half of it is ever taken for a writer. A sender lets go of it by
        itself. Raises OSError."""
        removed = self.folder.parent.parent / "removed"
        make_inside(removed)
        target = removed / self.folder.name
        self.folder.rename(target)
        shutil.rmtree(target, ignore_errors=True)


def discardable(spool_dir: Path, wanted: str) -> list[Discardable]:
    """Find the writers with the id `wanted`, or of the run with that id. Raises Invalid if there are none, or if the
    process of one still writes; OSError if the spool cannot be read."""
    found = []
    if (spool_dir / "writers").is_dir():
        check_root(spool_dir)
        check_inside(spool_dir / "writers")
        found = [one for folder in sorted((spool_dir / "writers").iterdir()) if (one := _found(folder, wanted))]
    if not found:
        raise Invalid(f"the spool {spool_dir} has nothing of a run or writer {wanted!r}: `runstream sync` names them")
    return found


def _found(folder: Path, wanted: str) -> Discardable | None:
    if folder.is_symlink() or not folder.is_dir():
        return None
    try:
        check_inside(folder)
        info = WriterInfo.read(folder)
    except FileNotFoundError:
        return None  # being made, or just removed
    except (NotPrivate, SpoolCorrupt):
        if folder.name != wanted:
            return None
        if is_locked(folder):
            raise Invalid(
                f"writer {wanted} is damaged, and a process holds its lock: end the program that writes it, or the "
                "sender that sends it, before it is discarded"
            ) from None
        return Discardable(folder, "", 0)
    if wanted not in (info.writer_id, info.run_id):
        return None
    if process_lives(folder, info):
        raise Invalid(f"process {info.pid} still writes to run {info.run_id}: end it before its writer is discarded")
    return Discardable(folder, info.run_id, _records(folder))


def _records(folder: Path) -> int:
    reader = SpoolReader(folder)
    try:
        place = Acked.read(folder)
        return reader.backlog(place if place != Acked() else reader.first() or place).rows
    except (OSError, SpoolCorrupt):
        return 0
    finally:
        reader.close()
