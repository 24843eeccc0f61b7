"""From one machine to a cluster: a real Kafka, and the development server for ClickHouse."""

import asyncio
import hashlib
import json
import os
import signal
import struct
import subprocess
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kit.children.forked import ForkedChild, run_forked
from kit.children.trainer import step_of, values_of
from kit.recorded.seeded import Recorded, recorded
from kit.servers import real_kafka
from kit.servers.dev_clickhouse import DevServer
from kit.servers.embedded import Server, Trainers
from kit.stores import place_tables
from runstream.events.positions import Positions
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.promoting import PromoteRefused, PromoteUnfinished, Stage, promote
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_ingest.log.kafka.log import KafkaLog
from runstream_ingest.log.kafka.reader import KafkaReader
from runstream_processors.store.http import HttpStore
from runstream_service.log import Record

PARTITIONS = 3
ASSETS = [b"first" * 1000, b"second", b""]


@dataclass(frozen=True)
class Target:
    """The addresses of a cluster that is empty: a topic, a database and a folder of its own."""

    environment: dict[str, str]

    @property
    def settings(self) -> RoleSettings:
        return RoleSettings.from_environment(self.environment)

    def run(self, *arguments: object, module: str = "runstream_infra.cli") -> "subprocess.CompletedProcess[str]":
        return run_forked(module, *arguments, environment={**os.environ, **self.environment})

    def with_(self, **changed: str) -> "Target":
        return Target({**self.environment, **changed})


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    with DevServer(tmp_path_factory.mktemp("promote") / "data") as server:
        yield server


@pytest.fixture
def target(clickhouse: DevServer, tmp_path: Path) -> Target:
    name = uuid.uuid4().hex
    return Target(
        {
            "RUNSTREAM_KAFKA_BOOTSTRAP": real_kafka.bootstrap(),
            "RUNSTREAM_KAFKA_TOPIC": f"promote-{name}",
            "RUNSTREAM_KAFKA_REPLICATION": "1",
            "RUNSTREAM_CLICKHOUSE_URL": clickhouse.url,
            "RUNSTREAM_CLICKHOUSE_DATABASE": f"promote_{name}",
            "RUNSTREAM_ASSETS": str(tmp_path / "shared-assets"),
        }
    )


async def made(directory: Path, facts: Recorded, **shape: Any) -> Path:
    """The directory of a server that was stopped before it had folded anything."""
    await asyncio.to_thread(place_tables, directory)
    log = await asyncio.to_thread(EmbeddedLog.open, directory / "log", **{"partitions": PARTITIONS, **shape})
    for start in range(0, len(facts.records), 7):
        await log.append(facts.records[start : start + 7])
    await log.close()
    for content in ASSETS:
        sha256 = hashlib.sha256(content).hexdigest()
        path = directory / "assets" / sha256[:2] / sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


async def embedded_records(directory: Path) -> list[list[Record]]:
    log = await asyncio.to_thread(EmbeddedLog.open, directory / "log", partitions=None)
    try:
        return [await everything(log, part) for part in range(log.partitions)]
    finally:
        await log.close()


async def kafka_records(target: Target) -> list[list[Record]]:
    reader = await KafkaReader.open(target.settings.kafka)
    try:
        return [await everything(reader, part) for part in range(reader.partitions)]
    finally:
        await reader.close()


async def everything(log: Any, part: int) -> list[Record]:
    end = (await log.next_offsets())[part]
    found: list[Record] = []
    while len(found) < end:
        found += await log.read(part, len(found), 1_000_000, 10)
    return found


