"""A real Kafka for tests: one broker for each process that runs tests, started by the first test that asks for it.

Where Java, Maven or the jars are missing such tests skip and say so; with RUNSTREAM_REQUIRE_KAFKA=1 (as in CI) they
fail.
"""

import atexit
import functools
import os
import shutil
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from kit.servers.class_archive import use_class_archive
from runstream_infra.kafka import KafkaCluster, KafkaMissing
from runstream_ingest.log.kafka.settings import KafkaSettings


def bootstrap() -> str:
    """The address of the shared broker. Skips or fails the test where there can be none."""
    return one_broker().bootstrap


def one_broker() -> KafkaCluster:
    """The shared broker: leave it running."""
    found = _one_broker()
    if isinstance(found, KafkaMissing):
        skip_or_fail(found)
    return found


def new_cluster(
    directory: Path,
    brokers: int,
    properties: Mapping[str, str] | None = None,
    client: Mapping[str, object] | None = None,
) -> KafkaCluster:
    """A cluster of the test's own, not started. Skips or fails the test where there can be none."""
    try:
        use_class_archive()
        return KafkaCluster(directory, brokers, heap_mb=256, properties=properties, client=client)
    except KafkaMissing as error:
        skip_or_fail(error)


def need_kafka() -> None:
    """For tests whose brokers a process of theirs starts: skips or fails the test where there can be none."""
    try:
        use_class_archive()
    except KafkaMissing as missing:
        skip_or_fail(missing)


def skip_or_fail(missing: KafkaMissing) -> NoReturn:
    if os.environ.get("RUNSTREAM_REQUIRE_KAFKA") == "1":
        pytest.fail(f"RUNSTREAM_REQUIRE_KAFKA=1, but {missing}")
    pytest.skip(f"no Kafka: {missing}")


def settings(address: str, **changed: object) -> KafkaSettings:
    """For a topic of the test's own, on one broker unless `changed` says otherwise."""
    values: dict[str, object] = {"bootstrap": address, "topic": f"test-{uuid.uuid4().hex}", "replication": 1}
    return KafkaSettings.model_validate(values | changed)


@functools.cache
def _one_broker() -> KafkaCluster | KafkaMissing:
    directory = Path(tempfile.mkdtemp(prefix="runstream-kafka-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    try:
        use_class_archive()
        cluster = KafkaCluster(directory, heap_mb=256)
    except KafkaMissing as error:
        return error
    atexit.register(cluster.kill)
    cluster.start()
    return cluster
