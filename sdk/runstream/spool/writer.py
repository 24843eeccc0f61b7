"""The writing side of the spool: what `log()` does.

A row costs about a microsecond because it is one `pack_into` of a cached `Struct` into a mapped file: kind first,
commit mark last. Everything that is not that (a new set of metrics, a value that is no number, a full segment, a full
disk) takes the slow path, which puts records into a queue and the queue into the file (`runstream.spool.appender`).

Why the order of statements matters here: CPython runs signal handlers, and raises what they raise (KeyboardInterrupt),
between bytecodes, after calls and at jumps, but not between two plain stores. So a record is committed, then the stores
that account for it follow without a call among them; whoever is interrupted leaves `_limit` at 0, which sends the next
call down the slow path, and that one first settles what stands at `_offset`.
"""

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from operator import index
from pathlib import Path
from typing import Any, Final, Protocol

from runstream.clock import Clock
from runstream.errors import Unusable
from runstream.events import limits
from runstream.events.names import MAX_STEP
from runstream.notices import Notices
from runstream.private import make_inside, make_root, open_own
from runstream.spool.appender import BACKLOG_BYTES, FIRST_SEGMENT_BYTES, MAX_SEGMENT_BYTES, Appender
from runstream.spool.backlog import EventRecord, Lost, pack_row
from runstream.spool.ending import Ending
from runstream.spool.format import COMMIT, WriterInfo
from runstream.spool.shortage import shortage_of
from runstream.spool.values import Problem, Refused, clean_rows, clean_step

_ASSETS: Final = "assets"


class Content(Protocol):
    """Takes values of `log()` that are no numbers. Called without the writer's lock; nothing here raises."""

    def takes(self, value: object) -> bool: ...
    def keep(self, name: str, value: Any, step: int) -> None: ...


