"""Which tests run in which process, and in which order: long ones first, so that the processes end together, and files
that use the same servers in one process, so that these start once."""

from pathlib import Path
from typing import Any, Final

import pytest
from xdist.scheduler import LoadFileScheduling

TESTS: Final = Path(__file__).parents[1]
#: Files that take long, the longest first: `make test` gives files to its processes in this order. The others follow as
#: they were collected.
LONG_FILES: Final = (
    "faults/test_cluster_matrix.py",
    "integration/test_cluster_up.py",
    "clients/comet/test_live.py",
    "integration/test_promote.py",
    "clients/ubiops/test_experiments.py",
    "clients/sagemaker/test_experiments.py",
    "browser/test_run_page.py",
    "browser/test_frame.py",
    "integration/test_bench.py",
    "faults/test_cluster_refold.py",
    "conformance/test_store.py",
    "faults/test_hostile_records.py",
    "faults/test_hostile_cluster.py",
    "clients/comet/test_no_keys.py",
    "integration/test_agent_leases.py",
    "clients/bender/test_trials.py",
    "faults/test_server_kills.py",
    "integration/query_api/test_repositories.py",
    "integration/test_refolding.py",
    "clients/mlaide/test_runs.py",
    "integration/test_demo.py",
    "integration/test_two_builds.py",
    "faults/test_agent_kills.py",
    "integration/test_bad_start.py",
    "integration/test_sweep_workers.py",
    "faults/test_hostile_stalls.py",
    "integration/test_kafka_faults.py",
    "faults/test_hostile_slow_reads.py",
    "integration/test_foreign_rights.py",
    "faults/test_worker_kills.py",
    "clients/comet/test_querying.py",
    "faults/test_disk_full.py",
    "faults/test_hostile_connections.py",
    "integration/test_dev_clickhouse.py",
    "integration/test_kafka_ingest.py",
    "integration/test_shared_generations.py",
    "integration/test_api_real.py",
    "property/test_worker.py",
    "property/test_rival_workers.py",
    "integration/test_tls.py",
    "faults/test_refold_kills.py",
    "integration/test_kafka_three_brokers.py",
    "fuzzing/test_fuzz_slice.py",
    "integration/test_panels.py",
    "integration/test_streamlit_panels.py",
    "integration/test_panel_server.py",
    "clients/across/test_across.py",
    "faults/test_hostile_spool.py",
    "faults/test_hostile_bodies.py",
    "integration/test_artifacts_api.py",
    "integration/test_endings.py",
    "unit/sender/test_process.py",
    "integration/test_kafka_local.py",
    "faults/test_hostile_queries.py",
    "faults/test_sender_kills.py",
    "integration/test_distributed_tables.py",
    "unit/sdk/test_processes.py",
)
#: Files of tests/clients that share a server and what was logged to it, which fixtures of the session hold.
TOGETHER: Final = (
    ("comet", ("live", "writing", "artifacts", "registry", "example", "details", "optimizer")),
    ("comet", ("querying", "reading", "charts", "same_reads", "wire", "page", "run_view")),
    ("bender", ("trials", "example")),
    ("mlaide", ("runs", "artifacts", "example")),
    (
        "sagemaker",
        ("experiments", "components", "search", "service_model", "example", "artifacts", "files", "uploads"),
    ),
    ("ubiops", ("experiments", "runs", "variables", "example", "agent")),
)
_LEADERS: Final = {
    f"tests/clients/{client}/test_{name}.py": f"tests/clients/{client}/test_{names[0]}.py"
    for client, names in TOGETHER
    for name in names
}


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Gives the tests of a file to one process, together with those of the files beside it in TOGETHER."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return _LEADERS.get(file, file)


class Distribution:
    """A plugin of pytest."""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        place = {TESTS / name: number for number, name in enumerate(LONG_FILES)}
        for path in (*place, *(TESTS.parent / name for name in _LEADERS)):
            if not path.exists():
                raise pytest.UsageError(f"{__file__} names {path}, which is not there: remove or correct it")
        items.sort(key=lambda item: place.get(item.path, len(place)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> LoadFileScheduling | None:
        return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None
