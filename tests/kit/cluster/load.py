"""What the cells of the crash matrix log, and what each of them knows about it: real trainers, trainers to be killed,
and frames of every kind that are appended to the log directly."""

import asyncio
import random
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from zlib import crc32

from kit.children import killed_trainers
from kit.children.trainer import CONTROL_EVERY, step_of, values_of
from kit.recorded.seeded import Recorded, Writing, artifact_event, entity_event
from kit.sending import kills
from kit.sending.collector import Record
from kit.servers.embedded import Trainers
from runstream.events.artifacts import ArtifactVersionLogged, ArtifactVersionRemarked
from runstream.events.control import (
    AssetLogged,
    ExperimentCreated,
    OthersLogged,
    OutputAppended,
    ParametersLogged,
    ProjectUpdated,
    RunFinished,
    RunStarted,
    TagsAdded,
)
from runstream.events.entities import EntityCreated
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_ingest.log.kafka.writer import KafkaWriter
from runstream_service.log import LogUnavailable

Value = tuple[str, str, int, int]  # run, metric, step, the value's bits

_CALLS = ("parameters_logged.v1", "others_logged.v1")
_NO_FRAME = b"no frame at all"
#: How often an append is made before its last failure ends the load.
_MOST_APPENDS = 10


def bits_of(value: float) -> int:
    """A number's 64 bits: NaN equals itself, and -0.0 is not 0.0."""
    return int.from_bytes(struct.pack("<d", value), "little")


@dataclass
class Facts:
    """What was produced: how many calls (records of the log that are somebody's call), and every value in them."""

    calls: int
    values: Counter[Value]
    #: How many records that nobody can read were appended, and how many of them perhaps once more.
    unreadable: int = 0
    repeated: int = 0


def unreadable_in(records: Sequence[tuple[bytes, bytes]]) -> int:
    return sum(value == _NO_FRAME for _, value in records)


def is_call(record: Record) -> bool:
    """Whether a record of an SDK's run is a call of the trainer's (and not what the SDK adds by itself)."""
    return isinstance(record, tuple) or record["type"] in _CALLS


class CellTrainers(Trainers):
    """Trainers whose runs have the cell's name."""

    def __init__(self, cell: str, folder: Path, url: str, count: int = 2, burst: int = 40) -> None:
        self.prefix = f"{cell}-"
        folder.mkdir(exist_ok=True)
        super().__init__(folder, url, count, burst=burst)
        self.spool = folder / "spool"

    def run_id(self, seed: int) -> str:
        return f"{self.prefix}{seed}"

    def end(self) -> None:
        """Wait until everything is acknowledged."""
        self.finish()

    def is_call(self, record: Record) -> bool:
        return is_call(record)

    def facts(self, _: Mapping[str, Sequence[Record]]) -> Facts:
        values = Counter(
            (self.run_id(seed), metric, step_of(row), bits_of(value))
            for seed, rows in self.rows.items()
            for row in range(rows)
            for metric, value in values_of(seed, row).items()
        )
        calls = sum(rows + len(range(0, rows, CONTROL_EVERY)) for rows in self.rows.values())
        return Facts(calls, values)


class KilledTrainers(kills.Trainers):
    """Trainers that may be killed at any moment. What a call returned for must be there; a call during which its
    trainer died may be there or not, whole."""

    prefix = "trainer-"

    def __init__(self, folder: Path, url: str) -> None:
        (folder / "progress").mkdir(parents=True)
        super().__init__(folder / "spool", url, folder / "progress")

    def is_call(self, record: Record) -> bool:
        return is_call(record)

    def facts(self, in_log: Mapping[str, Sequence[Record]]) -> Facts:
        facts = Facts(0, Counter())
        for trainer in range(self.count):
            path = self.progress / f"{trainer}.progress"
            if not path.exists():
                continue  # killed before it began
            run, done = killed_trainers.run_id(trainer), killed_trainers.read_progress(path)
            records = in_log.get(run, ())
            rows = sum(isinstance(record, tuple) for record in records)
            others = sum(is_call(record) for record in records) - rows
            # Within a call when it died: that one may count.
            made = done.rows + (rows == done.rows + 1), done.others + (others == done.others + 1)
            facts.calls += sum(made)
            for row in range(made[0]):
                for metric, value in killed_trainers.row(trainer, row).items():
                    facts.values[run, metric, row, bits_of(value)] += 1
        return facts


@dataclass
class _Writer:
    run: str
    writing: Writing
    is_project: bool = False


