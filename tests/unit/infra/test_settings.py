"""Settings of the servers: where they come from, what is refused, what is listed, and the page about them."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from runstream.errors import InvalidSetting
from runstream_infra.cluster.settings import RoleSettings
from runstream_infra.settings import ServerSettings
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_service.settings import Listed, Origin

DATA = Path("data")
ROLE = {
    "RUNSTREAM_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "RUNSTREAM_CLICKHOUSE_URL": "http://127.0.0.1:1",
    "RUNSTREAM_ASSETS": "assets",
}


def server(environ: dict[str, str] | None = None, **options: Any) -> ServerSettings:
    return ServerSettings.from_environment(environ or {}, data_dir=DATA, **options)


def listed(settings: ServerSettings | RoleSettings, variable: str) -> Listed:
    return next(one for one in settings.listed() if one.variable == variable)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "server.toml"


@pytest.mark.parametrize(
    ("text", "keys"), [("", ()), ("one", ("one",)), (" one, two,,", ("one", "two"))], ids=["none", "one", "two"]
)
def test_keys_of_the_environment_stand_between_commas(text: str, keys: tuple[str, ...]) -> None:
    assert server({"RUNSTREAM_API_KEYS": text}).api_keys == keys


def test_options_win_over_the_environment_and_that_over_the_file(file: Path) -> None:
    file.write_text('partitions = 2\napi_keys = ["a", "b"]\nlocal_metrics = true\n[query]\nmax_page = 20\nwait_s = 3\n')
    environ = {"RUNSTREAM_CONFIG": str(file), "RUNSTREAM_QUERY_MAX_PAGE": "30", "RUNSTREAM_LISTEN_PORT": "1"}
    found = server(environ, port=2)
    assert (found.partitions, found.api_keys, found.access.local_metrics) == (2, ("a", "b"), True)
    assert (found.limits.query.max_page, found.limits.query.wait_s, found.port) == (30, 3.0, 2)
    origins = {one.name: one.origin for one in found.listed() if one.origin is not Origin.DEFAULT}
    assert origins == {
        "listen.port": Origin.OPTION,
        "data_dir": Origin.OPTION,
        "partitions": Origin.FILE,
        "api_keys": Origin.FILE,
        "local_metrics": Origin.FILE,
        "query.max_page": Origin.ENVIRONMENT,
        "query.wait_s": Origin.FILE,
    }


def test_a_process_of_a_cluster_reads_the_same_file(file: Path) -> None:
    file.write_text('[kafka]\ntopic = "t"\n[clickhouse]\ndatabase = "d"\n[worker]\ngroup = "g"\nmax_keys = 5\n')
    found = RoleSettings.from_environment({**ROLE, "RUNSTREAM_CONFIG": str(file)})
    assert (found.kafka.topic, found.store.database, found.worker_group) == ("t", "d", "g")
    assert (found.limits.worker.max_keys, found.limits.worker.max_ahead_bytes) == (5, 16_000_000)
    assert listed(found, "RUNSTREAM_KAFKA_TOPIC").origin is Origin.FILE
    assert listed(found, "RUNSTREAM_KAFKA_BOOTSTRAP").origin is Origin.ENVIRONMENT
    assert listed(found, "RUNSTREAM_WORKER_MAX_AHEAD_BYTES").origin is Origin.DEFAULT


def test_secrets_are_never_listed() -> None:
    environ = {**ROLE, "RUNSTREAM_API_KEYS": "a-very-secret-key", "RUNSTREAM_CLICKHOUSE_PASSWORD": "a-very-secret-word"}
    found = RoleSettings.from_environment(environ)
    assert listed(found, "RUNSTREAM_API_KEYS").value == "set (not shown)"
    assert listed(found, "RUNSTREAM_CLICKHOUSE_PASSWORD").value == "set (not shown)"
    assert "very-secret" not in str(found.listed())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[query]\nmax_pages = 3", r"query\.max_pages is no setting of a server: did you mean query\.max_page\?"),
        ("color = 3", "color is no setting of a server: docs/configuration.md lists them"),
        ("[query]\nmax_page = {}", r"query\.max_page holds a dict: give a number, a text or a list"),
        ("[query]\nmax_page = 0", "RUNSTREAM_QUERY_MAX_PAGE='0' cannot be used"),
        ("query = 3", "query is no setting of a server"),
        ("[query", "is no TOML"),
        (f"[query]\nmax_page = {'9' * 5_000}", "is no TOML"),
        ("x" * 1_000_001, "has more than 1000000 bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(file: Path, text: str, problem: str) -> None:
    file.write_text(text)
    with pytest.raises(InvalidSetting, match=problem):
        server({"RUNSTREAM_CONFIG": str(file)})


def test_a_file_that_is_not_there_is_refused(file: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be read: No such file"):
        server({"RUNSTREAM_CONFIG": str(file)})


def test_what_is_no_regular_file_is_refused_at_once(file: Path) -> None:
    """A pipe that nobody writes into would keep the process from starting, and from saying why."""
    os.mkfifo(file)
    for path in (file, file.parent):
        with pytest.raises(InvalidSetting, match=f"RUNSTREAM_CONFIG={path} is no regular file"):
            server({"RUNSTREAM_CONFIG": str(path)})
    kafka = {"RUNSTREAM_KAFKA_SECURITY_PROTOCOL": "SSL", "RUNSTREAM_KAFKA_SSL_CAFILE": str(file)}
    with pytest.raises(InvalidSetting, match=f"RUNSTREAM_KAFKA_SSL_CAFILE={file} is no regular file"):
        KafkaSettings.from_environment(ROLE | kafka).client_arguments()


@pytest.mark.parametrize(
    ("environ", "options", "problem"),
    [
        ({}, {"port": 70_000}, "--port: "),
        ({"RUNSTREAM_LISTEN_PORT": "70000"}, {}, "RUNSTREAM_LISTEN_PORT='70000' cannot be used"),
        ({"RUNSTREAM_LOCAL_METRICS": "maybe"}, {}, "RUNSTREAM_LOCAL_METRICS='maybe' cannot be used: give 1 or 0"),
        ({"RUNSTREAM_LOG_FORMAT": "xml"}, {}, "RUNSTREAM_LOG_FORMAT='xml' cannot be used"),
        ({"RUNSTREAM_DRAIN_S": "-1"}, {}, "RUNSTREAM_DRAIN_S='-1' cannot be used"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(environ: dict[str, str], options: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidSetting, match=re.escape(problem)):
        server(environ, **options)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(InvalidSetting) as refused:
        RoleSettings.from_environment({**ROLE, "RUNSTREAM_KAFKA_SASL_PASSWORD": "a-very-secret-word"})
    assert "very-secret" not in str(refused.value)


def test_the_pages_list_each_setting_once_with_its_default() -> None:
    pages = Path(__file__).parents[3] / "docs"
    rows = (pages / "configuration.md").read_text() + (pages / "security.md").read_text()
    found = re.findall(r"^\| `(RUNSTREAM_[A-Z_0-9]+)` \|([^|]*)\|", rows, re.MULTILINE)
    told = {variable: default.strip() for variable, default in found}
    assert len(told) == len(found), "each once"
    trees = (server(), RoleSettings.from_environment(ROLE))
    known = {one.variable: one for tree in trees for one in tree.listed()}
    assert told.keys() == known.keys() | {"RUNSTREAM_CONFIG"}
    for variable, one in known.items():
        exact = re.fullmatch("`([^`]*)`", told[variable])
        if exact is not None:  # words say what stands for None
            assert exact[1] == str(one.default), variable
        if variable in ROLE:
            assert told[variable] == "required", variable
