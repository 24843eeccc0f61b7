"""`runstream cluster up`: the cluster form as a person starts it, with real runs, and reads and commands through its
one address. tests/faults/test_cluster_matrix.py kills its parts under load."""

import hashlib
import json
import math
import os
import signal
import struct
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.bender import server as bender
from kit.children.forked import run_forked
from kit.clients import python_of
from kit.cluster.processes import Cluster, end, status_of, wait_for
from kit.comet.forgetful import ForgetfulProxy
from kit.comet.processes import HERE, client_environment
from kit.mlaide.server import ArtifactServer, Server
from kit.sagemaker.server import Server as SagemakerServer
from kit.servers.real_kafka import need_kafka
from kit.ubiops.server import Server as UbiopsServer
from runstream.api import API, Change, VersionTaken

ROOT = Path(__file__).parents[2]
KEY = "a-key-of-the-cluster-0123"
PARTITIONS = 4
STEPS = 600
WEIGHTS = bytes(range(256)) * 2_000
TRAIN = """
import math, sys
import runstream as rs

url, folder, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for number in range(first, first + count):
    run = rs.init(project="cluster", run_id=f"run-{number}", url=url, api_key=sys.argv[5], dir=f"{folder}/spool",
                  config={"lr": 0.1 * number}, tags=["cluster"], capture_code=False, system_metrics_s=0)
    for step in range(600):
        loss = math.inf if step == 9 else number / (step + 1)
        run.log({"loss": loss, "odd": math.nan if step % 7 else -0.0}, step=step)
    if number == 0:
        (weights := __import__("pathlib").Path(folder) / "w.bin").write_bytes(bytes(range(256)) * 2_000)
        run.log_asset(weights, name="w.bin", kind="model")
    assert run.finish(timeout_s=100)
"""

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    need_kafka()
    options = ("--workers", "2", "--gateways", "2", "--queries", "2", "--partitions", str(PARTITIONS), "--api-key", KEY)
    with Cluster(tmp_path_factory.mktemp("up") / "cluster", *options) as started:
        yield started