@dataclass
class FrameLoad:
    """Frames of every kind (points of all shapes, events for every table, records that nobody can read, and repeats in
    another cut), appended to every partition of the log by `append`."""

    cell: str
    settings: KafkaSettings
    partitions: int
    seed: int = 1
    facts_so_far: Recorded = field(default_factory=Recorded)
    calls: int = 0
    #: Unreadable records of appends that were made again, because nobody said what became of them.
    repeated: int = 0

    def __post_init__(self) -> None:
        self.prefix = f"{self.cell}-"
        self._random = random.Random(self.seed)
        self._writers = list(self._make_writers())
        self._loop = asyncio.Runner()
        self._sent = 0

    def __enter__(self) -> Self:
        self._log = self._loop.run(KafkaWriter.open(self.settings))
        for writer in self._writers:
            if not writer.is_project:
                self._events(writer, RunStarted(at_us=1, workspace="w", project="p", name=writer.run))
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._log.close())
        self._loop.close()

    def append(self, frames: int) -> None:
        """Append so many frames to partitions at random, and wait for the acknowledgement. Raises LogUnavailable."""
        for _ in range(frames):
            self._frame(self._random.choice(self._writers))
        self._loop.run(self._send())

    def end(self) -> None:
        """Finish the runs."""
        for writer in self._writers:
            if not writer.is_project:
                self._events(writer, RunFinished(at_us=9))
        self._loop.run(self._send())

    def runs(self) -> list[str]:
        return [writer.run for writer in self._writers if not writer.is_project]

    def is_call(self, record: Record) -> bool:
        return True

    def facts(self, _: Mapping[str, Sequence[Record]]) -> Facts:
        values = Counter(
            (run, metric, step, int.from_bytes(packed, "little"))
            for run, metric, step, _, packed, _ in self.facts_so_far.points
        )
        return Facts(self.calls, values, unreadable_in(self.facts_so_far.records), self.repeated)

    def _make_writers(self) -> Iterator[_Writer]:
        """A run and a project in every partition."""
        for part in range(self.partitions):
            for is_project, name in ((False, self.prefix), (True, f"w/{self.prefix}")):
                key = next(
                    f"{name}{number}"
                    for number in range(10_000)
                    if crc32(f"{name}{number}".encode()) % self.partitions == part
                )
                metrics = [f"metric-{number}" for number in range(self._random.choice((1, 3, 10)))]
                number = crc32(key.encode()) << 32 | self.seed
                yield _Writer(key, Writing(self._random, key, number, metrics), is_project)

    async def _send(self) -> None:
        """Append what is new, again where it is unknown whether it arrived: a frame counts once, however often it is
        in the log."""
        records = self.facts_so_far.records[self._sent :]
        for attempt in range(_MOST_APPENDS):
            try:
                await self._log.append(records)
                break
            except LogUnavailable:
                if attempt == _MOST_APPENDS - 1:
                    raise
                self.repeated += unreadable_in(records)
                await asyncio.sleep(0.2)
        self._sent += len(records)

    def _events(self, writer: _Writer, *events: object) -> None:
        writer.writing.events(self.facts_so_far, *events)
        self.calls += len(events)

    def _frame(self, writer: _Writer) -> None:
        source = self._random
        digest = f"{source.getrandbits(256):064x}"
        if writer.is_project:
            project = writer.run.split("/")[1]
            named = {"workspace": "w", "project": project}
            self._events(writer, ProjectUpdated(at_us=6, notes=digest[:5], **named))
            self._events(writer, ExperimentCreated(at_us=7, experiment=digest[:3], **named))
            thing = {"artifact_type": "thing", "name": "logged", **named}
            logged = ArtifactVersionLogged(at_us=8, comment=digest[:4], **thing)
            remarked = ArtifactVersionRemarked(at_us=8, ordinal=1, remark={"digest": digest[:4]}, **thing)
            self._events(writer, artifact_event(source, project, "a"), logged, remarked)
            made = EntityCreated(at_us=8, kind="thing", name=digest, entity=digest[:32], **named)
            self._events(writer, entity_event(source, project), made)
            return
        match source.randrange(8):
            case 0:
                parameter = ParametersLogged(at_us=3, values={f"p{source.randrange(5)}": source.random()})
                self._events(writer, parameter, TagsAdded(at_us=3, tags=(f"tag-{digest[:2]}",)))
            case 1:
                self._events(writer, OutputAppended(at_us=4, stream="stdout", text=f"line {digest[:8]}\n"))
            case 2:
                asset = AssetLogged(at_us=5, asset_id=digest[:8], name="a.bin", sha256=digest, size_bytes=3)
                self._events(writer, OthersLogged(at_us=5, values={"note": "x"}), asset)
            case 3:
                self.facts_so_far.records.append((writer.run.encode(), _NO_FRAME))
            case _:
                count = source.randrange(1, 30)
                writer.writing.rows(self.facts_so_far, count)
                self.calls += count
