"""Frames that training nodes send straight into a real Kafka, folded from there."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.sending.kills import await_sender, kill_sender
from kit.servers import real_kafka
from kit.servers.embedded import Server, Trainers, check
from runstream.events.frame import read_header
from runstream.sender.sync import sync
from runstream_infra.ports import free_ports
from runstream_ingest.log.kafka.reader import KafkaReader
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_ingest.log.kafka.topic import ensure_topic
from runstream_processors.rebuild import rebuild
from runstream_processors.store.chdb import ChdbStore
from runstream_service.log import Record

#: Of senders; half of them later, the broker dies, too. `make faults KILLS=1000` kills more.
KILLS = max(8, int(os.environ.get("RUNSTREAM_KILLS", "0")))
#: Nobody listens there: frames have to find another way.
NO_GATEWAY = "http://127.0.0.1:9"
TRAIN = """
import sys, runstream as rs
with rs.init(project="p", run_id="direct", url=sys.argv[1], dir=sys.argv[2], system_metrics_s=0) as run:
    for step in range(50):
        run.log({"loss": step}, step=step)
    run.log_text("note", "hello")
    print(run.finish(timeout_s=240), flush=True)
"""


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "spool"
    folder.mkdir()
    yield folder
    kill_sender(folder)


def topic_of(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    """A new topic, and the setting that sends frames there."""
    settings = real_kafka.settings(bootstrap, partitions=3)
    asyncio.run(ensure_topic(settings))
    monkeypatch.setenv("RUNSTREAM_INGEST", f"kafka://{bootstrap}/{settings.topic}")
    return settings


def fold(settings: KafkaSettings, directory: Path) -> list[Record]:
    """Fold the whole topic with the embedded worker; its records."""

    async def folded() -> list[Record]:
        reader = await KafkaReader.open(settings)
        store = await ChdbStore.open(directory / "store")
        await rebuild(reader, store)
        await store.close()
        records: list[Record] = []
        for part, end in (await reader.next_offsets()).items():
            offset = 0
            while offset < end:
                records += await reader.read(part, offset, 4_000_000, 10)
                offset = records[-1].offset + 1
        await reader.close()
        return records

    return asyncio.run(folded())


@pytest.mark.timeout(900 + 5 * KILLS)
def test_killed_senders_and_a_killed_broker_lose_and_double_nothing(
    tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = random.Random(7)
    monkeypatch.setenv("RUNSTREAM_CAPTURE_CODE", "0")  # its assets need a gateway
    with real_kafka.new_cluster(tmp_path / "kafka", 1) as kafka:
        settings = topic_of(kafka.bootstrap, monkeypatch)
        with Trainers(tmp_path, NO_GATEWAY, 3, spool=spool) as trainers:
            for turn in range(KILLS):
                await_sender(spool)
                time.sleep(0.4 + choose.random() ** 2 * 0.6)
                if turn == KILLS // 2:
                    kafka.kill_node(0)
                    time.sleep(0.5)
                if turn == KILLS // 2 + 2:
                    kafka.start_node(0)
                kill_sender(spool)
            trainers.finish()  # waits until everything is acknowledged
        assert sync(spool, timeout_s=240).left == ()
        records = fold(settings, tmp_path)
    assert check(tmp_path, trainers) > 1000
    # The order rule: of each writer, no frame begins behind what is there before it.
    reached: dict[str, int] = {}
    for record in records:
        header = read_header(record.value)
        assert header.first_seq <= reached.setdefault(header.writer_id, 0)
        reached[header.writer_id] = max(header.end_seq, reached[header.writer_id])


def test_assets_go_to_the_gateway_and_everything_else_to_kafka(
    tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = topic_of(real_kafka.bootstrap(), monkeypatch)
    data = tmp_path / "gateway"
    data.mkdir()
    with Server(data) as server:
        done = subprocess.run(
            [sys.executable, "-c", TRAIN, server.url, str(spool)], capture_output=True, text=True, check=True
        )
    assert done.stdout.strip() == "True"
    fold(settings, tmp_path)

    async def ask() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
        store = await ChdbStore.open(tmp_path / "store")
        runs = (await store.query("SELECT run, status FROM runs")).to_pylist()
        assets = (await store.query("SELECT sha256 FROM assets WHERE name = 'note'")).to_pylist()
        await store.close()
        return runs, assets

    runs, assets = asyncio.run(ask())
    assert runs == [{"run": "direct", "status": "finished"}]
    [sha256] = [str(asset["sha256"]) for asset in assets]
    assert (data / "assets" / sha256[:2] / sha256).read_bytes() == b"hello"


def test_a_broker_that_is_away_is_named_by_sync(tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"kafka://127.0.0.1:{free_ports(1)[0]}/frames"
    monkeypatch.setenv("RUNSTREAM_INGEST", address)
    monkeypatch.setenv("RUNSTREAM_CAPTURE_CODE", "0")
    train = TRAIN.replace("timeout_s=240", "timeout_s=0").replace('    run.log_text("note", "hello")\n', "")
    subprocess.run([sys.executable, "-c", train, NO_GATEWAY, str(spool)], capture_output=True, check=True)
    [left] = sync(spool, timeout_s=5).left
    assert address in left.reason
    assert left.records > 50
