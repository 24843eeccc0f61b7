"""A run of each client is a run to all of them: found, compared and charted in one query, and deleted for everybody."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.children.forked import run_forked
from kit.clients import python_of
from kit.foreign import KEY, own
from kit.servers.up import running_up
from runstream.api import API

STEPS = Path(__file__).parents[2] / "kit" / "across"
CLIENTS = ("comet", "mlaide", "sagemaker", "ubiops", "bender")
#: What runs of the five clients and of the SDK have in common.
ALIKE = "metric.loss.min = 0.25 and param.lr = 0.1"


class Clients:
    """The five clients, pointed at one server."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self._folder = url, folder

    def api(self) -> API:
        return API(url=self.url, api_key=KEY)

    def told(self, client: str, action: str, *runs: str) -> Any:
        """What a client's program said on the last line of its output."""
        home = self._folder / client
        home.mkdir(exist_ok=True)
        environment = own() | {
            "HOME": str(home),
            "COMET_URL_OVERRIDE": f"{self.url}/clientlib/",
            "COMET_API_KEY": KEY,
            "COMET_LOGGING_CONSOLE": "ERROR",
            "COMET_TIMEOUT_API": "60",
        }
        command = [str(python_of(client)), str(STEPS / f"by_{client}.py"), self.url, KEY, action, *runs]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=home, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    folder = tmp_path_factory.mktemp("across")
    environment = own() | {"RUNSTREAM_API_KEYS": KEY}
    with running_up(folder / "data", environment=environment, errors=folder / "server.log") as url:
        yield Clients(url, folder)


@pytest.fixture(scope="module")
def runs(clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The id of each client's run, and of one of the SDK."""
    logged = {client: str(clients.told(client, "log")) for client in CLIENTS}
    spool = tmp_path_factory.mktemp("spool")
    log(clients.url, spool, run_id=logged["ubiops"])  # a run that was made for somebody to take on
    log(clients.url, spool, run_id="by-runstream", params={"lr": 0.1})
    logged["mlaide"] = clients.api().runs("name = 'by-mlaide'")[0].run
    return logged | {"runstream": "by-runstream"}


def log(url: str, spool: Path, run_id: str, params: dict[str, Any] | None = None) -> None:
    run = runstream.init(
        "across", experiment="e", run_id=run_id, config=params, url=url, api_key=KEY, dir=str(spool), resume="allow"
    )
    for value in (0.9, 0.5, 0.25):
        run.log({"loss": value})
    assert run.finish()


def test_all_are_found_in_one_query(clients: Clients, runs: dict[str, str]) -> None:
    found = clients.api().runs(ALIKE, sort="-metric.loss.min")
    assert {one.run for one in found} == set(runs.values())
    assert len(found) == len(runs) == 6


def test_all_are_charted_in_one_call(clients: Clients, runs: dict[str, str]) -> None:
    charted = clients.api().series(list(runs.values()), "loss")
    values = {one.run: list(one.values) for one in charted}
    assert values.keys() == set(runs.values())
    whole = {client: values[run] for client, run in runs.items() if client != "bender"}
    assert whole == {client: [0.9, 0.5, 0.25] for client in whole}
    assert values[runs["bender"]] == [0.25]


def test_all_are_compared_by_the_command_line(clients: Clients, runs: dict[str, str]) -> None:
    environment = own() | {"RUNSTREAM_URL": clients.url, "RUNSTREAM_API_KEY": KEY}
    done = run_forked("runstream_infra.cli", "compare", *runs.values(), "--json", environment=environment)
    assert done.returncode == 0, done.stderr
    for run in runs.values():
        assert run in done.stdout


def test_each_reader_sees_the_runs_of_all_others(clients: Clients, runs: dict[str, str]) -> None:
    everybody = list(runs.values())
    assert clients.told("comet", "show", *everybody) == dict.fromkeys(everybody, 0.25)
    assert clients.told("sagemaker", "show", *everybody) == dict.fromkeys(everybody, 0.25)
    in_experiment = [runs[client] for client in ("mlaide", "ubiops", "bender", "runstream")]
    shown = clients.told("ubiops", "show", *everybody)
    assert {(shown[run][0], shown[run][1]["loss"]) for run in in_experiment} == {("completed", 0.25)}
    assert clients.told("bender", "show") == {runs["bender"]: 0.25}


def test_artifacts_are_loaded_by_whoever_did_not_make_them(clients: Clients, runs: dict[str, str]) -> None:
    api = clients.api()
    made = api.artifact("made-by-mlaide", "dataset", project="across").version(1)
    assert (made.run, made.read("rows.csv")) == (runs["mlaide"], b"a,b\n")
    assert clients.told("comet", "artifact", "made-by-mlaide") == {"rows.csv": "a,b\n"}
    ours = api.log_artifact_version("made-by-sdk", "dataset", {"rows.csv": b"c,d\n"}, project="across")
    assert clients.told("mlaide", "artifact", "made-by-sdk") == "c,d\n"
    api.artifacts.mark_used(ours, runs["mlaide"])
    found = api.artifacts.lineage(made, "up")
    assert [(one.name, one.distance) for one in found.versions] == [("made-by-mlaide", 0), ("made-by-sdk", -2)]


@pytest.mark.parametrize("client", ["comet", "sagemaker", "ubiops", "bender"])
def test_what_one_deletes_is_gone_for_all_and_what_is_restored_is_back(
    clients: Clients, runs: dict[str, str], client: str
) -> None:
    api, run = clients.api(), runs[client]
    clients.told(client, "delete", run)
    try:
        assert run not in {one.run for one in api.runs(ALIKE)}
        assert api.run(run).deleted
        assert clients.told("sagemaker", "show", run) == {run: "ResourceNotFound"}
        assert clients.told("ubiops", "show", run) == {run: 404}
    finally:
        api.restore(run)
    assert {one.run for one in api.runs(ALIKE)} == set(runs.values())


def test_what_runstream_deletes_is_gone_for_the_clients(clients: Clients, runs: dict[str, str]) -> None:
    api = clients.api()
    api.delete([runs["bender"], runs["sagemaker"]])
    try:
        assert clients.told("bender", "show") == {}
        assert clients.told("sagemaker", "show", runs["sagemaker"]) == {runs["sagemaker"]: "ResourceNotFound"}
    finally:
        api.restore([runs["bender"], runs["sagemaker"]])