async def test_everything_moves_and_a_second_call_finds_it_there(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(5, runs=6, frames=200))
    records = await embedded_records(data)
    first = target.run("promote", "--data-dir", str(data), "--fold", "--json")
    assert first.returncode == 0, first.stderr
    report = json.loads(first.stdout)
    assert (report["equal"], report["records"], report["replayed"]) == (True, *2 * [sum(map(len, records))])
    assert report["assets"] == {"found": 3, "copied": 3, "copied_bytes": sum(map(len, ASSETS))}
    rows = {table["table"]: table["rows"] for table in report["tables"]}
    assert rows["runs"] >= 6, "an empty comparison shows nothing"
    assert min(rows[table] for table in ("points", "summaries", "quarantine", "output", "projects")) > 0
    # Offset by offset the same, with the times that the rows were folded with.
    assert await kafka_records(target) == records
    for content in ASSETS:
        sha256 = hashlib.sha256(content).hexdigest()
        assert (tmp_path / "shared-assets" / sha256[:2] / sha256).read_bytes() == content
    again = await promote(data, target.settings)
    assert again.equal
    assert (again.replayed, again.assets.copied) == (0, 0)
    assert await kafka_records(target) == records


# After an asset; before and after pieces of the log, also while requests are under way; while tables are folded.
@pytest.mark.parametrize(
    ("partitions", "deaths"),
    [
        (PARTITIONS, ((2, 0.0), (7, 0.0), (9, 0.003), (15, 0.011), (6, 0.6))),
        (4, ((9, 0.003), (6, 0.6))),
    ],
    ids=["same places", "new places"],
)
async def test_it_may_be_killed_at_any_moment(
    tmp_path: Path, target: Target, partitions: int, deaths: tuple[tuple[int, float], ...]
) -> None:
    data = await made(tmp_path / "one", recorded(6, runs=4, frames=300))
    records = await embedded_records(data)
    codes = []
    for at, after_s in (*deaths, (1000, 0.0)):
        done = target.run(data, at, after_s, partitions, module="kit.children.killed_promote")
        codes.append(done.returncode)
        if done.returncode == 0:
            assert done.stdout.strip() == "True"
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert codes[-1] == 0
    assert len(codes) >= len(deaths), "it came to its end before it was to die"
    assert await kafka_records(target) == placed(records, partitions)


def placed(records: list[list[Record]], partitions: int) -> list[list[Record]]:
    """The records of a log in one of so many partitions: by time, and those of the same time by their old partition."""
    found: list[list[Record]] = [[] for _ in range(partitions)]
    for record in sorted((record for part in records for record in part), key=lambda one: (one.at_us, one.partition)):
        part = zlib.crc32(record.key) % partitions
        found[part].append(Record(part, len(found[part]), record.at_us, record.key, record.value))
    return found


async def test_a_log_of_one_partition_spreads_over_many(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(15, runs=8, frames=150), partitions=1)
    [records] = await embedded_records(data)
    first = target.run("promote", "--data-dir", str(data), "--partitions", "4", "--fold")
    assert first.returncode == 0, first.stderr
    assert "places in the log apart, the tables are equal" in first.stdout
    found = await kafka_records(target)
    assert found == placed([records], 4)
    assert sum(map(bool, found)) > 1, "all of it is in one partition: this shows nothing"
    again = await promote(data, target.settings, partitions=4)
    assert (again.equal, again.replayed, again.same_partitions) == (True, 0, False)


async def test_workers_that_are_missing_are_requested(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(7, runs=1, frames=10))
    with pytest.raises(PromoteUnfinished, match=r"nobody has folded any for 0\.5 s.*runstream worker.*--fold"):
        await promote(data, target.settings, patience_s=0.5)
    assert (await promote(data, target.settings, fold=True)).equal


async def test_a_broker_that_dies_leaves_the_rest_for_the_next_call(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(16, runs=3, frames=100))
    records = await embedded_records(data)
    with real_kafka.new_cluster(tmp_path / "kafka", 1) as kafka:
        own = target.with_(
            RUNSTREAM_KAFKA_BOOTSTRAP=kafka.bootstrap,
            RUNSTREAM_KAFKA_APPEND_TIMEOUT_S="1",
            RUNSTREAM_KAFKA_REQUEST_TIMEOUT_S="3",
        )

        def on_stage(stage: Stage) -> None:
            if stage.name == "records" and stage.done and kafka.nodes[0].alive:
                kafka.kill_node(0)

        with pytest.raises(PromoteUnfinished, match=r"Kafka.*what was moved stays, run `runstream promote` again"):
            await promote(data, own.settings, fold=True, chunk_bytes=2_000, append_timeout_s=1.0, on_stage=on_stage)
        await asyncio.to_thread(kafka.start_node, 0)
        result = await promote(data, own.settings, fold=True)
        assert result.equal
        assert 0 < result.replayed < result.records
        assert await kafka_records(own) == records


