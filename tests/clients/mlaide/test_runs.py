"""Runs of the unmodified `mlaide`: what was logged is what is read, by each reader."""

import asyncio
import json
import re
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.clients import python_of
from kit.foreign import KEY, READING_KEY, own
from kit.mlaide.server import Server
from kit.ports import free_port
from kit.servers.up import running_up
from runstream_infra.rebuilding import rebuild_and_compare
from runstream_infra.settings import ServerSettings
from runstream_protocols.mlaide.keys import number_of_run, run_of_number

Logged = dict[str, Any]
#: What `everything` logged, as ML Aide's interface gives it.
METRICS = {
    "loss": 0.1,
    "big": 2.0**40,
    "flag": 1.0,
    "matrix": [[1, 0], [0, 1]],
    "not a number": "NaN",
    "infinite": "Infinity",
    "text": "0.5",
    "best/of all \u2603": 0.1,
}
PARAMETERS = {"lr": 0.2, "optimizer": "adam", "layers": 3, "shuffle": False, "seed": None, "big": 2**53 + 1}


def id_of(run: Logged) -> str:
    """The id of a run of the client."""
    found = run_of_number(str(run["key"]))
    assert found is not None
    return found


def test_the_client_has_what_it_logged(logged: Logged) -> None:
    begun, ended = logged["everything"]["begun"], logged["everything"]["ended"]
    assert (begun["name"], begun["status"], begun["metrics"], begun["parameters"]) == (
        "first \u2603",
        "RUNNING",
        {},
        {},
    )
    assert 0 < begun["key"] < 2**53
    assert datetime.fromisoformat(begun["start_time"]).tzinfo is not None
    assert begun["end_time"] is None
    assert (ended["key"], ended["status"]) == (begun["key"], "COMPLETED")
    assert ended["parameters"] == PARAMETERS
    assert logged["failing"]["status"] == "FAILED"


def test_it_is_read_back_as_it_was_logged(server: Server, logged: Logged) -> None:
    key = logged["everything"]["begun"]["key"]
    status, run = server.aide(f"projects/vision/runs/{key}")
    assert status == 200
    assert (run["key"], run["name"], run["status"]) == (key, "first \u2603", "COMPLETED")
    assert run["metrics"] == METRICS
    assert run["parameters"] == PARAMETERS
    assert run["experimentRefs"] == [{"experimentKey": "resnet"}]
    assert run["startTime"] <= run["endTime"]


def test_a_run_without_names_gets_them(server: Server, logged: Logged) -> None:
    unnamed = logged["unnamed"]
    assert re.fullmatch(r"[a-z]+-[a-z]+-[0-9]{1,3}", unnamed["name"])
    _, run = server.aide(f"projects/vision/runs/{unnamed['key']}")
    ((_, experiment),) = run["experimentRefs"][0].items()
    assert experiment.startswith(unnamed["name"])
    assert server.aide(f"projects/vision/experiments/{experiment}")[0] == 200


def test_it_is_a_run_of_runstream(server: Server, logged: Logged) -> None:
    api = server.api()
    run = api.run(id_of(logged["everything"]["begun"]))
    assert (run.workspace, run.project, run.experiment) == ("default", "vision", "resnet")
    assert (run.name, run.status) == ("first \u2603", "finished")
    loss = next(one for one in api.summaries(run.id) if one.metric == "loss")
    assert (loss.count, loss.minimum, loss.maximum, loss.first, loss.last) == (10, 0.1, 1.0, 1.0, 0.1)
    found = api.runs("project = 'vision' and metric.loss.min < 0.2 and param.optimizer = 'adam'")
    assert [one.id for one in found] == [run.id]
    failed = api.run(id_of(logged["failing"]))
    assert failed.status == "failed"
    speech = api.run(id_of(logged["elsewhere"]))
    assert (speech.workspace, speech.project, speech.status) == ("team", "speech", "running")


def test_comets_reads_have_the_same_summaries(server: Server, logged: Logged) -> None:
    key = id_of(logged["everything"]["begun"])
    headers = {"Authorization": KEY}
    _, found = server.requested(f"api/rest/v2/experiment/metrics/summary?experimentKey={key}", headers)
    loss = next(one for one in found["values"] if one["name"] == "loss")
    assert [float(loss[name]) for name in ("valueMin", "valueMax", "valueCurrent")] == [0.1, 1.0, 0.1]
    _, found = server.requested(f"api/rest/v2/experiment/parameters?experimentKey={key}", headers)
    assert {one["name"]: one["valueCurrent"] for one in found["values"]}["optimizer"] == "adam"


