"""`runstream promote`: move what one machine holds to a cluster, and compare the read models of both.

Nothing is remembered between two calls: how far an earlier one came is what the cluster holds. So it may be killed at
any moment and is simply called again.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from runstream.events.positions import Positions
from runstream_infra.assigning import CHUNK_BYTES, Assignment, NewPartitions, SamePartitions, Survey
from runstream_infra.cluster.settings import GenerationSettings, RoleSettings
from runstream_infra.cluster.store import ClusterStore
from runstream_infra.cluster.visibility import StoreVisibility
from runstream_infra.copying import CopiedAssets, copy_assets
from runstream_infra.settings import ServerSettings
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_ingest.log.errors import LogMismatch
from runstream_ingest.log.kafka.reader import KafkaReader
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_ingest.log.kafka.topic import ensure_topic
from runstream_ingest.log.kafka.writer import KafkaWriter
from runstream_processors.generations import CURRENT, differences
from runstream_processors.rebuild import ComparedTable, TableHash, compared, rebuild, table_hashes
from runstream_processors.store.databases import EngineDatabases
from runstream_processors.store.http import HttpStore
from runstream_processors.store.resume import commits, committed
from runstream_processors.store.settings import StoreSettings
from runstream_processors.worker.loop import Worker
from runstream_service.assets import AssetError, AssetUnavailable
from runstream_service.log import LogError, LogReader, LogUnavailable, Record
from runstream_service.store import StoreError, StoreUnavailable
from runstream_service.visibility import Progress

#: Nobody waits at the other end: a broker may be away for a minute or two before this gives up and has to be called
#: again.
APPEND_TIMEOUT_S: Final = 120.0
#: A durable record that does not come within this is a failure.
_READ_S: Final = 30.0
#: Hashing reads every row once: 0.7 million a second were measured on two busy cores, 2.5 billion in an hour.
_HASH_TIMEOUT_S: Final = 3600


class PromoteError(Exception):
    """It cannot go on. The embedded directory is as it was."""


class PromoteRefused(PromoteError):
    """The two do not fit together, and will not by themselves: the message names what was found and the next step."""


class PromoteUnfinished(PromoteError):
    """A part of it does not answer, or nobody folds. What was done stays: call it again and it goes on there."""


@dataclass(frozen=True, slots=True)
class Stage:
    """How far it is: `done` of `total` files, records, or nothing to count (0 of 0)."""

    name: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class PromoteResult:
    """`position`: the end of the cluster's log. `same_partitions`: it is the end of the embedded log as well, and the
    hashes include where in the log each row comes from. `replayed`: records that this call wrote, of `records`.
    `tables`: those of the one machine (`live`) and of the cluster (`fresh`)."""

    position: Positions
    same_partitions: bool
    records: int
    replayed: int
    assets: CopiedAssets
    tables: tuple[ComparedTable, ...]

    @property
    def equal(self) -> bool:
        return all(table.equal for table in self.tables)


async def promote(
    data_dir: Path,
    settings: RoleSettings,
    *,
    partitions: int | None = None,
    fold: bool = False,
    patience_s: float = 60.0,
    chunk_bytes: int = CHUNK_BYTES,
    append_timeout_s: float = APPEND_TIMEOUT_S,
    on_stage: Callable[[Stage], None] = lambda stage: None,
) -> PromoteResult:
    """Copy the assets and the log of a stopped server in `data_dir` into a cluster, and compare the read models.

    The topic is made if it is missing; what it holds must be the beginning of the embedded log. It has as many
    partitions as that, or `partitions` (see `assigning.NewPartitions`). Records are moved `chunk_bytes` at a time, and
    Kafka has `append_timeout_s` to take them, or its own setting where that is longer. The cluster's workers fold;
    PromoteUnfinished if they make no progress for `patience_s`. With `fold` this process folds as well. The embedded
    directory is only read, except that its tables are brought up to the end of its log, as any start of the server
    does. Raises PromoteRefused, PromoteUnfinished.
    """
    embedded = ServerSettings(data_dir=data_dir)
    if not embedded.log_dir.is_dir():
        raise PromoteRefused(f"{data_dir} holds no log: give the --data-dir that `runstream up` used")
    try:
        async with AsyncExitStack() as stack:
            log = await asyncio.to_thread(EmbeddedLog.open, embedded.log_dir, partitions=None)
            stack.push_async_callback(log.close)
            assignment: Assignment = (
                SamePartitions(log, chunk_bytes)
                if partitions in (None, log.partitions)
                else NewPartitions(log, partitions, chunk_bytes)
            )
            timeout_s = max(append_timeout_s, settings.kafka.append_timeout_s)
            kafka = settings.kafka.model_copy(update={"append_timeout_s": timeout_s})
            moving = await _open(log, assignment, data_dir, kafka, settings.store, stack)
            await moving.check()
            assets = await copy_assets(
                embedded.assets_dir, settings.open_assets(), lambda done, total: on_stage(Stage("assets", done, total))
            )
            replayed = await moving.replay(on_stage)
            on_stage(Stage("tables of the one machine"))
            live = await _folded(log, embedded.store_dir, with_offsets=moving.same_partitions)
            on_stage(Stage("folding"))
            await (moving.fold() if fold else moving.wait_for_workers(patience_s))
            on_stage(Stage("comparing"))
            fresh = await table_hashes(moving.store, with_offsets=moving.same_partitions)
            await moving.check_end()
    except (LogUnavailable, StoreUnavailable, AssetUnavailable) as error:
        raise PromoteUnfinished(f"{error}; what was moved stays, run `runstream promote` again") from error
    except (LogError, StoreError, AssetError, OSError) as error:
        raise PromoteRefused(str(error)) from error
    records = sum(moving.ends.values())
    return PromoteResult(moving.position, moving.same_partitions, records, replayed, assets, compared(live, fresh))


async def _open(
    log: EmbeddedLog,
    assignment: Assignment,
    data_dir: Path,
    kafka: KafkaSettings,
    store_settings: StoreSettings,
    stack: AsyncExitStack,
) -> "_Moving":
    """Everything that is written to, opened, closed again with `stack`."""
    begins = await log.begin_offsets()
    for part, begin in begins.items():
        if begin:
            raise PromoteRefused(
                f"retention removed the first {begin} records of partition {part} from the log in {data_dir}: a "
                "cluster that folds the rest would hold less than this machine. Restore the older segments from a "
                "copy; or let this server run on for reading, and begin anew in the cluster"
            )
    partitions = assignment.partitions
    await _check_partitions(partitions, log.partitions, data_dir, kafka)
    writer = KafkaWriter(kafka, partitions)
    stack.push_async_callback(writer.close)
    await writer.start()
    reader = KafkaReader(kafka, partitions)
    stack.push_async_callback(reader.close)
    patient = store_settings.model_copy(update={"timeout_s": max(_HASH_TIMEOUT_S, store_settings.timeout_s)})
    tables = await ClusterStore.open(patient, GenerationSettings())
    stack.push_async_callback(tables.close)
    serving = tables.generations.serving
    if differing := differences(serving.versions, CURRENT):
        raise PromoteRefused(
            f"the tables in database {tables.database_of(serving)!r} are of other versions of the read models than "
            f"this build folds ({', '.join(map(str, differing))}): start `runstream worker` with this environment, "
            "wait until `runstream doctor` shows that the new generation serves, and promote again"
        )
    store = await tables.attach(serving)
    starts = await reader.next_offsets()
    wanted = {(part, offset) for part, end in starts.items() if end for offset in (0, end - 1)}
    return _Moving(data_dir, assignment, await assignment.survey(wanted), starts, writer, reader, store, kafka)


async def _check_partitions(partitions: int, embedded: int, data_dir: Path, kafka: KafkaSettings) -> None:
    """Make the topic with so many partitions, or see that it has them."""
    where = f"topic {kafka.topic!r} at {kafka.bootstrap}"
    wanted = f"{partitions} are asked for" if partitions != embedded else f"the log in {data_dir} has {embedded}"
    if kafka.partitions not in (None, partitions):
        raise PromoteRefused(
            f"RUNSTREAM_KAFKA_PARTITIONS={kafka.partitions}, and {wanted}: set it to {partitions}, or give "
            f"--partitions {kafka.partitions} (with another number than the log's {embedded}, each run goes where its "
            "key falls)"
        )
    try:
        await ensure_topic(kafka.model_copy(update={"partitions": partitions}))
    except LogMismatch:
        found = await ensure_topic(kafka.model_copy(update={"partitions": None}))
        raise PromoteRefused(
            f"{where} has {found} partitions, and {wanted}: give --partitions {found}, and each run goes where its key "
            "falls; or set RUNSTREAM_KAFKA_TOPIC, here and for the cluster, to a name that does not exist yet (it is "
            f"made with {partitions})"
        ) from None


@dataclass(frozen=True, slots=True)
class _Moving:
    """The parts of a move. `survey`: the embedded log as the topic shall hold it; it stands still. `starts`: the next
    offset of each partition of the topic at the beginning."""

    data_dir: Path
    assignment: Assignment
    survey: Survey
    starts: Mapping[int, int]
    writer: KafkaWriter
    reader: KafkaReader
    store: HttpStore
    kafka: KafkaSettings

    @property
    def topic(self) -> str:
        return f"topic {self.kafka.topic!r} at {self.kafka.bootstrap}"

    @property
    def ends(self) -> Mapping[int, int]:
        return self.survey.ends

    @property
    def same_partitions(self) -> bool:
        return isinstance(self.assignment, SamePartitions)

    @property
    def position(self) -> Positions:
        return Positions(self.ends)

    async def check(self) -> None:
        """That the topic holds a beginning of this log, and the tables no more than the topic. Raises PromoteRefused,
        and what the topic and the store raise."""
        begins = await self.reader.begin_offsets()
        for part, end in self.starts.items():
            if begins[part]:
                raise PromoteRefused(
                    f"{self.topic} has lost its first {begins[part]} records of partition {part} to retention: set "
                    "RUNSTREAM_KAFKA_TOPIC to a new name, without retention until the move is done"
                )
            if end > self.ends[part]:
                raise self._beyond(part, end)
        # Places are equal where both logs have the same records from the first one on: the first tells another log
        # apart, the last where an earlier call of this ended.
        for record in self.survey.records.values():
            await self._compare(record)
        await self._check_tables()

    async def check_end(self) -> None:
        """That nobody wrote to the topic meanwhile, which would make the comparison one of two different things."""
        for part, end in (await self.reader.next_offsets()).items():
            if end != self.ends[part]:
                raise self._beyond(part, end)

    def _beyond(self, part: int, end: int) -> PromoteRefused:
        return PromoteRefused(
            f"{self.topic} has {end} records in partition {part}, of the log in {self.data_dir} are only "
            f"{self.ends[part]}: somebody else writes to it. If clients were sent to the cluster after an earlier "
            "promote ended with equal tables, the move is done and nothing is left to do. Else stop the gateways, set "
            "RUNSTREAM_KAFKA_TOPIC and RUNSTREAM_CLICKHOUSE_DATABASE to new names, here and for the cluster, and "
            "promote again"
        )

    async def _compare(self, own: Record) -> None:
        part, offset = own.partition, own.offset
        records = await self.reader.read(part, offset, 1, _READ_S)
        if not records:
            raise LogUnavailable(f"record {offset} of partition {part} of {self.topic} did not come in {_READ_S:g} s")
        theirs = records[0]
        if own == theirs:
            return
        differing = [
            name for name in ("offset", "key", "at_us", "value") if getattr(own, name) != getattr(theirs, name)
        ]
        raise PromoteRefused(
            f"record {offset} of partition {part} of {self.topic} (key {theirs.key[:80]!r}, {len(theirs.value)} bytes) "
            f"is not that of the log in {self.data_dir} (key {own.key[:80]!r}, {len(own.value)} bytes); they differ in "
            f"{', '.join(differing)}. The topic holds another log: set RUNSTREAM_KAFKA_TOPIC to a name that does not "
            "exist yet, here and for the cluster"
        )

    async def _check_tables(self) -> None:
        for part, commit in (await commits(self.store)).items():
            if commit.next_offset > self.starts.get(part, 0):
                raise PromoteRefused(
                    f"the tables in database {self.store.settings.database!r} have {commit.next_offset} records of "
                    f"partition {part}, and {self.topic} has {self.starts.get(part, 0)}: they are of another log. "
                    "Set RUNSTREAM_CLICKHOUSE_DATABASE to a name that does not exist yet, here and for the cluster"
                )

    async def replay(self, on_stage: Callable[[Stage], None]) -> int:
        """Write what the topic lacks, with the times and in the order of the embedded log. Returns how many records."""
        total = sum(self.ends.values())
        done = before = sum(self.starts.values())
        on_stage(Stage("records", done, total))
        async for chunk in self.assignment.chunks(self.starts):
            wanted = Positions({record.partition: record.offset + 1 for record in chunk})
            try:
                positions = await self.writer.replay(chunk)
            except ValueError as error:
                raise PromoteRefused(f"records up to {wanted} of the log in {self.data_dir}: {error}") from error
            if positions != wanted:
                raise PromoteRefused(
                    f"records up to {wanted} of the log in {self.data_dir} came to {positions} in {self.topic}: "
                    "somebody else writes to that topic. Stop the gateways, set RUNSTREAM_KAFKA_TOPIC and "
                    "RUNSTREAM_CLICKHOUSE_DATABASE to new names, here and for the cluster, and promote again"
                )
            done += len(chunk)
            on_stage(Stage("records", done, total))
        return done - before

    async def wait_for_workers(self, patience_s: float) -> None:
        """Until the cluster's workers have folded everything. Raises PromoteUnfinished if they stand still for
        `patience_s`."""
        visibility = StoreVisibility(partial(committed, self.store))
        visibility.start()
        try:
            while not visibility.visible().covers(self.position):
                seen = visibility.visible()
                if await visibility.wait_beyond(seen, patience_s) == seen:
                    trouble = f" ({visibility.trouble})" if visibility.trouble else ""
                    raise PromoteUnfinished(
                        f"all records are in {self.topic}, and nobody has folded any for {patience_s:g} s: the tables "
                        f"in database {self.store.settings.database!r} are at {seen or 'the beginning'} of "
                        f"{self.position}{trouble}. Start `runstream worker` with this environment and run this again, "
                        "or run it with --fold"
                    )
        finally:
            await visibility.close()

    async def fold(self) -> None:
        """Fold everything here, partition by partition. Workers of the cluster may be at it, too."""
        progress = Progress()
        for part, next_offset in self.position:
            stop = asyncio.Event()
            worker = Worker(self.reader, self.store, progress, partition=part)
            running = asyncio.create_task(worker.run(stop))
            reached = asyncio.create_task(progress.wait_for(Positions({part: next_offset}), float("inf")))
            try:
                await asyncio.wait((running, reached), return_when=asyncio.FIRST_COMPLETED)
            finally:
                stop.set()
                reached.cancel()
                await asyncio.gather(running, return_exceptions=True)
            running.result()


async def _folded(log: LogReader, directory: Path, *, with_offsets: bool) -> dict[str, TableHash]:
    """What the embedded tables hold, once they are at the end of their log. Raises PromoteRefused if they are of other
    versions than a cluster folds."""
    databases = await EngineDatabases.open(directory)
    try:
        versions = databases.serving.versions
        if differing := differences(versions, CURRENT):
            raise PromoteRefused(
                f"the tables in {directory} are of other versions of the read models than this build folds "
                f"({', '.join(map(str, differing))}), so they cannot be compared with a cluster's: start "
                "`runstream up` there, wait until `runstream doctor` shows that the new generation serves, and stop it"
            )
        with databases.using(None) as store:
            await rebuild(log, store, versions=versions)
            return await table_hashes(store, with_offsets=with_offsets)
    finally:
        await databases.close()
