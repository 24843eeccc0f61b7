"""Frames made from a seed, and the facts that they state in plain Python: what must be visible in the end."""

import json
import math
import random
import struct
from collections import defaultdict
from dataclasses import dataclass, field

from runstream.events import encoding, frame
from runstream.events.artifacts import (
    AddedFile,
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactEvent,
    ArtifactFile,
    ArtifactFilesAdded,
    ArtifactUpdated,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    ArtifactVersionUpdated,
)
from runstream.events.control import (
    AssetLogged,
    ExperimentCreated,
    OthersLogged,
    OutputAppended,
    ParametersLogged,
    ProjectUpdated,
    RunFinished,
    RunLinked,
    RunStarted,
    RunUnlinked,
    TagsAdded,
    encode_event,
)
from runstream.events.entities import EntityCreated, EntityDeleted, EntityEvent, EntityReplaced

#: Run, metric, step, time in us, the value's bytes (NaN equals itself), epoch.
Point = tuple[str, str, int, int, bytes, int | None]


@dataclass
class Recorded:
    """Records for a log, in order, and what they say."""

    records: list[tuple[bytes, bytes]] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    events: int = 0
    parameters: dict[tuple[str, str], str] = field(default_factory=dict)
    output: list[tuple[str, str]] = field(default_factory=list)

    def values(self) -> dict[tuple[str, str], list[Point]]:
        """The points of each (run, metric)."""
        by_series = defaultdict(list)
        for point in self.points:
            by_series[point[0], point[1]].append(point)
        return by_series