def test_a_run_of_the_sdk_is_seen_and_ended_through_ml_aide(server: Server, tmp_path: Path) -> None:
    quiet: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}
    run = runstream.init("sdk", "ours", experiment="theirs", url=server.url, api_key=KEY, dir=tmp_path, **quiet)
    run.log({"loss": 0.5}, step=7)
    run.log_params({"lr": 0.3})
    assert run.finish()
    number = number_of_run(run.run_id)
    status, shown = server.aide(f"projects/sdk/runs/{number}")
    assert (status, shown["key"], shown["name"], shown["status"]) == (200, number, "ours", "COMPLETED")
    assert (shown["metrics"]["loss"], shown["parameters"]["lr"]) == (0.5, 0.3)
    assert [one["key"] for one in server.aide("projects/sdk/runs")[1]["items"]] == [number]
    assert server.aide(f"projects/sdk/runs/{number}/metrics", "PATCH", {"late": 2})[0] == 200
    assert server.aide(f"projects/sdk/runs/{number}", "PATCH", {"status": "FAILED", "name": "theirs"})[0] == 200
    seen = server.api().run(run.run_id)
    assert (seen.status, seen.name) == ("failed", "theirs")
    server.api().delete(run.run_id)
    assert server.aide(f"projects/sdk/runs/{number}")[0] == 404


def test_lists_are_of_a_project_an_experiment_or_keys(server: Server, logged: Logged) -> None:
    first, second = logged["everything"]["begun"]["key"], logged["failing"]["key"]
    third, unnamed = logged["in_one_that_is_there"]["key"], logged["unnamed"]["key"]

    def listed(query: str = "") -> list[int]:
        status, found = server.aide(f"projects/vision/runs{query}")
        assert status == 200
        return [one["key"] for one in found["items"]]

    assert listed()[:3] == [first, second, unnamed], "the oldest first"
    assert [key for key in listed("?experimentKey=resnet") if key in (first, second, third)] == [first, second, third]
    assert unnamed not in listed("?experimentKey=resnet")
    assert listed(f"?runKeys={second},{first},12,nonsense") == [second, first]
    assert listed("?experimentKey=nothing") == []
    projects = [one["key"] for one in server.aide("projects")[1]["items"]]
    assert {"vision", "team:speech", "crowd"} <= set(projects)
    assert server.aide("projects/vision")[1]["key"] == "vision"
    experiments = [one["key"] for one in server.aide("projects/vision/experiments")[1]["items"]]
    assert "resnet" in experiments
    assert server.aide("projects/team:speech/experiments/asr")[1]["name"] == "asr"


def test_threads_that_begin_together_share_the_experiment_and_nothing_else(server: Server, logged: Logged) -> None:
    runs = logged["many_at_once"]
    assert len({run["key"] for run in runs}) == len(runs) == 8
    assert [one["key"] for one in server.aide("projects/crowd/experiments")[1]["items"]] == ["rush"]
    for number, run in enumerate(runs):
        _, shown = server.aide(f"projects/crowd/runs/{run['key']}")
        assert (shown["name"], shown["status"]) == (f"run {number}", "COMPLETED")
        assert shown["metrics"] == {"x": 4 + number / 10}


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        ("without_experiment", "InputError", "default/vision has no experiment 'nowhere': create it"),
        ("in_a_bad_project", "InputError", "has 500 bytes"),
        ("in_a_bad_experiment", "InputError", "begins or ends with white space"),
        ("without_key", "InvalidAuthorizationError", "ConnectionOptions(api_key=KEY), or MLAIDE_API_KEY"),
        ("with_a_wrong_key", "InvalidAuthorizationError", "This key is not known here."),
    ],
)
def test_the_client_raises_what_the_server_refuses(refused: Logged, step: str, error: str, words: str) -> None:
    told = refused[step]
    assert told["error"] == error
    assert words in told["message"]
    assert told["code"] == {"InputError": 400, "InvalidAuthorizationError": 401}[error]


