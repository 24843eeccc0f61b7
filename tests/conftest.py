"""What holds for every test: which files run first, examples that repeat, signals as a terminal sends them, and
processes that start quickly."""

import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from kit.guard import KEY, Guard

HERE = Path(__file__).parent
#: Files that take long, the longest first: `make test` gives files to its processes in this order, so that these end
#: together. The others follow as they were collected.
LONG_FILES = (
    "faults/test_cluster_matrix.py",
    "integration/test_demo.py",
    "integration/test_promote.py",
    "integration/test_cluster_up.py",
    "faults/test_hostile_cluster.py",
    "integration/test_bad_start.py",
    "integration/test_kafka_faults.py",
    "integration/test_kafka_three_brokers.py",
    "integration/test_distributed_tables.py",
    "faults/test_hostile_queries.py",
    "faults/test_hostile_slow_reads.py",
    "conformance/test_store.py",
    "clients/comet/test_live.py",
    "clients/comet/test_writing.py",
    "faults/test_worker_kills.py",
    "faults/test_server_kills.py",
    "faults/test_sender_kills.py",
    "integration/test_panels.py",
    "integration/test_dev_clickhouse.py",
    "fuzzing/test_fuzz_slice.py",
    "property/test_rival_workers.py",
    "unit/sdk/test_processes.py",
    "faults/test_hostile_records.py",
    "faults/test_hostile_stalls.py",
    "faults/test_hostile_spool.py",
    "faults/test_hostile_connections.py",
    "faults/test_hostile_bodies.py",
    "clients/comet/test_registry.py",
    "integration/test_api_real.py",
)

# `make test` tries the same examples every time; `make properties` searches at random and keeps what it finds. How long
# an example takes is a matter of the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, print_blob=True, deadline=None)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KEY] = guard = Guard()
    guard.install()
    config.pluginmanager.register(guard)
    # Where the environment forbids to keep compiled modules, each of the many processes would compile hundreds.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # A broker that lives for a minute starts with half of the CPU time where only the first compiler is at work.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    # A shell starts what runs in the background with SIGINT ignored, and every process of a test would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {HERE / name: number for number, name in enumerate(LONG_FILES)}
    for path in place:
        if not path.exists():
            raise pytest.UsageError(f"LONG_FILES of {__file__} names {path}, which is not there: remove or correct it")
    items.sort(key=lambda item: place.get(item.path, len(place)))
