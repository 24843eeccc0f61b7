"""Send everything that is left in a spool directory and wait for it: what `runstream sync` does."""

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstream.clock import SYSTEM_CLOCK, Clock
from runstream.private import NotPrivate, check_inside, check_root, is_held, open_own, read_own, write_own
from runstream.sender.deletions import deleted_runs
from runstream.sender.lock import SpoolLock
from runstream.sender.process import SYNC_MARKER, Sender
from runstream.sender.start import ensure_sender
from runstream.sender.status import SenderStatus, read_status
from runstream.sender.writers import CORRUPT_MARK
from runstream.spool.format import Acked, SpoolCorrupt, WriterInfo
from runstream.spool.reader import SpoolReader

_POLL_S: Final = 0.1
_MARK_EVERY_S: Final = 2.0
#: What says why something was set aside: ids, a URL and a reason of at most 500 characters.
MAX_REJECTED_BYTES: Final = 64_000


@dataclass(frozen=True, slots=True)
class LeftOver:
    """Records that are not at their gateway, and why. `run_id` is empty where not even that can be read."""

    writer_id: str
    run_id: str
    records: int
    reason: str


@dataclass(frozen=True, slots=True)
class SyncResult:
    """`records_sent` were acknowledged while this waited; `left` is empty if everything is at its gateway. `deleted`:
    runs among those that were sent that somebody deleted, as far as their servers tell."""

    records_sent: int
    writers_done: int
    left: tuple[LeftOver, ...]
    deleted: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.left


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """How it stands. `trouble` is the last error of a gateway for which this waits."""

    records_sent: int
    records_waiting: int
    writers_waiting: int
    trouble: str | None


@dataclass(slots=True)
class _Goal:
    """What has to be acknowledged of a writer before this is done with it."""

    folder: Path
    info: WriterInfo
    begin_seq: int
    end_seq: int

    def acked_seq(self) -> int:
        """Clamped to the goal: a living writer goes on writing."""
        if not self.folder.exists():
            return self.end_seq
        return min(Acked.read(self.folder).next_seq, self.end_seq)

    def reached(self) -> bool:
        """A living writer: everything up to the goal is acknowledged. A dead one: its folder is gone, because the
        sender may have to add that it was lost."""
        if not self.folder.exists():
            return True
        if (self.folder / CORRUPT_MARK).exists():
            return False
        return self.acked_seq() >= self.end_seq and process_lives(self.folder, self.info)