def test_a_key_that_only_reads_writes_nothing(server: Server, logged: Logged) -> None:
    told = server.told("in_one_that_is_there", key=READING_KEY)["in_one_that_is_there"]
    assert (told["error"], told["code"]) == ("NotAuthorizedError", 403)
    key = logged["everything"]["begun"]["key"]
    assert server.aide(f"projects/vision/runs/{key}", key=READING_KEY)[0] == 200
    assert server.aide(f"projects/vision/runs/{key}/metrics", "PATCH", {"x": 1}, key=READING_KEY)[0] == 403


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("PATCH", "{run}/metrics", b"[1]", 400, "the body is list: send a JSON object"),
        ("PATCH", "{run}/metrics", b"{", 400, "the body is no JSON"),
        ("PATCH", "{run}/metrics", {str(n): n for n in range(10_001)}, 400, "at most 10000 can be at once"),
        ("PATCH", "{run}/parameters", b"[" * 100_000, 400, "more than 50000 values"),
        ("PATCH", "{run}", {}, 400, "nothing is changed: give status or name"),
        ("PATCH", "{run}", {"status": "DONE"}, 400, "give one of RUNNING, COMPLETED, FAILED"),
        ("PATCH", "{run}", {"status": 7}, 400, "status is 7: give a text"),
        ("PATCH", "12/metrics", {"x": 1}, 404, "has no run with the key '12'"),
        ("PATCH", "x/metrics", {"x": 1}, 404, "has no run with the key 'x'"),
        ("GET", "9" * 4_000, None, 404, "has no run with the key"),
        ("POST", "", {"experimentRefs": [{}, {}]}, 400, "a run is in one experiment here"),
        ("POST", "", {"experimentRefs": [7]}, 400, "give an object with experimentKey"),
        ("POST", "", {"experimentRefs": "resnet"}, 400, "experimentRefs is str: give a list"),
        ("POST", "", {"name": ["x"]}, 400, "name is ['x']: give a text"),
        ("POST", "", {"metrics": 1}, 400, "metrics is 1: give an object"),
        ("POST", "", {"git": "main"}, 400, "git is 'main': give an object"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    server: Server, logged: Logged, method: str, path: str, body: Any, status: int, words: str
) -> None:
    run = str(logged["everything"]["begun"]["key"])
    found, told = server.aide(f"projects/vision/runs/{path.format(run=run)}".rstrip("/"), method, body)
    assert (found, told["code"]) == (status, status)
    assert words in told["message"]


def test_the_names_of_values_are_all_of_the_body_and_nothing_else(server: Server, logged: Logged) -> None:
    key = logged["unnamed"]["key"]
    values = {"code": 1, "items": [1], "status": "x", "": 0, " outer ": 2, "n" * 600: 3}
    assert server.aide(f"projects/vision/runs/{key}/metrics?extra=1", "PATCH", values)[0] == 200
    _, shown = server.aide(f"projects/vision/runs/{key}")
    (long,) = shown["metrics"].keys() - {"code", "items", "status", "unnamed", "outer"}
    assert re.fullmatch(r"n{491}-[0-9a-f]{8}", long), "a name that is too long ends with a hash"


def test_a_run_is_found_in_its_own_project_only(server: Server, logged: Logged) -> None:
    key = logged["everything"]["begun"]["key"]
    for project in ("crowd", "team:vision", "team:speech"):
        assert server.aide(f"projects/{project}/runs/{key}")[0] == 404
        assert server.aide(f"projects/{project}/runs/{key}/metrics", "PATCH", {"x": 1})[0] == 404


def test_projects_are_created_once_and_experiments_again(server: Server) -> None:
    new = {"key": "team:new", "name": "A new one"}
    assert server.aide("projects", "POST", new) == (200, {"key": "team:new", "name": "team:new", "createdAt": None})
    status, told = server.aide("projects", "POST", new)
    assert (status, told["message"]) == (400, "there is a project team/new already: give another key")
    assert next(one for one in server.api().projects() if one.project == "new").description == "A new one"
    for _ in range(2):
        assert server.aide("projects/team:new/experiments", "POST", {"key": "e"})[0] == 200
    assert server.aide("projects/team:new/experiments", "POST", {"key": "e", "name": "other"})[0] == 400
    assert server.aide("projects/team:new/experiments", "POST", {"key": "e", "status": "TODO"})[0] == 400
    assert server.aide("projects/nobody")[0] == 404


def test_a_run_goes_on_behind_a_restart_and_a_rebuild_is_equal(tmp_path: Path) -> None:
    environment = own() | {"RUNSTREAM_API_KEYS": KEY}
    data, errors = tmp_path / "data", tmp_path / "server.log"
    with running_up(data, "--port", str(free_port()), environment=environment, errors=errors) as url:
        server = Server(url, python_of("mlaide"))
        program = subprocess.Popen(
            server.command("interrupted"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=own()
        )
        assert program.stdout is not None
        key = int(program.stdout.readline())
    with running_up(data, "--port", url.rpartition(":")[2], environment=environment, errors=errors) as url:
        assert url == server.url
        told, _ = program.communicate("go on\n", timeout=120)
        assert json.loads(told) == {"interrupted": {"value": key}}
        _, shown = server.aide(f"projects/patient/runs/{key}")
        assert (shown["status"], shown["metrics"]) == ("COMPLETED", {"x": 9})
        assert shown["parameters"] == {"before": 1, "behind": 2}
        (summary,) = server.api().summaries(id_of({"key": key}))
        assert (summary.count, summary.total) == (10, 45)
    assert asyncio.run(rebuild_and_compare(ServerSettings(data_dir=data))).equal
