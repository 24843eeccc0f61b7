"""The local Kafka: what is missing is said, and a cluster's directory brings it back as it was."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kit.servers import real_kafka
from runstream_infra.kafka import KafkaCluster, KafkaMissing, KafkaStartFailed
from runstream_infra.kafka.libs import POM, find_java, find_libs
from runstream_ingest.log.kafka.log import KafkaLog


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_without_java_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(KafkaMissing, match=r"no `java` on the PATH: install Java 17 or newer"):
        find_java({"PATH": str(tmp_path)})
    with pytest.raises(KafkaMissing, match="JAVA_HOME="):
        find_java({"PATH": os.environ["PATH"], "JAVA_HOME": str(tmp_path)})


def test_an_old_java_is_refused(tmp_path: Path) -> None:
    script(tmp_path / "java", "echo 'openjdk version \"11.0.2\"' >&2")
    with pytest.raises(KafkaMissing, match=r"version \"11\.0\.2\".*install Java 17 or newer"):
        find_java({"PATH": str(tmp_path)})


def test_without_maven_it_says_what_to_install(tmp_path: Path) -> None:
    pom = tmp_path / "pom.xml"
    pom.write_bytes(POM.read_bytes())
    with pytest.raises(KafkaMissing, match="install Maven, or set RUNSTREAM_KAFKA_LIBS"):
        find_libs({"PATH": str(tmp_path)}, pom)


def test_what_maven_cannot_bring_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pom, tools = tmp_path / "pom.xml", tmp_path / "tools"
    pom.write_bytes(POM.read_bytes())
    tools.mkdir()
    script(tools / "mvn", f"mkdir -p {tmp_path}/libs-partly.part; echo 'no such artifact'; exit 1")
    with pytest.raises(KafkaMissing, match="could not bring Kafka's jars: no such artifact"):
        find_libs({"PATH": str(tools)}, pom)
    # The second try brings them.
    script(tools / "mvn", 'for last; do :; done; mkdir -p "${last#*=}"; touch "${last#*=}/kafka_2.13-4.3.0.jar"')
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    libs = find_libs({"PATH": str(tools)}, pom)
    assert [path.name for path in libs.iterdir()] == ["kafka_2.13-4.3.0.jar"]
    script(tools / "mvn", "exit 1")
    assert find_libs({"PATH": str(tools)}, pom) == libs


def test_an_installed_package_has_the_jars_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where packages are, not everybody may write."""
    pom, tools = tmp_path / "installed" / "pom.xml", tmp_path / "tools"
    for folder in (pom.parent, tools):
        folder.mkdir()
    pom.write_bytes(POM.read_bytes())
    pom.parent.chmod(0o500)
    monkeypatch.setattr("runstream_infra.kafka.libs._INSTALLED_POM", pom)
    script(tools / "mvn", 'for last; do :; done; mkdir -p "${last#*=}"; touch "${last#*=}/kafka_2.13-4.3.0.jar"')
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    libs = find_libs({"PATH": str(tools), "XDG_CACHE_HOME": str(tmp_path / "cache")}, pom)
    assert libs.parent == tmp_path / "cache" / "runstream" / "kafka"
    assert [path.name for path in libs.iterdir()] == ["kafka_2.13-4.3.0.jar"]


def test_a_folder_without_kafka_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KafkaMissing, match=re.escape(f"RUNSTREAM_KAFKA_LIBS={tmp_path} holds no")):
        find_libs({"RUNSTREAM_KAFKA_LIBS": str(tmp_path)})


def test_the_pom_names_no_place_to_bring_jars_from() -> None:
    places = set(re.findall(r"https?://[^\s\"<]+", POM.read_text()))
    assert all(place.startswith("http://maven.apache.org/") or place.endswith("XMLSchema-instance") for place in places)


async def test_a_cluster_comes_back_with_its_ports_and_data(tmp_path: Path) -> None:
    first = real_kafka.new_cluster(tmp_path / "kafka", brokers=1)
    first.start()
    try:
        settings = real_kafka.settings(first.bootstrap, partitions=1)
        log = await KafkaLog.open(settings)
        await log.append([(b"run", b"kept")])
        await log.close()
        first.stop()
        assert not first.nodes[0].alive
        with pytest.raises(ValueError, match="holds a Kafka of 1 brokers, asked for were 3"):
            KafkaCluster(tmp_path / "kafka", brokers=3)
        second = real_kafka.new_cluster(tmp_path / "kafka", brokers=1)
        assert second.bootstrap == first.bootstrap
        second.start()
        try:
            log = await KafkaLog.open(settings)
            assert [record.value for record in await log.read(0, 0, 100, 5.0)] == [b"kept"]
            await log.close()
        finally:
            second.kill()
    finally:
        first.kill()


def test_a_port_that_is_taken_ends_the_start_with_the_brokers_own_words(tmp_path: Path) -> None:
    cluster = real_kafka.new_cluster(tmp_path / "kafka", brokers=1)
    taken = socket.create_server(("127.0.0.1", cluster.nodes[0].port))
    with taken, pytest.raises(KafkaStartFailed, match="Address already in use"):
        cluster.start()
    assert not cluster.nodes[0].alive


def test_properties_that_kafka_refuses_end_the_start(tmp_path: Path) -> None:
    cluster = real_kafka.new_cluster(tmp_path / "kafka", 1, {"num.io.threads": "none"})
    with pytest.raises(KafkaStartFailed, match=r"num\.io\.threads"):
        cluster.start()
    assert not cluster.nodes[0].alive


_OWNER = """
import pathlib, sys
from runstream_infra.kafka import KafkaCluster
cluster = KafkaCluster(pathlib.Path(sys.argv[1]), heap_mb=256)
cluster.start()
print(cluster.nodes[0].pid, flush=True)
sys.stdin.read()
"""


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_what_a_killed_owner_left_is_ended_by_the_next_start(tmp_path: Path) -> None:
    cluster = real_kafka.new_cluster(tmp_path / "kafka", brokers=1)
    command = [sys.executable, "-c", _OWNER, str(tmp_path / "kafka")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        broker = psutil.Process(int(owner.stdout.readline()))
        try:
            with pytest.raises(KafkaStartFailed, match="another process runs the Kafka in"):
                cluster.start()
            assert lives(broker)
            owner.kill()
            owner.wait()
            assert lives(broker)
            cluster.start()
            assert not lives(broker)
            assert cluster.nodes[0].alive
        finally:
            cluster.kill()
            if lives(broker):
                broker.kill()
