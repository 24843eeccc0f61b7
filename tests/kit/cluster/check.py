"""The proof of a cell: what was produced, what is in the log, what the store shows, and what a rebuild gives."""

import asyncio
import math
import struct
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kit.cluster.load import Facts, Value, bits_of
from kit.cluster.processes import Cluster
from kit.oracles import metrics
from kit.sending.collector import Record, records_of, same
from runstream.events.frame import InvalidFrame, decode_frame
from runstream_ingest.log.kafka.reader import KafkaReader
from runstream_processors.rebuild import rebuild, table_hashes
from runstream_processors.store.http import HttpStore
from runstream_processors.store.resume import commits
from runstream_service.log import LogReader
from runstream_service.store import StoreReader, StoreUnavailable

#: So long may no commit row move while the log's end is not reached.
_STILL_S = 120.0


class Load(Protocol):
    """What was logged under keys that begin with `prefix` (a run's) or `w/prefix` (a project's)."""

    prefix: str

    def is_call(self, record: Record) -> bool: ...
    def facts(self, in_log: Mapping[str, Sequence[Record]]) -> Facts: ...


@dataclass
class Row:
    """A line of the matrix. Records are calls that returned; points are the values in them."""

    cell: str
    kills: str
    produced: int = 0
    acknowledged: int = 0
    folded: int = 0
    points: int = 0
    visible: int = 0
    lost: int = 0
    doubled: int = 0
    summaries: int = 0
    #: Whether the tables were compared with those of a rebuild.
    rebuilt: bool = False
    differences: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return (
            self.produced == self.acknowledged == self.folded > 0
            and self.points == self.visible > 0
            and not self.lost
            and not self.doubled
            and not self.differences
        )


