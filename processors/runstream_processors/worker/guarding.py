"""The guard of a worker: it marks what is decoded, and at the start looks after what the last process died of."""

import asyncio
import faulthandler
import hashlib
import logging
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from runstream.events.positions import Positions
from runstream_processors.worker.marks import CrashMark
from runstream_processors.worker.settings import WorkerSettings
from runstream_processors.worker.suspects import SetAsideRecord, Suspects
from runstream_processors.worker.trial import TrialFailed, try_records
from runstream_service.log import LogReader, Record

logger = logging.getLogger(__name__)

#: Values of the records of one trial; more are tried in several.
_TRIAL_BYTES: Final = 32_000_000
_READ_BYTES: Final = 4_000_000
_FAULT: Final = "fault.txt"
_FAULTS: Final = (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
_OOM: Final = "out-of-memory.txt"


@dataclass(frozen=True, slots=True)
class CrashDirectory:
    """Where the guards of a process keep their files. `trace`: what the last process left when it died; None if
    nothing, which is what a kill from outside looks like."""

    path: Path
    trace: str | None = None

    @classmethod
    def open(cls, path: Path) -> "CrashDirectory":
        """Make the directory if it is missing, read what the last process left, and write faults of this one into it
        from now on. For the main thread, once a process, behind the opening of a store: its engine has handlers of
        faults that let the process hang for minutes. Raises OSError."""
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        fault, oom = path / _FAULT, path / _OOM
        text = fault.read_text("utf-8", "replace").strip() if fault.exists() else ""
        kills, killed_before = _oom_kills(), oom.read_text("ascii", "replace") if oom.exists() else ""
        oom.write_text(kills, "ascii")
        trace = " / ".join(text.splitlines()[:3]) or None
        if trace is None and killed_before and killed_before != kills:
            trace = "the kernel was out of memory and killed a process"
        if trace is not None:
            logger.warning("the last process ended by a fault: %s (%s)", trace, fault)
        _write_faults(fault)
        return cls(path, trace)


class CrashGuard:
    """Of one worker; see `runstream_processors.worker.suspects` for what it decides. Without a directory it knows of
    nothing and marks nothing.

    In this order: `examine` and `begin` before records are decoded, `under_way` before each, `close` at the end.
    """

    def __init__(
        self, directory: CrashDirectory | None, name: str, settings: WorkerSettings, *, also: Sequence[str] = ()
    ) -> None:
        """name: that of the files, different for each worker of the directory. also: the names of other guards; what
        they have set aside is known here, too."""
        self._directory = directory
        self._name = name
        self._settings = settings
        self._mark: CrashMark | None = None
        self._suspects = Suspects()
        self._known = _set_aside_before(directory.path, also) if directory is not None else ()
        self._examined = directory is None

    @classmethod
    def of_files(cls, directory: Path, *names: str) -> "CrashGuard":
        """A guard that only knows what guards of these names set aside before, for a rebuild."""
        guard = cls(None, names[0], WorkerSettings())
        guard._known = _set_aside_before(directory, names)
        return guard

    @property
    def is_careful(self) -> bool:
        """Whether records are folded in pieces, each written before the next is decoded."""
        return self._suspects.piece > 0

    def most(self, records: int) -> int:
        """How many records to take at once, where `records` are taken otherwise."""
        return min(records, self._suspects.piece or records)

    def objection(self, record: Record) -> str | None:
        """Why a record is not to be decoded; None for nearly all."""
        for one in (*self._suspects.set_aside, *self._known):
            if (one.part, one.offset) == (record.partition, record.offset) and one.is_record(record):
                return one.detail
        return None

    def under_way(self, record: Record) -> None:
        """The record is decoded next."""
        if self._mark is not None:
            self._mark.under_way(record.partition, record.offset)

    def begin(self, next_offsets: Mapping[int, int]) -> None:
        """The worker goes on from here."""
        if self._mark is not None:
            self._mark.begin(next_offsets)

    def visible(self, positions: Positions) -> None:
        """Everything up to there is in the tables."""
        if self._suspects.tried and self._suspects.is_past(positions):
            logger.info("the records that a process died with are in the tables; folding goes on as usual")
            self._set(self._suspects.cleared())

    async def examine(self, log: LogReader, next_offsets: Mapping[int, int], stop: asyncio.Event) -> None:
        """Once a process: what the last one had under way when it died, and what to make of it. Raises LogError."""
        if self._examined or self._directory is None:
            return
        try:
            self._mark = self._mark or CrashMark.open(self._directory.path / f"{self._name}.mark")
            self._suspects = Suspects.load(self._path)
        except OSError as error:
            logger.warning("deaths of this worker leave no mark, so a record that it dies of is not found: %s", error)
        if self._mark is None:
            self._examined = True
            return
        left = self._mark.left_open()
        under_way = {
            part: range(begin, left[part] + 1) for part, begin in next_offsets.items() if left.get(part, -1) >= begin
        }
        if under_way:
            await self._judge(log, under_way, stop)
        self._examined = True

    def close(self) -> None:
        """The worker ends in order, or its process goes on without it."""
        if self._mark is not None:
            self._mark.close()
            self._mark = None

    @property
    def _path(self) -> Path:
        assert self._directory is not None
        return self._directory.path / f"{self._name}.json"

    def _set(self, suspects: Suspects) -> None:
        self._suspects = suspects
        if self._directory is not None:
            try:
                suspects.save(self._path)
            except OSError as error:
                logger.warning("what is known of the worker's deaths could not be kept: %s", error)

    async def _judge(self, log: LogReader, under_way: Mapping[int, range], stop: asyncio.Event) -> None:
        assert self._directory is not None
        where = ", ".join(f"{part}:{some.start}-{some.stop - 1}" for part, some in sorted(under_way.items()))
        count = sum(map(len, under_way.values()))
        suspects, is_new = self._suspects.after_death(under_way, self._directory.trace is not None)
        if is_new:
            logger.info("a process died with %d records under way (%s); they are tried in another one", count, where)
            found = await self._tried(log, under_way, stop)
            if found is None:
                return  # stopped; the mark is as it was
            suspects = suspects.after_trial(under_way, found)
        elif count > 1:
            logger.warning(
                "a process died again with records under way that pass alone (%s); they are folded %d at a time",
                where,
                suspects.piece,
            )
        settings = self._settings
        if (found_guilty := suspects.condemned(settings.traced_deaths, settings.untraced_deaths)) is not None:
            (part, offset), deaths = found_guilty
            record = await _read_one(log, part, offset)
            detail = f"{sum(deaths)} processes died while they folded this record alone, {deaths[0]} of them by a fault"
            if record is not None:
                suspects = suspects.after_trial({}, (_set_aside(record, detail),))
        elif not is_new and count == 1:
            logger.warning("a process died with the record %s alone under way; it is tried again", where)
        self._set(suspects)

    async def _tried(
        self, log: LogReader, under_way: Mapping[int, range], stop: asyncio.Event
    ) -> tuple[SetAsideRecord, ...] | None:
        """The records that bring down a child process; None if `stop` was set meanwhile."""
        found: list[SetAsideRecord] = []
        for part, offsets in sorted(under_way.items()):
            at = offsets.start
            while at < offsets.stop:
                records, at = await _read_some(log, part, at, offsets.stop)
                records = [record for record in records if self.objection(record) is None]
                found += await self._verdicts(records, stop) if records else []
                if stop.is_set():
                    self._leave()
                    return None
        return tuple(found)

    async def _verdicts(self, records: list[Record], stop: asyncio.Event) -> list[SetAsideRecord]:
        by_place = {(record.partition, record.offset): record for record in records}
        settings = self._settings
        bounds: dict[str, Any] = {
            "memory_bytes": settings.trial_memory_bytes,
            "cpu_s": settings.trial_cpu_s,
            "wall_s": settings.trial_wall_s,
        }
        try:
            verdicts = await asyncio.to_thread(try_records, records, is_stopped=stop.is_set, **bounds)
        except (TrialFailed, OSError, ValueError, TypeError, KeyError) as error:
            logger.warning("it is not known which record a process died of, all are folded again: %s", error)
            return []
        found = []
        for verdict in verdicts:
            record = by_place[verdict.part, verdict.offset]
            detail = f"{len(record.value)} bytes that end the process which decodes or folds them ({verdict.how})"
            found.append(_set_aside(record, detail))
        return found

    def _leave(self) -> None:
        """Let the mark be as the process before left it."""
        if self._mark is not None:
            self._mark.leave()
            self._mark = None


async def _read_some(log: LogReader, part: int, begin: int, end: int) -> tuple[list[Record], int]:
    """Records of [begin, end) of a partition, a trial's worth, and where to go on."""
    found: list[Record] = []
    size = 0
    while begin < end and size < _TRIAL_BYTES:
        records = await log.read(part, begin, _READ_BYTES, 1.0)
        if not records:
            return found, end
        found += [record for record in records if record.offset < end]
        size += sum(len(record.value) for record in records)
        begin = records[-1].offset + 1
    return found, begin


async def _read_one(log: LogReader, part: int, offset: int) -> Record | None:
    records = await log.read(part, offset, 1, 1.0)
    return records[0] if records and records[0].offset == offset else None


def _set_aside_before(directory: Path, names: Iterable[str]) -> tuple[SetAsideRecord, ...]:
    return tuple(one for name in names for one in Suspects.load(directory / f"{name}.json").set_aside)


def _set_aside(record: Record, detail: str) -> SetAsideRecord:
    logger.error(
        "record %d:%d of %r is set aside unread: %s. Its bytes will be in the table `quarantine`",
        record.partition,
        record.offset,
        record.key.decode(errors="replace"),
        detail,
    )
    return SetAsideRecord(record.partition, record.offset, hashlib.sha256(record.value).hexdigest(), detail)


def _write_faults(path: Path) -> None:
    file = path.open("w", encoding="utf-8")
    faulthandler.disable()
    try:
        for number in _FAULTS:
            signal.signal(number, signal.SIG_DFL)
    except ValueError:
        file.close()
        return  # a server in a thread: its process is somebody else's
    faulthandler.enable(file, all_threads=False)  # keeps the file


def _oom_kills() -> str:
    """How often the kernel killed a process for memory since it started; "" where that is not told."""
    try:
        lines = Path("/proc/vmstat").read_text("ascii").splitlines()
        booted = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""
    return next((f"{booted} {line.split()[1]}" for line in lines if line.startswith("oom_kill ")), "")


def locked_slot(directory: Path, slots: int = 64) -> tuple[Path, Callable[[], None]]:
    """A directory in `directory` that no other process has, and what gives it back. Raises OSError if all are taken."""
    import fcntl

    for number in range(slots):
        slot = directory / f"worker-{number}"
        slot.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(slot / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return slot, lambda descriptor=descriptor: os.close(descriptor)
    raise OSError(f"{slots} processes have a directory in {directory} each")