class SpoolWriter(Appender):
    """Writes one writer's records into SPOOL/writers/WRITER_ID/.

    Every method may be called from any thread and from signal handlers, and none raises once the writer exists (but
    for what a signal handler raises). What `log_row` and `write_event` returned for stands in the file and survives a
    SIGKILL, unless the disk is full (then it waits in memory, bounded and counted) or the call was made by a signal
    handler inside another call (then it is written when that call goes on).
    """

    __slots__ = (
        "__weakref__",
        "_busy",
        "_closed",
        "_content",
        "_highest_step",
        "_latest_ns",
        "_lock",
        "_lock_descriptor",
        "_lost",
        "_time_ns",
    )

    def __init__(
        self,
        spool: Path,
        info: WriterInfo,
        *,
        clock: Clock,
        notices: Notices,
        first_step: int = 0,
        segment_bytes: int = FIRST_SEGMENT_BYTES,
        max_segment_bytes: int = MAX_SEGMENT_BYTES,
        backlog_bytes: int = BACKLOG_BYTES,
        want_reserve: Callable[[], None] | None = None,
    ) -> None:
        """Create the writer's folder, take its lock, allocate the first segment and publish writer.json last.

        `want_reserve` is called, under the lock, when a segment is half full: somebody should call `tick()` soon, from
        another thread. Without it the next segment is allocated there and then. Raises Unusable.
        """
        self._time_ns = clock.time_ns
        self._latest_ns = info.created_us * 1000
        self._lock = threading.RLock()
        self._busy = False
        self._closed = False
        self._content: Content | None = None
        self._lost = Lost()
        self._highest_step = first_step - 1
        folder = spool / "writers" / info.writer_id
        try:
            make_root(spool)
            make_inside(folder.parent)
            folder.mkdir(mode=0o700)
            make_inside(folder)
            make_inside(folder / _ASSETS)
            self._lock_descriptor = open_own(folder / "lock", os.O_RDWR | os.O_CREAT)
            fcntl.flock(self._lock_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Ending.reserve(folder)
            super().__init__(
                folder, info, clock, notices, segment_bytes, max_segment_bytes, backlog_bytes, want_reserve
            )
            info.write(folder)
        except OSError as error:
            remedy = "give a directory on a local disk with room for it: argument `dir` or RUNSTREAM_DIR"
            if error.errno in (errno.EMFILE, errno.ENFILE):
                remedy = shortage_of(error).remedy
            raise Unusable(f"the spool {spool} cannot be written ({error.strerror or error}): {remedy}") from error

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def assets_folder(self) -> Path:
        """Where files to upload are put, under their SHA-256."""
        return self._folder / _ASSETS

    @property
    def info(self) -> WriterInfo:
        return self._info

    @property
    def next_seq(self) -> int:
        """The sequence number of the next record: everything below it stands in the file."""
        return self._next_seq

    @property
    def waiting_bytes(self) -> int:
        """What waits in memory because the disk is full."""
        return self._backlog.memory_bytes if len(self._backlog) else 0

    @property
    def last_step(self) -> int:
        """The highest step of all calls of `log_row`; one below the first step before any."""
        return self._highest_step

    def last_values(self) -> dict[str, float]:
        """Return the value that each metric was written with last."""
        with self._lock:
            return self._last_values()

    def hand_content_to(self, content: Content) -> None:
        """Let `content` have the values of `log_row` that are no numbers and that it takes."""
        self._content = content

    @property
    def inside_call(self) -> bool:
        """Whether this thread is inside a call of this writer: true for a signal handler that interrupted one."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return self._busy
        finally:
            self._lock.release()

    def at_us(self) -> int:
        """The time (microseconds since 1970 UTC) of an event that is written now, which no earlier one has. A writer's
        times never go back, those of rows included: where the machine's clock is set back, they wait for it."""
        with self._lock:
            self._latest_ns = max(self._latest_ns + 1000, self._time_ns())
            return self._latest_ns // 1000

    def log_row(self, data: Any, step: Any = None) -> None:
        """Write the numbers in `data` (metric name to number) as one row. Without a step: one above the highest."""
        try:
            with self._lock:
                if not self._busy:
                    self._busy = True
                    try:
                        schema = self._schemas.get(tuple(data))
                        if schema is not None:
                            pack_into, kind, size, _ = schema
                            offset = self._offset
                            end = offset + size
                            if end <= self._limit:
                                highest = self._highest_step
                                if step is None:
                                    step = highest = highest + 1
                                else:
                                    if step.__class__ is not int:
                                        step = index(step)
                                    if step > highest:
                                        highest = step
                                at_ns = self._time_ns()
                                if at_ns < self._latest_ns:
                                    at_ns = self._latest_ns
                                self._latest_ns = at_ns
                                pack_into(self._buffer, offset, kind, step, at_ns, *data.values(), COMMIT)
                                schema[3] = offset
                                self._offset = end
                                self._next_seq += 1
                                self._highest_step = highest
                                if not self._backlog.records:
                                    return
                                data = {}
                    except BaseException:
                        self._limit = 0
                        raise
                    finally:
                        self._busy = False
        except Exception:
            pass
        try:
            self._log_slowly(data, step, counts=True)
        except Exception as error:  # the modules of a program that ends are taken apart under its last calls
            self._notices.once(f"{self._info.run_id} log", f"log() to run {self._info.run_id} failed: {error!r}")

    def log_sample(self, data: Any, step: int) -> None:
        """As `log_row`, for rows that count steps of their own: what `log_row` counts from does not change."""
        self._log_slowly(data, step, counts=False)

    def write_event(self, payload: bytes) -> bool:
        """Write a control event (JSON). False if it is too large or had to be given up."""
        if len(payload) > limits.MAX_EVENT_BYTES:
            self._notices.warn(
                f"an event of {len(payload)} bytes was left out: at most {limits.MAX_EVENT_BYTES} are allowed, log it "
                f"as an asset (it begins {payload[:80]!r})"
            )
            return False
        return self._guarded(lambda: self._backlog.add(EventRecord(payload)))

    def tick(self) -> None:
        """What another thread does now and then: write what waits, allocate the next segment. May block on the disk."""
        if self._closed:
            return
        if self._chain.reserve_wanted and self._offset > len(self._buffer) // 2:
            with contextlib.suppress(OSError):  # a full disk is dealt with when the segment is full, too
                reserve = self._chain.prepare()
                with self._lock:
                    if self._closed:
                        self._chain.drop_reserve()
                    else:
                        self._chain.keep(reserve)
        if len(self._backlog) or self._limit == 0:
            self._guarded(lambda: True)

    @property
    def lost(self) -> Lost:
        """What a full disk kept out when the writer was closed."""
        return self._lost

    def seal(self) -> bool:
        """Write what waits, and refuse calls after this. False if a signal handler calls it inside another call of the
        writer: then call it again.

        A writer that is to be seen as finished writes its `run_finished` before, or an `Ending` between `seal` and
        `release`. What the disk did not take is `lost` then.
        """
        self._retry_at_s = 0.0
        self._guarded(lambda: True)
        with self._lock:
            if self._closed:
                return True
            if self._busy:
                return False
            self._closed = True
            self._limit = 0
            waiting = self._backlog.points()
            self._lost = Lost(
                waiting + self._backlog.refused_points, self._backlog.events() + self._backlog.refused_events
            )
            self._chain.drop_reserve()
        if self._lost:
            shortage = self._shortage or shortage_of(OSError())
            self._notices.warn(
                f"run {self._info.run_id} ends while its spool in {self._folder.parent.parent} cannot grow "
                f"({shortage.cause}): {self._lost.points} points and {self._lost.events} events that waited in memory "
                f"are lost, and the run says so. Before the next one: {shortage.remedy}"
            )
        return True

    def release(self) -> None:
        """Let go of the lock: from here on the sender takes the writer for ended or dead. Only after `seal`."""
        with self._lock:
            if self._lock_descriptor >= 0:
                os.close(self._lock_descriptor)
                self._lock_descriptor = -1

    def close(self) -> bool:
        """`seal` and `release`. False as `seal`."""
        if not self.seal():
            return False
        self.release()
        return True

    def take_over(self) -> None:
        """In a signal handler that ends the process: the call that it interrupted never goes on. What that one had
        written is kept, and what the handler writes after this is written at once."""
        if self.inside_call:
            self._limit = 0
            self._busy = False

    def abandon(self) -> None:
        """In a forked child: let go of what belongs to the parent, above all its lock, and write nothing."""
        self._lock = threading.RLock()  # another thread of the parent may have held it
        self._busy = False
        self._closed = True
        self._limit = 0
        with contextlib.suppress(OSError):
            os.close(self._lock_descriptor)
        self._lock_descriptor = -1

    # The slow path.

    def _log_slowly(self, data: Any, step: Any, *, counts: bool) -> None:
        """Without the lock: convert and check (which may run code of the program's own), then queue and drain."""
        at_ns = self._time_ns()
        rows, refused, problems = clean_rows(data)
        content = self._content
        taken: list[Refused] = []
        for each in refused:
            if content is not None and content.takes(each.value):
                taken.append(each)
            else:
                problems.append(each.problem)
        whole, problem = clean_step(step)
        if problem is not None:
            problems.append(problem)

        at_step = whole

        def add() -> bool:
            nonlocal at_step
            at_step = whole if whole is not None else min(self._highest_step + 1, MAX_STEP)
            if counts and (rows or taken):
                self._highest_step = max(self._highest_step, at_step)
            self._latest_ns = max(self._latest_ns, at_ns)
            for row in rows:
                self._backlog.add(pack_row(row.names, at_step, self._latest_ns, row.values))
            return True

        self._guarded(add)
        for problem in problems:
            self._tell(problem)
        if content is not None and at_step is not None:
            for each in taken:
                content.keep(each.name, each.value, at_step)

    def _tell(self, problem: Problem) -> None:
        self._notices.once(f"{self._info.run_id} {problem.key}", f"run {self._info.run_id}: {problem.message}")

    def _guarded(self, add: Callable[[], bool]) -> bool:
        """Run `add`, which queues records, and write the queue. Called without the lock."""
        added = refused = False
        try:
            with self._lock:
                if self._closed:
                    refused = True
                elif self._busy:
                    added = add()  # inside another call of this thread, which writes it when it goes on
                else:
                    self._busy = True
                    try:
                        self._settle()
                        added = add()
                        self._drain()
                    except BaseException:
                        self._limit = 0
                        raise
                    finally:
                        self._busy = False
        except Exception as error:  # a fault of ours or of the file system must not reach training
            self._note(f"fault {type(error).__name__}", f"writing to {self._folder} failed: {error!r}")
        while self._pending_notices:  # without the lock: a log handler of the program's may call log() itself
            with contextlib.suppress(IndexError):
                self._notices.once(*self._pending_notices.pop(0))
        if refused:
            self._notices.finished(self._info.run_id)
        return added