@dataclass
class Logged:
    """What the log holds of a load: by key, and by (writer, seq), in which a record counts once."""

    keys: dict[tuple[str, int], str] = field(default_factory=dict)
    records: dict[tuple[str, int], Record] = field(default_factory=dict)
    #: Records that are no frames: each of them counts.
    unreadable: int = 0

    def by_key(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for name, record in self.records.items():
            found.setdefault(self.keys[name], []).append(record)
        return found


async def begin(cluster: Cluster) -> Mapping[int, int]:
    """Where the log ends now: what a cell logs stands behind it."""
    log = await KafkaReader.open(cluster.kafka_settings())
    try:
        return await log.next_offsets()
    finally:
        await log.close()


async def checked(
    cluster: Cluster,
    row: Row,
    loads: Sequence[Load],
    begun: Mapping[int, int],
    database: str = "runstream",
    rebuilds: bool = True,
) -> Row:
    """Wait until everything in the log is visible, then compare; what differs stands in the row. database: that of the
    generation that serves. rebuilds: whether to compare the tables with those of a rebuild, too."""
    log = await KafkaReader.open(cluster.kafka_settings())
    store = await HttpStore.open(cluster.store_settings(database=database))
    try:
        end = await _drained(log, store)
        for load in loads:
            logged = await _read(log, begun, end, load.prefix)
            await _check_load(store, row, load, logged)
        if rebuilds:
            row.rebuilt = True
            row.differences += await _unlike_rebuilt(cluster, log, store)
    finally:
        await store.close()
        await log.close()
    return row


async def unlike_rebuilt(cluster: Cluster) -> list[str]:
    """Wait until everything in the log is visible; return how the tables differ from those of a rebuild."""
    log = await KafkaReader.open(cluster.kafka_settings())
    store = await HttpStore.open(cluster.store_settings())
    try:
        await _drained(log, store)
        return await _unlike_rebuilt(cluster, log, store)
    finally:
        await store.close()
        await log.close()


async def _drained(log: LogReader, store: StoreReader) -> Mapping[int, int]:
    """Until the commit rows are at the log's end, which nobody moves any more."""
    last: dict[int, tuple[int, int]] = {}
    deadline_s = time.monotonic() + _STILL_S
    while True:
        end = await log.next_offsets()
        try:
            found = {part: commit.next_offset for part, commit in (await commits(store)).items()}
        except StoreUnavailable:
            found = {}
        behind = {part: (found.get(part, 0), offset) for part, offset in end.items() if found.get(part, 0) < offset}
        if not behind:
            return end
        if behind != last:
            last, deadline_s = behind, time.monotonic() + _STILL_S
        assert time.monotonic() < deadline_s, f"partitions (folded, of): {behind}, and nothing moved for {_STILL_S:g} s"
        await asyncio.sleep(0.5)


async def folded(cluster: Cluster) -> int:
    """How many records the commit rows say are folded; -1 while the store does not answer."""
    store = await HttpStore.open(cluster.store_settings())
    try:
        return sum(commit.next_offset for commit in (await commits(store)).values())
    except StoreUnavailable:
        return -1
    finally:
        await store.close()


async def _read(log: LogReader, begun: Mapping[int, int], end: Mapping[int, int], prefix: str) -> Logged:
    logged = Logged()
    for part, end_offset in end.items():
        at = begun.get(part, 0)
        while at < end_offset:
            for record in await log.read(part, at, 4_000_000, 5.0):
                at = record.offset + 1
                key = record.key.decode()
                if key.startswith((prefix, f"w/{prefix}")):
                    _take(logged, key, record.value)
    return logged


def _take(logged: Logged, key: str, value: bytes) -> None:
    try:
        frame = decode_frame(value)
    except InvalidFrame:
        logged.unreadable += 1  # meant so: see `Facts.unreadable`
        return
    for seq, found in records_of(frame).items():
        name = (frame.header.writer_id, seq)
        logged.keys[name] = key
        assert same(logged.records.setdefault(name, found), found), f"two records under {name}"


async def _check_load(store: StoreReader, row: Row, load: Load, logged: Logged) -> None:
    facts = load.facts(logged.by_key())
    calls = [name for name, record in logged.records.items() if load.is_call(record)]
    row.produced += facts.calls
    row.acknowledged += len(calls)
    seen = await _seen(store, load.prefix)
    row.folded += sum(any(low <= seq < high for low, high in seen.get(writer, ())) for writer, seq in calls)
    unseen = [name for name in logged.records if not any(a <= name[1] < b for a, b in seen.get(name[0], ()))]
    if unseen:
        row.differences.append(f"records of the log that the watermarks do not have: {len(unseen)}")
    points = await _points(store, load.prefix)
    row.points += sum(facts.values.values())
    row.visible += len(points)
    shown: Counter[Value] = Counter((p.run, p.metric, p.step, bits_of(p.value)) for p in points)
    row.lost += sum((facts.values - shown).values())
    row.doubled += sum((shown - facts.values).values())
    _check_against_log(row, points, logged)
    await _check_summaries(store, row, points, load.prefix)
    await _check_events(store, row, logged, facts, load.prefix)


def _check_against_log(row: Row, points: Sequence[metrics.Point], logged: Logged) -> None:
    """Times and writers, which the trainers do not know, are those of the log."""
    wanted = Counter(
        (logged.keys[writer, seq], metric, record[0], record[1], bits_of(value), writer[:16])
        for (writer, seq), record in logged.records.items()
        if isinstance(record, tuple)
        for metric, value in record[2].items()
    )
    shown = Counter((p.run, p.metric, p.step, p.at_us, bits_of(p.value), p.writer) for p in points)
    if wanted != shown:
        row.differences.append(f"points unlike the log's: {sum(((wanted - shown) | (shown - wanted)).values())}")


async def _check_summaries(store: StoreReader, row: Row, points: Sequence[metrics.Point], prefix: str) -> None:
    """Each figure of each summary, bit by bit, against the oracle over all points."""
    columns = ", ".join(
        f"toUnixTimestamp64Micro({name}) AS {name}_us" if name.endswith("_at") else name
        for name in metrics.Summary._fields
    )
    rows = await store.query(f"SELECT run, metric, {columns} FROM summaries WHERE {_RUNS}", {"prefix": prefix})
    names = [f"{name}_us" if name.endswith("_at") else name for name in metrics.Summary._fields]
    found = {(r["run"], r["metric"]): _exact(r[name] for name in names) for r in rows.to_pylist()}
    wanted = {key: _exact(summary) for key, summary in metrics.summaries(points).items()}
    row.summaries += len(wanted)
    wrong = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
    if wrong:
        key = wrong[0]
        row.differences.append(f"{len(wrong)} summaries, the first {key}: {found.get(key)} for {wanted.get(key)}")


async def _check_events(store: StoreReader, row: Row, logged: Logged, facts: Facts, prefix: str) -> None:
    """Each event of the log once, and each unreadable record in quarantine once."""
    wanted = Counter(
        (logged.keys[writer, seq], writer, seq)
        for (writer, seq), record in logged.records.items()
        if isinstance(record, dict)
    )
    rows = await store.query(
        f"SELECT key, writer, seq FROM events WHERE {_KEYS}", {"prefix": prefix, "projects": f"w/{prefix}"}
    )
    shown = Counter((r["key"], r["writer"], r["seq"]) for r in rows.to_pylist())
    if shown != wanted:
        row.differences.append(
            f"events: {sum((wanted - shown).values())} lost, {sum((shown - wanted).values())} doubled"
        )
    rows = await store.query(
        "SELECT count() AS n FROM quarantine WHERE startsWith(key, {prefix:String})", {"prefix": prefix}
    )
    if (count := rows.to_pylist()[0]["n"]) != logged.unreadable:
        row.differences.append(f"{count} in quarantine, not {logged.unreadable}")
    if not 0 <= logged.unreadable - facts.unreadable <= facts.repeated:
        row.differences.append(
            f"{logged.unreadable} unreadable records in the log, not {facts.unreadable} (and up to {facts.repeated} "
            "that were appended again)"
        )


async def _unlike_rebuilt(cluster: Cluster, log: LogReader, store: StoreReader) -> list[str]:
    """Fold the whole log into a database of its own by one undisturbed worker: every table's hash is the live one's.

    The database stays: what the cells of a cluster logged before is in it, and is compared again."""
    rebuilt = await HttpStore.open(cluster.store_settings(database="rebuilt"))
    try:
        await rebuild(log, rebuilt)
        wanted, live = await table_hashes(rebuilt), await table_hashes(store)
        return [
            f"rebuild: {table} {live[table]} for {wanted[table]}" for table in wanted if wanted[table] != live[table]
        ]
    finally:
        await rebuilt.close()


_RUNS = "startsWith(run, {prefix:String})"
_KEYS = "(startsWith(key, {prefix:String}) OR startsWith(key, {projects:String}))"


async def _points(store: StoreReader, prefix: str) -> list[metrics.Point]:
    rows = await store.query(
        f"""SELECT run, metric, step, toUnixTimestamp64Micro(at) AS at_us, value, lower(hex(writer)) AS writer, part,
        offset FROM points WHERE {_RUNS}""",
        {"prefix": prefix},
    )
    return [metrics.Point(**{**row, "writer": row["writer"].rjust(16, "0")}) for row in rows.to_pylist()]


async def _seen(store: StoreReader, prefix: str) -> dict[str, list[tuple[int, int]]]:
    rows = await store.query(
        f"SELECT writer, seen FROM watermarks WHERE {_KEYS}", {"prefix": prefix, "projects": f"w/{prefix}"}
    )
    return {row["writer"]: list(zip(row["seen"][::2], row["seen"][1::2], strict=True)) for row in rows.to_pylist()}


def _exact(figures: object) -> tuple[object, ...]:
    assert isinstance(figures, tuple) or hasattr(figures, "__iter__")
    return tuple(
        "nan" if isinstance(figure, float) and math.isnan(figure)
        else struct.pack("<d", figure) if isinstance(figure, float) else figure
        for figure in figures
    )  # fmt: skip