@pytest.fixture(scope="module")
def trained(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The cluster, with three runs in it."""
    train(cluster.url, tmp_path_factory.mktemp("trained"), 0, 3, KEY)
    api = API(url=cluster.url, api_key=KEY)
    wait_for(lambda: finished(api) == 3, 200, "three runs to be visible")
    return cluster


def train(url: str, folder: Path, first: int, count: int, key: str) -> None:
    """Runs `first` and following, in a process of their own; returns when they are acknowledged."""
    command = [sys.executable, "-c", TRAIN, url, str(folder), str(first), str(count), key]
    subprocess.run(command, check=True, capture_output=True, timeout=150)


def finished(api: API) -> int:
    return len(api.runs('status = "finished"', project="cluster"))


def run_cli(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return run_forked("runstream_infra.cli", "cluster", *arguments, timeout_s=150)


def ask(url: str, body: Any = None, key: str | None = KEY) -> tuple[int, Any]:
    """Status and JSON of a response, also of one that says what is wrong."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=120) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        kind, status, text = error.headers["Content-Type"], error.code, error.read()
    assert kind.startswith("application/problem+json"), text
    return status, json.loads(text)


def test_what_is_read_is_what_was_logged(trained: Cluster) -> None:
    api = API(url=trained.url, api_key=KEY)
    for number in range(3):
        wanted = {
            "loss": [math.inf if step == 9 else number / (step + 1) for step in range(STEPS)],
            "odd": [math.nan if step % 7 else -0.0 for step in range(STEPS)],
        }
        # Twice: the front's turn goes to one query server and then to the other.
        for _ in range(2):
            for metric, values in wanted.items():
                [curve] = api.series(f"run-{number}", metric)
                assert list(curve.steps) == list(range(STEPS))
                assert [struct.pack("<d", value) for value in curve.values] == [struct.pack("<d", v) for v in values]
            summaries = {summary.metric: summary for summary in api.summaries(f"run-{number}")}
            assert summaries["loss"].total == math.inf
            assert (summaries["loss"].count, summaries["loss"].last) == (STEPS, number / STEPS)
            assert (summaries["odd"].nan_count, math.copysign(1, summaries["odd"].maximum)) == (514, -1.0)
            assert api.parameters(f"run-{number}") == {"lr": 0.1 * number}


def test_status_names_every_process(trained: Cluster) -> None:
    told = run_cli("status", "--data-dir", str(trained.directory), "--json")
    assert told.returncode == 0
    found = json.loads(told.stdout)
    assert found["url"] == trained.url
    names = [(process["role"], process["index"]) for process in found["processes"]]
    assert names == [
        *(("supervisor", 0), ("kafka", 0), ("clickhouse", 0)),
        *((role, index) for role in ("gateway", "worker", "query-server") for index in (0, 1)),
    ]
    for process in found["processes"]:
        assert process["alive"]
        assert process["restarts"] == 0
        assert Path(process["log"]).exists()
        os.kill(process["pid"], 0)


def test_a_second_cluster_in_the_directory_is_refused(trained: Cluster) -> None:
    text = run_cli("up", "--port", "0", "--data-dir", str(trained.directory))
    assert text.returncode == 1
    assert "a cluster runs in" in text.stderr
    assert f"runstream cluster status --data-dir {trained.directory}" in text.stderr
    assert status_of(f"{trained.processes('gateway')[0].address}/readyz") == 200


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/rest/v2/workspaces", "/ingest/v1/commands"])
def test_the_front_lets_nobody_in_without_a_key(trained: Cluster, path: str) -> None:
    body: dict[str, Any] | None = {} if path.startswith("/ingest") else None
    for key in (None, "another-key-of-nobody-01"):
        status, problem = ask(trained.url + path, body, key)
        assert (status, problem["type"]) == (401, "urn:runstream:problem:unauthorized")
    assert ask(trained.url + path, body)[0] == (422 if body is not None else 200)


def test_a_command_is_visible_at_every_query_server_when_its_response_comes(trained: Cluster) -> None:
    """Sent to each gateway in turn, read at each query server at once."""
    gateways, queries = trained.processes("gateway"), trained.processes("query-server")
    for number in range(8):
        project = f"made-{number}"
        event = {"type": "project_created.v1", "workspace": "w", "project": project, "description": f"the {number}th"}
        status, response = ask(
            f"{gateways[number % 2].address}/ingest/v1/commands", {"key": f"w/{project}", "event": event}
        )
        assert (status, response["visible"]) == (200, True)
        for server in queries:
            _, found = ask(f"{server.address}/api/v1/projects?workspace=w")
            assert project in [row["project"] for row in found["projects"]]
            _, waited = ask(f"{server.address}/api/v1/projects?workspace=w&wait_for={response['positions']}&wait_s=20")
            assert project in [row["project"] for row in waited["projects"]]
    api = API(url=trained.url, api_key=KEY)
    for name in ("first name", "second name", "third name"):
        api.rename("run-1", name)
        assert [api.run("run-1").name for _ in queries] == [name, name]


def test_ml_aides_client_works_through_gateways_that_take_turns(cluster: Cluster) -> None:
    server = Server(cluster.url, python_of("mlaide"), KEY)
    told = {name: one["value"] for name, one in server.told("everything", "many_at_once").items()}
    run = told["everything"]["begun"]

    def shown(project: str, key: int) -> dict[str, Any]:
        """A run, once the gateway whose turn it is sees its end."""
        path = f"projects/{project}/runs/{key}"
        wait_for(lambda: server.aide(path)[1]["status"] == "COMPLETED", 200, f"the end of {path} to be visible")
        found: dict[str, Any] = server.aide(path)[1]
        return found

    for _ in range(2):
        found = shown("vision", run["key"])
        assert (found["parameters"]["lr"], found["metrics"]["loss"]) == (0.2, 0.1)
        assert found["experimentRefs"] == [{"experimentKey": "resnet"}]
    crowd = told["many_at_once"]
    assert len({one["key"] for one in crowd}) == len(crowd) == 8
    for number, one in enumerate(crowd):
        assert shown("crowd", one["key"])["metrics"] == {"x": 4 + number / 10}
    assert [one["key"] for one in server.aide("projects/crowd/experiments")[1]["items"]] == ["rush"]


def test_ml_aides_artifacts_are_made_through_gateways_that_take_turns(cluster: Cluster) -> None:
    server = ArtifactServer(cluster.url, python_of("mlaide"), KEY)
    told = server.told("at_once", "making", "getting", "modelling")
    versions, api = told["at_once"]["value"]["versions"], API(url=cluster.url, api_key=KEY)
    assert len(versions) == len(set(versions))
    assert all("503" in one for one in told["at_once"]["value"]["failed"]), "durable, but not visible in time"
    (artifact,) = api.artifacts(project="rush")
    assert [one.ordinal for one in artifact.versions()] == list(range(8, 0, -1)), "without gaps"
    first, latest = told["getting"]["value"]
    assert (first["version"], len(first["files"]), latest["version"]) == (1, 8, 3)
    for _ in range(2):
        shown = server.aide("projects/shelf/artifacts/net/latest?model-stage=NONE")[1]
        assert (shown["version"], [file["fileName"] for file in shown["files"]]) == (2, ["model.pkl"])
    version = api.artifact("data", "dataset", project="shelf").version(1)
    assert version.read("../../data/up.csv") == b"up"


def test_sagemakers_client_works_through_gateways_that_take_turns(cluster: Cluster) -> None:
    server = SagemakerServer(cluster.url, python_of("sagemaker"), KEY)
    told = {name: one["value"] for name, one in server.told("components", "trials", "at_once").items()}
    assert told["components"]["ended"]["parameters"] == {"lr": 0.5, "layers": 3.0, "optimizer": "adam"}
    assert told["components"]["ended"]["status"]["primary_status"] == "Completed"
    assert told["trials"]["in_second"] == ["in-two-trials"]
    assert (told["trials"]["removed"], told["trials"]["left"]) == ([], ["Random-Forest"])
    for made in ("create_experiment", "create_trial", "create_trial_component"):
        assert told["at_once"].count(f"{made}: made") == 1, told["at_once"]


def test_files_of_boto3_go_through_gateways_that_take_turns(cluster: Cluster) -> None:
    server = SagemakerServer(cluster.url, python_of("sagemaker"), KEY)
    steps = ("files", "signed_urls", "files_at_once", "large_files", "parted", "artifacts")
    told = {name: one["value"] for name, one in server.told(*steps).items()}
    assert (told["files"]["is_same"], told["files"]["again"]) == (True, "again")
    assert told["signed_urls"]["got"] == [200, "by a url"]
    assert told["files_at_once"] == {"new": [*["PreconditionFailed"] * 5, "done"], "whole": [100_000, 1]}
    assert (told["large_files"]["is_same"], told["large_files"]["is_copied"]) == (True, True)
    assert (told["parted"]["is_same"], told["parted"]["again"]) == (True, True)
    assert told["artifacts"]["read"] == {"model": "weights", "typed": "weights", "one": "{}", "two": "two"}


def test_ubiops_client_works_through_gateways_that_take_turns(cluster: Cluster) -> None:
    server = UbiopsServer(cluster.url, python_of("ubiops"), KEY)
    told = server.told("creating", "creating_again", "running", "cancelling", "secrets", "copying", "deleting")
    assert all("value" in one for one in told.values()), told
    *contested, again = told["creating_again"]["value"]
    assert [one["value"]["name"] for one in contested if "value" in one] == ["contested"]
    assert {one["status"] for one in contested if "error" in one} | {again["status"]} == {409}
    assert told["cancelling"]["value"]["cancelled"]["status"] == "cancelled"
    assert {one["value"] for one in told["copying"]["value"] if one["secret"]} == {None}
    first = told["running"]["value"]["made"][0]["id"]
    assert [one.id for one in API(url=cluster.url, api_key=KEY).runs("param.nr_epochs = 15")] == [first]


def test_a_lease_is_one_agents_through_gateways_that_take_turns(cluster: Cluster) -> None:
    """Agents that ask at once get runs that no other one gets, and who gave a lease back is refused."""

    def sent(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        request = urllib.request.Request(cluster.url + path, json.dumps(body).encode(), method=method)
        request.add_header("Content-Type", "application/json")
        request.add_header("Authorization", f"Token {KEY}")
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def told(granted: Mapping[str, Any], what: str) -> int:
        held = {"lease": granted["lease"], "token": granted["token"]}
        return sent("POST", f"{leases}/{granted['run']}/{what}", held)[0]

    def executed(number: int) -> list[dict[str, Any]]:
        found = []
        while granted := sent("POST", leases, {"agent": f"a{number}", "host": "h", "ttl_s": 3_600})[1]["granted"]:
            found.append(granted)
        return found

    leases, project = "/agents/v1/projects/leasing/leases", "/ubiops/v2/projects/leasing"
    experiments = f"{project}/deployments/training-base-deployment/versions"
    experiment = {"version": "e", "environment": "python3-11", "instance_type": "512mb"}
    assert sent("POST", experiments, experiment)[0] == 200
    _, upload = sent("POST", f"{project}/buckets/default/files/code%2Ftrain.py")
    with urllib.request.urlopen(urllib.request.Request(upload["url"], b"pass\n", method="PUT"), timeout=120):
        pass
    runs = [{"name": f"r{number}", "training_code": "ubiops-file://default/code/train.py"} for number in range(8)]
    _, made = sent("POST", f"{experiments}/e/requests/batch", runs)
    with ThreadPoolExecutor(6) as pool:
        granted = [one for some in pool.map(executed, range(6)) for one in some]
    assert sorted(one["run"] for one in granted) == sorted(one["id"] for one in made)
    assert {one["token"] for one in granted} == {1}
    assert told(granted[0], "release") == 200
    [again] = executed(7)
    assert (again["run"], again["token"]) == (granted[0]["run"], 2)
    assert [told(granted[0], "start"), told(granted[0], "renew"), told(again, "start")] == [409, 409, 200]


def test_benders_client_works_through_gateways_that_take_turns(cluster: Cluster, tmp_path: Path) -> None:
    """Names and suggestions are unique, whichever gateway is asked."""
    server = bender.Server(cluster.url, python_of("bender"), KEY, tmp_path)
    told = server.told("many_at_once")["many_at_once"]
    assert "value" in told, told
    found = told["value"]
    assert len({one["experiment"] for one in found}) == len({one["algo"] for one in found}) == 1
    assert sorted(value for one in found for value in one["values"]) == list(range(24))


def test_comets_live_client_logs_once_through_gateways_that_take_turns(trained: Cluster, tmp_path: Path) -> None:
    """Each request is done by one gateway and its response lost, so that the client says it again, to the other one."""
    made = subprocess.run(
        [sys.executable, str(ROOT / "infra" / "client_venv.py"), "comet"], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"Comet's client is not here and cannot be installed: {made.stderr[-300:]}")
    with ForgetfulProxy(trained.url) as proxy:
        environment = client_environment(tmp_path, proxy.address) | {
            "COMET_API_KEY": KEY,
            "COMET_HTTP_SESSION_RETRY_BACKOFF_FACTOR": "0",
            "COMET_GET_OR_ADD_EXPERIMENT_RETRY_BACKOFF_FACTOR": "0",
        }
        subprocess.run(
            [made.stdout.strip(), str(HERE / "live.py"), "unlucky", str(tmp_path / "results.json")],
            check=True,
            capture_output=True,
            timeout=150,
            env=environment,
            cwd=tmp_path,
        )
        assert proxy.forgotten["/clientlib/batch/logger/experiment/metric"] >= 2
    key = json.loads((tmp_path / "results.json").read_text())["key"]
    api = API(url=trained.url, api_key=KEY)
    wait_for(lambda: api.run(key).status == "finished", 200, "the end of Comet's experiment to be visible")
    [curve] = api.series(key, "x")
    assert (list(curve.steps), list(curve.values)) == (list(range(100)), [step * 0.5 for step in range(100)])
    _, found = ask(f"{trained.url}/api/rest/v2/experiment/output?experimentKey={key}")
    lines = [line for line in found["output"].splitlines() if line.startswith("line ")]
    assert lines == [f"line {step}" for step in range(100)]


def test_versions_that_are_logged_at_once_through_two_gateways_get_numbers_of_their_own(trained: Cluster) -> None:
    """Four for each gateway at the same time; what became of each is asked of either query server."""
    gateways, queries = trained.processes("gateway"), trained.processes("query-server")
    place = {"workspace": "w", "artifact_type": "model", "name": "raced"}

    def log(number: int) -> int:
        event = {"type": "artifact_version_logged.v1", **place, "metadata": {"number": number}}
        path = f"{gateways[number % 2].address}/ingest/v1/commands"
        status, response = ask(path, {"key": "w/raced", "event": event})
        assert (status, response["visible"]) == (200, True)
        command = f"{response['commands'][0]}?key=w/raced&wait_for={response['positions']}"
        _, outcome = ask(f"{queries[number // 2 % 2].address}/api/v1/commands/{command}")
        assert (outcome["changed"], outcome["refused"]) == (True, "")
        return int(outcome["ordinal"])

    with ThreadPoolExecutor(8) as threads:
        ordinals = list(threads.map(log, range(8)))
    assert sorted(ordinals) == list(range(1, 9))
    api = API(url=trained.url, api_key=KEY, workspace="w")
    artifact = api.artifact("raced", "model")
    found = {version.ordinal: version.contents().metadata["number"] for version in artifact.versions()}
    assert found == {ordinal: number for number, ordinal in enumerate(ordinals)}

    def named(_: int) -> int:
        try:
            return api.log_artifact_version("raced", "model", {"w.bin": WEIGHTS}, version="1.0.0").ordinal
        except VersionTaken as error:
            return -int(error.problem["ordinal"])

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(named, range(4))) == [-9, -9, -9, 9]
    assert artifact.version("1.0.0").read("w.bin") == WEIGHTS


def test_live_updates_come_through_the_front(trained: Cluster, tmp_path: Path) -> None:
    told: list[Change] = []

    def listen() -> None:
        left = {"finished", "loss", "odd"}
        for change in API(url=trained.url, api_key=KEY).live(["run-50"]):
            told.append(change)
            if change.run is not None:
                left.discard(change.run.status)
            elif change.summary is not None and change.summary.count == STEPS:
                left.discard(change.summary.metric)
            if not left:
                return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    train(trained.url, tmp_path, 50, 1, KEY)
    listener.join(60)
    assert not listener.is_alive(), f"the run's end was not told: {told}"
    assert {change.kind for change in told} == {"run", "summary"}
    counts = [change.summary.count for change in told if change.summary is not None and change.summary.metric == "loss"]
    assert counts == sorted(counts)
    assert counts[-1] == STEPS


def test_assets_go_there_and_back(trained: Cluster, tmp_path: Path) -> None:
    api = API(url=trained.url, api_key=KEY)
    [asset] = api.assets("run-0", "model")
    assert asset.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    for _ in range(2):
        assert api.download(asset, tmp_path / "got.bin").read_bytes() == WEIGHTS
        (tmp_path / "got.bin").unlink()


def test_a_worker_may_join_and_leave(trained: Cluster, tmp_path: Path) -> None:
    joined = trained.start_worker()
    name = "runstream_worker_partitions"
    wait_for(lambda: 0 < sum(trained.figure("worker", name)) < PARTITIONS, 200, "the third worker to get partitions")
    train(trained.url, tmp_path, 60, 2, KEY)
    assert end(joined) == 0
    wait_for(lambda: sum(trained.figure("worker", name)) == PARTITIONS, 200, "the others to get its partitions")
    api = API(url=trained.url, api_key=KEY)
    wait_for(lambda: {"run-60", "run-61"} <= {view.id for view in api.runs('status = "finished"')}, 200, "the runs")
    assert [summary.count for summary in api.summaries("run-61")] == [STEPS, STEPS]


def not_ready(url: str) -> dict[str, str]:
    """What the checks of a process say that is not ready; nothing if it is."""
    try:
        requested = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(requested, timeout=120):
            return {}
    except urllib.error.HTTPError as error:
        status, told = error.code, json.load(error)
    assert status == 503, told
    return dict(told["checks"])


def test_who_needs_the_brokers_is_not_ready_while_they_hang(trained: Cluster) -> None:
    broker = trained.send("kafka", 0, signal.SIGSTOP)
    try:
        for process in trained.processes("gateway") + trained.processes("worker"):
            # A worker may be told by its group first.
            wait_for(
                lambda url=process.address: not_ready(url).get("brokers", "").startswith("no broker has answered for"),  # type: ignore[misc]
                60,
                f"{process.role} to say so",
            )
            assert status_of(f"{process.address}/healthz") == 200, "it need not be started again"
        assert not any(not_ready(server.address) for server in trained.processes("query-server"))
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    trained.wait_until_ready()


def test_what_dies_is_started_again(trained: Cluster, tmp_path: Path) -> None:
    died = {role: trained.send(role, 0, signal.SIGKILL).pid for role in ("kafka", "clickhouse", "gateway", "worker")}
    died["query-server"] = trained.send("query-server", 1, signal.SIGKILL).pid
    for role, pid in died.items():
        index = 1 if role == "query-server" else 0
        wait_for(lambda role=role, index=index, pid=pid: trained.processes(role)[index].pid != pid, 200, role)  # type: ignore[misc]
    trained.wait_until_ready()
    train(trained.url, tmp_path, 70, 1, KEY)
    api = API(url=trained.url, api_key=KEY)
    wait_for(lambda: "run-70" in {view.id for view in api.runs('status = "finished"')}, 200, "a run after it all")
    told = json.loads(run_cli("status", "--data-dir", str(trained.directory), "--json").stdout)
    assert {(p["role"], p["index"]) for p in told["processes"] if p["restarts"]} >= {
        (role, 1 if role == "query-server" else 0) for role in died
    }


def test_dead_stays_dead_where_requested_and_a_killed_supervisor_leaves_what_stop_ends(tmp_path: Path) -> None:
    need_kafka()
    directory = tmp_path / "cluster"
    options = ("--workers", "1", "--partitions", "2")
    with Cluster(directory, *options, "--no-restart", forked=True) as cluster:
        train(cluster.url, tmp_path, 0, 1, "")
        pid = cluster.send("worker", 0, signal.SIGKILL).pid
        wait_for(lambda: run_cli("status", "--data-dir", str(directory)).returncode == 4, 200, "status to tell of it")
        [worker] = cluster.processes("worker")
        assert (worker.pid, worker.alive, worker.restarts) == (pid, False, 0)

        cluster.kill_supervisor()
        left = [
            process
            for role in ("kafka", "clickhouse", "gateway", "query-server")
            for process in cluster.processes(role)
        ]
        assert all(process.alive for process in left)
        again = run_cli("up", "--port", "0", "--data-dir", str(directory))
        assert again.returncode == 1
        assert f"pid {left[0].pid}" in again.stderr
        assert "runstream cluster stop" in again.stderr
        stopped = run_cli("stop", "--data-dir", str(directory), "--json")
        assert json.loads(stopped.stdout) == {"stopped": len(left)}
        assert not [process for process in left if process.alive]
        assert run_cli("stop", "--data-dir", str(directory)).returncode == 2

    with Cluster(directory, *options, forked=True) as cluster:
        api = runstream.API(url=cluster.url)
        wait_for(lambda: finished(api) == 1, 200, "what the killed worker left to be folded")
        assert [summary.count for summary in api.summaries("run-0")] == [STEPS, STEPS]
        assert run_cli("stop", "--data-dir", str(directory)).returncode == 0
        assert cluster.error_path.read_text().count("Traceback") == 0