class Writing:
    """One writer of one run: makes frames without gaps, and sends some of them again in another cut. Those of every
    second run know epochs."""

    def __init__(self, seed: random.Random, run: str, number: int, metrics: list[str]) -> None:
        self._random = seed
        self._run = run
        self._writer = f"{number:032x}"
        self._knows_epochs = number // 1000 % 2 == 1
        self._metrics = metrics
        self._next_seq = 0
        self._rows: list[tuple[int, int, list[float]]] = []  # of the last frame, to be sent again
        self._step = 0

    def events(self, into: Recorded, *events: object) -> None:
        """A frame with control events."""
        pairs = [[self._next_seq + i, json.loads(encode_event(event))] for i, event in enumerate(events)]  # type: ignore[arg-type]
        self._send(into, len(events), events=json.dumps(pairs).encode())
        into.events += len(events)
        for event in events:
            if isinstance(event, ParametersLogged):
                into.parameters.update({(self._run, name): json.dumps(value) for name, value in event.values.items()})
            if isinstance(event, OutputAppended):
                into.output.append((self._run, event.text))

    def rows(self, into: Recorded, count: int) -> None:
        """A frame with rows of points; now and then it begins with rows that were sent before."""
        again = self._random.randrange(len(self._rows) + 1) if self._random.random() < 0.3 else 0
        new = [self._row() for _ in range(count)]
        sent = self._rows[len(self._rows) - again :] + new
        first = self._next_seq - again
        data = encoding.encode_frame(self._writer, self._run, first, first + len(sent), b"", [self._group(sent)])
        into.records.append((self._run.encode(), data))
        self._next_seq += count
        self._rows = sent
        for step, at_ns, values in new:
            for metric, value in zip(self._metrics, values, strict=True):
                value_bytes = struct.pack("<d", value)
                into.points.append((self._run, metric, step, at_ns // 1000, value_bytes, self._epoch(step)))

    def _group(self, rows: list[tuple[int, int, list[float]]]) -> frame.Group:
        epochs = [self._epoch(step) for step, _, _ in rows]
        if any(epoch is not None for epoch in epochs):
            every = range(len(self._metrics))
            ragged = [(seq, step, at_ns, every, values) for seq, (step, at_ns, values) in enumerate(rows)]
            return encoding.encode_ragged(self._metrics, ragged, epochs)
        packed = b"".join(struct.pack(f"<qq{len(row[2])}d", row[0], row[1], *row[2]) for row in rows)
        names = "\n".join(self._metrics).encode()
        return encoding.encode_rows(names, len(rows), encoding.transposed(packed, 16 + 8 * len(self._metrics)), 0)

    def _epoch(self, step: int) -> int | None:
        """The first steps of every hundred have none, and so have whole frames."""
        return step // 100 if self._knows_epochs and step % 100 >= 40 else None

    def _row(self) -> tuple[int, int, list[float]]:
        self._step += self._random.choice((1, 1, 1, -3, 7))
        odd = (math.nan, math.inf, -math.inf, -0.0, 1e308, 5e-324)
        values = [
            self._random.choice(odd) if self._random.random() < 0.05 else self._random.gauss(0, 1)
            for _ in self._metrics
        ]
        return self._step, 1_700_000_000_000_000_000 + self._random.randrange(10**12), values

    def _send(self, into: Recorded, count: int, events: bytes) -> None:
        data = encoding.encode_frame(self._writer, self._run, self._next_seq, self._next_seq + count, events)
        into.records.append((self._run.encode(), data))
        self._next_seq += count
        self._rows = []


def recorded(seed: int, runs: int, frames: int, *, first: str | None = None) -> Recorded:
    """Runs of one or two writers with points, events, repeats, and records that cannot be read. `first`: a run that
    is over before the others begin."""
    source = random.Random(seed)
    into = Recorded()
    names = ([first] if first else []) + [f"run-{number}" for number in range(runs)]
    writers: list[Writing] = []
    catalog = Writing(source, "w/p", 999_999, [])
    registry = Writing(source, "w/model-a", 999_998, [])
    chooser = random.Random(seed + 1)  # its own: what is drawn for artifacts and entities changes nothing else
    for number, run in enumerate(names):
        for rank in range(source.choice((1, 2))):
            metrics = [f"metric-{i}" for i in range(source.choice((1, 3, 10)))]
            writing = Writing(source, run, 1000 * number + rank + 1, metrics)
            started = RunStarted(at_us=1, workspace="w", project="p", name=run, rank=rank)
            writing.events(into, started, TagsAdded(at_us=2, tags=("fault",)))
            if run == first:
                for _ in range(5):
                    writing.rows(into, 20)
                writing.events(into, RunFinished(at_us=9))
            else:
                writers.append(writing)
    versions = 0
    for _ in range(frames):
        writing = source.choice(writers)
        if chooser.random() < 0.3:
            catalog.events(into, *(artifact_event(chooser, "p", chooser.choice(("panel-a", "panel-b"))) for _ in "ab"))
            registry.events(into, artifact_event(chooser, None, "model-a"))
            catalog.events(into, *(entity_event(chooser, "p") for _ in "abc"))
            versions += 1  # of an artifact of its own, as an entity, so that every table has rows to the end
            made = {"at_us": 8, "workspace": "w", "project": "p", "kind": "thing", "name": f"made-{versions}"}
            catalog.events(into, EntityCreated(**made, entity=f"{versions:032x}"))
            remarked = {"at_us": 8, "workspace": "w", "project": "p", "artifact_type": "thing", "name": "remarked"}
            catalog.events(
                into,
                ArtifactVersionLogged(**remarked, open=True),
                ArtifactVersionRemarked(**remarked, ordinal=versions, remark={"x": versions}),
                ArtifactFilesAdded(**remarked, ordinal=versions, files=(added_file(chooser),)),
            )
        match source.randrange(10):
            case 0:
                parameter = ParametersLogged(at_us=3, values={f"p{source.randrange(5)}": source.random()})
                tags = TagsAdded(at_us=3, tags=(f"tag-{source.random()}",))
                link = (RunLinked, RunLinked, RunUnlinked)[len(into.records) % 3]
                writing.events(into, parameter, tags, link(at_us=3, workspace="w", project=f"p{len(into.records) % 4}"))
            case 1:
                writing.events(into, OutputAppended(at_us=4, stream="stdout", text=f"line {source.random()}\n"))
            case 2:
                digest = f"{source.getrandbits(256):064x}"
                context = (None, "train", "validate")[int(digest, 16) % 3]
                asset = AssetLogged(
                    at_us=5,
                    asset_id=digest[:8],
                    name="a.bin",
                    sha256=digest,
                    size_bytes=3,
                    context=context,
                    role=context,
                )
                writing.events(into, OthersLogged(at_us=5, values={"note": "x"}), asset)
                catalog.events(
                    into,
                    ProjectUpdated(at_us=6, workspace="w", project="p", notes=digest[:5]),
                    ExperimentCreated(at_us=7, workspace="w", project="p", experiment=digest[:3]),
                )
            case 3:
                into.records.append((b"run-0", b"no frame at all"))
            case _:
                writing.rows(into, source.randrange(1, 30))
    for writing in writers:
        writing.events(into, RunFinished(at_us=9))
    return into


def entity_event(source: random.Random, project: str) -> EntityEvent:
    """Something that happens to an entity; much of it is refused."""
    name = source.choice(("a", "a/b", "a/c"))
    place = {"at_us": 8, "workspace": "w", "project": project, "kind": "thing", "name": name}
    entity = f"{source.randrange(2):032x}"
    match source.randrange(6):
        case 0:
            return EntityDeleted(**place, entity=entity, revision=source.randrange(1, 3), below=source.random() < 0.5)
        case 1 | 2:
            properties = {"x": source.random()}
            return EntityReplaced(**place, entity=entity, revision=source.randrange(1, 4), properties=properties)
        case _:
            return EntityCreated(**place, entity=entity, properties={"x": source.random()})


def artifact_event(source: random.Random, project: str | None, name: str) -> ArtifactEvent:
    """Something that happens to an artifact; much of it is refused."""
    place = {"at_us": 8, "workspace": "w", "project": project, "artifact_type": "thing", "name": name}
    labels = tuple(source.sample(("best", "production", "old"), source.randrange(3)))
    ordinal = source.randrange(1, 8)
    match source.randrange(10):
        case 0:
            return ArtifactCreated(**place, description=f"{source.random()}", tags=labels)
        case 1:
            return ArtifactUpdated(**place, notes=f"{source.random()}")
        case 2 if source.random() < 0.3:
            return ArtifactDeleted(**place)
        case 2 | 3:
            return ArtifactVersionUpdated(**place, ordinal=ordinal, aliases_added=labels, comment=f"{source.random()}")
        case 4:
            return ArtifactVersionDeleted(**place, ordinal=ordinal)
        case 5:
            return ArtifactVersionRemarked(**place, ordinal=ordinal, remark={"x": source.random()})
        case 6:
            return ArtifactFilesAdded(**place, ordinal=ordinal, files=(added_file(source),))
        case _:
            version = source.choice((None, None, f"{source.randrange(9)}"))
            file = ArtifactFile(name="a.bin", sha256=f"{source.getrandbits(256):064x}", size_bytes=3)
            return ArtifactVersionLogged(
                **place,
                version=version,
                aliases=labels,
                files=(file,),
                metadata={"x": ordinal},
                open=source.random() < 0.5,
            )


def added_file(source: random.Random) -> AddedFile:
    """A file of an open version, which often takes the place of another."""
    name, sha256 = source.choice(("a.bin", "../b.bin", "c")), f"{source.getrandbits(256):064x}"
    return AddedFile(name=name, sha256=sha256, size_bytes=source.randrange(9))
