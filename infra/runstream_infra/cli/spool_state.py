"""How the spool of this machine stands: counted in its files, so that it is right whether a sender lives or not."""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runstream.private import open_own, read_own
from runstream.sender.status import SenderStatus, read_status
from runstream.sender.sync import MAX_REJECTED_BYTES
from runstream.spool.format import Acked, SpoolCorrupt, WriterInfo
from runstream.spool.reader import SpoolReader


@dataclass(frozen=True, slots=True)
class WriterState:
    """One writer of the spool: what waits, and what is in the way."""

    writer_id: str
    run_id: str
    url: str
    mode: str
    rows: int
    size_bytes: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Records that a server refused for ever. They are kept at `path`."""

    path: Path
    run_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class SpoolState:
    """A whole spool. `sender_pid` is that of the sender that lives now."""

    path: Path
    writers: tuple[WriterState, ...]
    rejected: tuple[Rejected, ...]
    sender_pid: int | None
    sender: SenderStatus | None

    @property
    def rows(self) -> int:
        return sum(writer.rows for writer in self.writers)

    @property
    def size_bytes(self) -> int:
        return sum(writer.size_bytes for writer in self.writers)

    @property
    def stuck(self) -> list[str]:
        """Why something does not go on, each reason once."""
        channels = self.sender.targets if self.sender and self.sender_pid else ()
        reasons = [
            f"{channel.url}: {channel.last_error}" for channel in channels if channel.state in ("retrying", "stuck")
        ]
        reasons += [f"run {writer.run_id}: {writer.problem}" for writer in self.writers if writer.problem]
        return list(dict.fromkeys(reasons))


def read_spool(path: Path) -> SpoolState:
    """Look at every writer's folder. A spool that is not there is an empty one."""
    status = read_status(path)
    told = {one.writer_id: one.problem for channel in (status.targets if status else ()) for one in channel.telling}
    folders = sorted((path / "writers").glob("*"))
    states = (_writer_state(folder, told) for folder in folders if folder.is_dir() and not folder.is_symlink())
    writers = tuple(state for state in states if state is not None)
    rejected = tuple(_rejected(file) for file in sorted((path / "rejected").glob("*.json")))
    return SpoolState(path, writers, rejected, _sender_pid(path), status)


def _writer_state(folder: Path, told: dict[str, str | None]) -> WriterState | None:
    try:
        info = WriterInfo.read(folder)
    except FileNotFoundError:
        return None  # about to be written, or removed while this looked
    except (OSError, SpoolCorrupt) as error:
        return WriterState(folder.name, "?", "", "", 0, _size(folder), str(error))
    reader = SpoolReader(folder)
    try:
        place = Acked.read(folder)
        backlog = reader.backlog(place if place != Acked() else reader.first() or place)
        rows, size_bytes, problem = backlog.rows, backlog.size_bytes, told.get(info.writer_id)
    except FileNotFoundError:
        return None
    except (OSError, SpoolCorrupt) as error:
        rows, size_bytes, problem = 0, _size(folder), str(error)
    finally:
        reader.close()
    return WriterState(info.writer_id, info.run_id, info.url, info.mode, rows, size_bytes, problem)


def _rejected(path: Path) -> Rejected:
    fields: dict[str, Any]
    try:
        fields = json.loads(read_own(path, MAX_REJECTED_BYTES))
        return Rejected(path, str(fields.get("run_id", "?")), str(fields.get("reason", "?")))
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        return Rejected(path, "?", f"its description cannot be read: {error}")


def _sender_pid(path: Path) -> int | None:
    """The process that holds the sender's lock, if any does."""
    try:
        descriptor = open_own(path / "sender.lock")
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError:
        text = os.read(descriptor, 32).decode("ascii", "replace").strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)


def _size(folder: Path) -> int:
    try:
        return sum(file.lstat().st_size for file in folder.rglob("*"))
    except OSError:  # not ours to look into, or on its way out
        return 0