async def test_an_empty_server_moves_too(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", Recorded())
    result = await promote(data, target.settings)
    assert (result.equal, result.records, result.position) == (True, 0, Positions())


async def test_unequal_tables_are_shown(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(8, runs=1, frames=10))
    await promote(data, target.settings, fold=True)
    store = await HttpStore.open(target.settings.store)
    await store.command(
        "ALTER TABLE points DELETE WHERE step = (SELECT min(step) FROM points) SETTINGS mutations_sync=2"
    )
    await store.close()
    shown = target.run("promote", "--data-dir", str(data))
    assert shown.returncode == 1
    assert "points: in the cluster it has" in shown.stdout
    assert "NOT equal" in shown.stdout
    assert "summaries: in the cluster" not in shown.stdout


# What does not fit


async def test_a_topic_with_another_log_is_refused(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(9, runs=4, frames=60))
    (own, *_) = (part for part in await embedded_records(data) if part)
    log = await KafkaLog.open(target.with_(RUNSTREAM_KAFKA_PARTITIONS=str(PARTITIONS)).settings.kafka)
    # The same beginning, and then a record of the same run and size with another value.
    await log.replay(own[:4])
    await log.replay([Record(0, 0, own[4].at_us, own[4].key, own[4].value[:-1] + b"?")])
    await log.close()
    with pytest.raises(PromoteRefused, match=r"record 4 of partition \d.*differ in value.*RUNSTREAM_KAFKA_TOPIC"):
        await promote(data, target.settings)


async def test_a_topic_that_goes_on_behind_the_log_is_refused(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(10, runs=1, frames=10))
    assert (await promote(data, target.settings, fold=True)).equal
    log = await KafkaLog.open(target.settings.kafka)
    await log.append([(b"run-9", b"a client was sent to the cluster")])
    await log.close()
    with pytest.raises(PromoteRefused, match=r"are only \d+: somebody else writes to it.*nothing is left to do"):
        await promote(data, target.settings)


async def test_another_number_of_partitions_is_refused(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(11, runs=1, frames=5))
    with pytest.raises(PromoteRefused, match=r"RUNSTREAM_KAFKA_PARTITIONS=4, .* has 3: set it to 3.*--partitions 4"):
        await promote(data, target.with_(RUNSTREAM_KAFKA_PARTITIONS="4").settings)
    log = await KafkaLog.open(target.with_(RUNSTREAM_KAFKA_PARTITIONS="2").settings.kafka)
    await log.close()
    with pytest.raises(PromoteRefused, match=r"has 2 partitions, and the log in .* has 3: give --partitions 2"):
        await promote(data, target.settings)


async def test_a_log_without_its_beginning_is_refused(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(12, runs=3, frames=400), partitions=1, segment_bytes=20_000)
    log = await asyncio.to_thread(EmbeddedLog.open, data / "log", segment_bytes=20_000, retention_bytes=40_000)
    begin = (await log.begin_offsets())[0]
    await log.close()
    assert begin > 0
    with pytest.raises(PromoteRefused, match=rf"retention removed the first {begin} records of partition 0"):
        await promote(data, target.settings)


async def test_tables_of_another_log_are_refused(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(13, runs=1, frames=10))
    assert (await promote(data, target.settings, fold=True)).equal
    elsewhere = target.with_(RUNSTREAM_KAFKA_TOPIC=f"promote-{uuid.uuid4().hex}")
    with pytest.raises(PromoteRefused, match=r"the tables in database .* are of another log.*CLICKHOUSE_DATABASE"):
        await promote(data, elsewhere.settings)


async def test_a_damaged_asset_is_named_and_nothing_is_replayed(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", recorded(14, runs=1, frames=10))
    sha256 = hashlib.sha256(ASSETS[0]).hexdigest()
    path = data / "assets" / sha256[:2] / sha256
    path.write_bytes(ASSETS[0][:-1] + b"?")
    with pytest.raises(PromoteRefused, match=rf"{sha256} is damaged.*Restore it from a copy"):
        await promote(data, target.settings)
    assert await kafka_records(target) == [[] for _ in range(PARTITIONS)]
    assert not (tmp_path / "shared-assets" / sha256[:2] / sha256).exists()


async def test_a_running_server_is_refused(tmp_path: Path, target: Target) -> None:
    data = await made(tmp_path / "one", Recorded())
    log = await asyncio.to_thread(EmbeddedLog.open, data / "log", partitions=None)
    with pytest.raises(PromoteRefused, match=r"is held by process \d+: stop that server"):
        await promote(data, target.settings)
    await log.close()
    with pytest.raises(PromoteRefused, match="holds no log"):
        await promote(tmp_path / "nowhere", target.settings)
    shown = Target({}).run("promote", "--data-dir", str(data))
    assert (shown.returncode, "RUNSTREAM_CLICKHOUSE_URL is not set" in shown.stderr) == (2, True)


# Clients


class Role:
    """A process of the cluster."""

    def __init__(self, target: Target, role: str) -> None:
        environment = {**os.environ, **target.environment}
        self._process = ForkedChild(
            "runstream_infra.cli", role, "--json", environment=environment, errors=Path(os.devnull)
        )
        text = ""
        while not text.rstrip().endswith("}"):
            line = self._process.stdout.readline()
            assert line, f"the {role} did not start"
            text += line
        self.url = json.loads(text)["url"]

    def __enter__(self) -> "Role":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()


async def test_a_living_trainer_goes_on_with_the_cluster(tmp_path: Path, target: Target) -> None:
    """The server dies while a trainer logs; its log is promoted into a cluster that runs; the spool is sent there."""
    data = tmp_path / "one"
    data.mkdir()
    spool = tmp_path / "spool"
    cluster = target.with_(RUNSTREAM_KAFKA_PARTITIONS="1")
    with ExitStack() as stack:
        server = stack.enter_context(Server(data))
        trainers = stack.enter_context(Trainers(tmp_path, server.url, 1, spool=spool))
        acked = spool / "writers"
        await until(lambda: any(path.stat().st_size for path in acked.glob("*/acked")))
        await asyncio.sleep(0.5)
        server.kill()
        gateway = stack.enter_context(Role(cluster, "gateway"))
        stack.enter_context(Role(cluster, "worker"))
        stages: list[Stage] = []
        moved = await promote(data, cluster.settings, on_stage=stages.append)
        assert moved.equal
        assert moved.records == moved.replayed > 1
        trainers.request_end()
        arguments = ["--dir", str(spool), "--moved-from", server.url, "--url", gateway.url, "--json"]
        sent = await asyncio.to_thread(cluster.run, "sync", *arguments)
        assert sent.returncode == 0, sent.stderr
        assert json.loads(sent.stdout)["records_sent"] > 0
        await asyncio.to_thread(trainers.finish)
        reader = await KafkaReader.open(cluster.settings.kafka)
        end = (await reader.next_offsets())[0] - 1
        assert end >= moved.records
        await reader.close()
        store = await HttpStore.open(cluster.settings.store)
        await until_folded(store, end)
        points = (await store.query("SELECT run, metric, step, value FROM points")).to_pylist()
        runs = (await store.query("SELECT status FROM runs")).to_pylist()
        await store.close()
    found = Counter((p["run"], p["metric"], p["step"], struct.pack("<d", p["value"])) for p in points)
    wanted = Counter(
        (trainers.run_id(1), metric, step_of(row), struct.pack("<d", value))
        for row in range(trainers.rows[1])
        for metric, value in values_of(1, row).items()
    )
    assert found == wanted, "points are lost or doubled"
    assert runs == [{"status": "finished"}]


async def until(condition: Any, timeout_s: float = 240) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.05)


async def until_folded(store: HttpStore, offset: int, timeout_s: float = 240) -> None:
    deadline_s = time.monotonic() + timeout_s
    requested = "SELECT max(offset) AS last FROM watermark_states WHERE key = '' AND writer = ''"
    while (await store.query(requested)).to_pylist()[0]["last"] < offset:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.1)