def sync(
    spool_dir: Path,
    *,
    timeout_s: float | None = None,
    include_offline: bool = True,
    progress: Callable[[SyncProgress], None] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> SyncResult:
    """Send what every writer in `spool_dir` has written by now, and wait until it is acknowledged.

    In this process if no sender lives there, else by asking the living one. Blocks up to `timeout_s` (None: until it is
    done), but returns earlier when what is left cannot go on without a person: a damaged spool, a refused key. Calls
    `progress` about ten times a second, in this thread. Raises OSError if the directory cannot be used.
    """
    if not (spool_dir / "writers").is_dir():
        return SyncResult(0, 0, ())
    check_root(spool_dir)
    check_inside(spool_dir / "writers")
    aside_before = set(_set_aside(spool_dir))
    goals, left = _goals(spool_dir, include_offline)
    begun_us = clock.at_us()
    until_s = clock.monotonic_s() + timeout_s if timeout_s is not None else float("inf")
    waiting = [goal for goal in goals if not goal.reached()]
    with _sending(spool_dir, include_offline, clock) as keep_asking:
        while waiting and clock.monotonic_s() < until_s:
            keep_asking()
            threading.Event().wait(_POLL_S)
            status = _fresh_status(spool_dir, begun_us)
            waiting = [goal for goal in waiting if not goal.reached()]
            if progress is not None:
                progress(_progress(goals, waiting, status))
            if waiting and all(_hopeless(goal, status) for goal in waiting):
                break
    status = _fresh_status(spool_dir, begun_us)
    left += [
        LeftOver(goal.info.writer_id, goal.info.run_id, goal.end_seq - goal.acked_seq(), _reason(goal, status))
        for goal in waiting
    ]
    left += [_left_aside(path) for path in _set_aside(spool_dir) if path not in aside_before]
    if any(process_lives(goal.folder, goal.info) for goal in goals if goal.info.mode == "online"):
        ensure_sender(spool_dir)  # it was kept from starting while this held the lock
    done = [goal.info for goal in goals if goal not in waiting]
    deleted = frozenset().union(*deleted_runs(done).values())
    return SyncResult(_sent(goals), len(done), tuple(left), tuple(sorted(deleted)))


@contextlib.contextmanager
def _sending(spool_dir: Path, include_offline: bool, clock: Clock) -> Iterator[Callable[[], None]]:
    """See to it that a sender works: a living one, which is asked by a marker, or one in this process.

    Yields what is to be called now and then: it renews the marker, and takes over if the other sender ended.
    """
    lock = SpoolLock(spool_dir)
    own: list[tuple[Sender, threading.Thread]] = []
    marked_s = float("-inf")

    def keep_asking() -> None:
        nonlocal marked_s
        if not own and lock.take():
            sender = Sender(spool_dir, include_offline=include_offline, clock=clock)
            thread = threading.Thread(target=sender.run, args=(lock, float("inf")), name="sync-sender")
            own.append((sender, thread))
            thread.start()
        elif not own and include_offline and clock.monotonic_s() - marked_s >= _MARK_EVERY_S:
            marked_s = clock.monotonic_s()
            write_own(spool_dir / SYNC_MARKER, b"%d\n" % os.getpid())

    try:
        yield keep_asking
    finally:
        for sender, thread in own:
            sender.request_stop()
            thread.join()
        (spool_dir / SYNC_MARKER).unlink(missing_ok=True)


def _goals(spool_dir: Path, include_offline: bool) -> tuple[list[_Goal], list[LeftOver]]:
    goals, left = [], []
    for folder in sorted((spool_dir / "writers").iterdir()):
        if folder.is_symlink() or not folder.is_dir():
            continue
        reader = SpoolReader(folder)
        try:
            check_inside(folder)
            info = WriterInfo.read(folder)
            if info.mode == "offline" and not include_offline:
                continue
            place = Acked.read(folder)
            begin = place if place != Acked() else reader.first() or place
            goals.append(_Goal(folder, info, begin.next_seq, reader.last(begin).next_seq))
        except FileNotFoundError:
            continue  # being made, or just removed
        except (SpoolCorrupt, OSError) as error:
            left.append(LeftOver(folder.name, "", 0, str(error)))
        finally:
            reader.close()
    return goals, left


def process_lives(folder: Path, info: WriterInfo) -> bool:
    """Whether the writing process lives. The lock alone does not say: a sender takes that of a dead writer."""
    return is_locked(folder) and _pid_exists(info.pid)


def is_locked(folder: Path) -> bool:
    """Whether a process holds a writer's lock: the one that writes, or a sender behind its death."""
    try:
        descriptor = open_own(folder / "lock", os.O_RDWR)
    except (FileNotFoundError, NotPrivate):
        return False
    return is_held(descriptor)


def _pid_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _fresh_status(spool_dir: Path, begun_us: int) -> SenderStatus | None:
    status = read_status(spool_dir)
    return status if status is not None and status.updated_us >= begun_us else None


def _sent(goals: list[_Goal]) -> int:
    return sum(max(goal.acked_seq() - goal.begin_seq, 0) for goal in goals)


def _progress(goals: list[_Goal], waiting: list[_Goal], status: SenderStatus | None) -> SyncProgress:
    rest = sum(goal.end_seq - goal.acked_seq() for goal in waiting)
    urls = {goal.info.url for goal in waiting}
    targets = status.targets if status is not None else ()
    trouble = next((target.last_error for target in targets if target.last_error and target.url in urls), None)
    return SyncProgress(_sent(goals), rest, len(waiting), trouble)


def _hopeless(goal: _Goal, status: SenderStatus | None) -> bool:
    """Whether only a person can change that this writer does not go on."""
    if status is None:
        return False
    if goal.folder.name in status.unusable:
        return True
    told = [
        (one, target) for target in status.targets for one in target.telling if one.writer_id == goal.info.writer_id
    ]
    return any(one.corrupt or target.state == "stuck" for one, target in told)


def _reason(goal: _Goal, status: SenderStatus | None) -> str:
    if status is not None:
        if goal.folder.name in status.unusable:
            return status.unusable[goal.folder.name]
        own = [target for target in status.targets if target.url == goal.info.url]
        told = [one.problem for target in own for one in target.telling if one.writer_id == goal.info.writer_id]
        for reason in [*told, *(target.last_error for target in own)]:
            if reason:
                return reason
    return "it was not acknowledged in time: try again, or give it longer"


def _set_aside(spool_dir: Path) -> list[Path]:
    return sorted((spool_dir / "rejected").glob("*.json"))


def _left_aside(path: Path) -> LeftOver:
    try:
        fields = json.loads(read_own(path, MAX_REJECTED_BYTES))
        records = int(fields["end_seq"]) - int(fields["first_seq"])
        reason = f"{fields['reason']} (kept as {path})"
        return LeftOver(str(fields["writer_id"]), str(fields["run_id"]), records, reason)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return LeftOver("", "", 0, f"{path} cannot be read: {error}")
