"""Runs and files of the unmodified `ubiops.Training`: a run of it is a run of Runstream."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.clients import python_of
from kit.foreign import KEY, READING_KEY, own
from kit.servers.up import running_up
from kit.ubiops.server import VERSIONS, Server
from runstream_infra.rebuilding import rebuild_and_compare
from runstream_infra.settings import ServerSettings

Told = dict[str, Any]
PARAMETERS = {"nr_epochs": 15, "lr": 0.1, "layers": [3, {"a": None}]}
RUNS = f"{VERSIONS}/resnet/requests"
FILES = "projects/roads/buckets/default/files"
QUIET: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}


def test_a_run_is_pending_as_it_was_requested(told: Told) -> None:
    found = told["running"]["value"]
    first, second, third = found["made"]
    assert {one["status"] for one in found["made"]} == {"pending"}
    assert {one["experiment"] for one in found["made"]} == {"resnet"}
    assert len({one["id"] for one in (first, second, third)}) == 3
    detail = found["detail"]
    assert (detail["id"], detail["status"], detail["timeout"]) == (first["id"], "pending", 56)
    assert (detail["error_message"], detail["result"], detail["time_completed"]) == (None, None, None)
    request = detail["request_data"]
    assert (request["name"], request["description"], request["parameters"]) == (
        "first",
        "With everything",
        PARAMETERS,
    )
    assert request["training_code"].startswith("ubiops-file://other/experiments/resnet/runs/")
    assert request["training_code"].endswith("/code/train.py")
    assert request["training_data"].endswith("/data/empty.csv")


def test_what_cannot_be_run_is_refused(told: Told) -> None:
    found = told["running"]["value"]
    assert found["missing"]["status"] == 404
    assert (found["timeout"]["status"], "1 to 172800" in found["timeout"]["body"]) == (400, True)


def test_a_run_is_cancelled_and_deleted(told: Told) -> None:
    found = told["cancelling"]["value"]
    made = [one["id"] for one in told["running"]["value"]["made"]]
    assert [one["id"] for one in found["listed"]] == made[::-1], "the newest first"
    assert found["cancelled"]["status"] == "cancelled"
    assert found["cancelled"]["time_completed"]
    assert found["wrong"]["status"] == 400
    assert found["gone"]["status"] == 404
    assert found["elsewhere"]["status"] == 404


def test_lists_are_of_a_status_a_page_an_id_and_a_time(told: Told) -> None:
    found = told["cancelling"]["value"]
    first, _, third = (one["id"] for one in told["running"]["value"]["made"])

    def ids(name: str) -> list[str]:
        return [one["id"] for one in found[name]]

    assert (ids("pending"), ids("one"), ids("found")) == ([first], [first], [third])
    assert (ids("later"), ids("before")) == ([], [third, first])


def test_a_file_comes_back_as_it_was_sent(told: Told) -> None:
    assert "value" in told["files"], told["files"]
    found = told["files"]["value"]
    assert found["sizes"] == [5, 300_000, 0]
    assert [one["file"] for one in found["listed"]["files"]] == ["models/best \u2603 %.bin"]
    one, other = found["pages"]
    assert [len(page["files"]) for page in (one, other)] == [1, 1]
    assert one["files"][0]["file"] < other["files"][0]["file"]
    assert (found["gone"]["status"], found["nowhere"]["status"]) == (404, 404)


def test_it_is_a_run_of_runstream(server: Server, told: Told) -> None:
    first, second, third = (one["id"] for one in told["running"]["value"]["made"])
    api = server.api()
    run = api.run(first)
    assert (run.workspace, run.project, run.experiment, run.name) == ("default", "roads", "resnet", "first")
    assert [one.id for one in api.runs("project = 'roads' and param.nr_epochs = 15")] == [first]
    assert api.run(third).status == "killed"
    assert second not in {one.id for one in api.runs("project = 'roads'")}


def test_a_pending_run_is_taken_on_by_the_sdk(server: Server, told: Told, tmp_path: Path) -> None:
    status, made = server.ubiops(f"{RUNS}/batch", "POST", [{"name": "by hand", "training_code": "x"}])
    assert (status, made[0]["status"]) == (200, "pending")
    run_id = made[0]["id"]
    run = runstream.init("roads", run_id=run_id, url=server.url, api_key=KEY, dir=tmp_path, **QUIET)
    run.log({"accuracy": 0.5})
    run.log({"accuracy": 0.75})
    assert run.finish()
    status, found = server.ubiops(f"{RUNS}/{run_id}")
    assert (status, found["status"], found["success"]) == (200, "completed", True)
    assert found["result"] == {"artifact": None, "metadata": None, "metrics": {"accuracy": 0.75}}
    assert found["request_data"]["name"] == "by hand"
    (summary,) = server.api().summaries(run_id)
    assert (summary.count, summary.last) == (2, 0.75)
    status, refused = server.ubiops(f"{RUNS}/{run_id}", "PATCH", {"status": "cancelled"})
    assert (status, "is completed" in refused["error"]) == (400, True)


def test_a_run_of_the_sdk_is_seen(server: Server, told: Told, tmp_path: Path) -> None:
    run = runstream.init("roads", "ours", experiment="resnet", url=server.url, api_key=KEY, dir=tmp_path, **QUIET)
    _, found = server.ubiops(f"{RUNS}/{run.run_id}")
    run.log({"loss": 0.5})
    assert run.finish()
    status, found = server.ubiops(f"{RUNS}/{run.run_id}")
    assert (status, found["status"], found["request_data"]) == (200, "completed", None)
    assert found["result"]["metrics"] == {"loss": 0.5}


def test_a_url_of_a_file_is_good_for_what_it_was_given_for(server: Server, told: Told) -> None:
    def sent(url: str, method: str, data: bytes | None = None) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    assert server.ubiops(f"{FILES}/mine", "POST", key=READING_KEY)[0] == 403
    up = server.ubiops(f"{FILES}/mine", "POST")[1]["url"]
    assert sent(up, "PUT", b"content")[0] == 200
    down = server.ubiops(f"{FILES}/mine/download", key=READING_KEY)[1]["url"]
    assert sent(down, "GET") == (200, b"content")
    swapped = down.replace("/downloads/", "/uploads/")
    for url, method in ((swapped, "PUT"), (up.replace("/uploads/", "/downloads/"), "GET"), (up[:-4], "PUT")):
        status, refused = sent(url, method, b"x" if method == "PUT" else None)
        assert (status, "ask for a new URL" in json.loads(refused)["error"]) == (403, True), url
    assert sent(down, "GET")[1] == b"content"


def test_an_experiment_may_be_called_as_a_bucket(server: Server, told: Told) -> None:
    url = server.ubiops(f"{FILES}/kept", "POST")[1]["url"]
    with urllib.request.urlopen(urllib.request.Request(url, b"kept", method="PUT"), timeout=60) as response:
        assert response.status == 200
    assert server.ubiops(VERSIONS, "POST", {"version": "default", "environment": "python3-8"})[0] == 200
    assert server.ubiops(f"{VERSIONS}/default", "DELETE")[0] == 200
    assert server.ubiops(f"{FILES}/kept")[1]["size"] == 4


def test_all_is_there_behind_a_restart_and_a_rebuild_is_equal(tmp_path: Path) -> None:
    environment, data, errors = own() | {"RUNSTREAM_API_KEYS": KEY}, tmp_path / "data", tmp_path / "server.log"
    with running_up(data, environment=environment, errors=errors) as url:
        server = Server(url, python_of("ubiops"))
        told = server.told("creating", "running", "cancelling", "files")
        before = [server.ubiops(path) for path in (VERSIONS, RUNS, FILES)]
        assert [status for status, _ in before] == [200, 200, 200]
    with running_up(data, environment=environment, errors=errors) as url:
        server = Server(url, python_of("ubiops"))
        assert [server.ubiops(path) for path in (VERSIONS, RUNS, FILES)] == before
        cancelled = told["cancelling"]["value"]["cancelled"]["id"]
        assert server.ubiops(f"{RUNS}/{cancelled}")[1]["status"] == "cancelled"
        assert "value" in server.told("files")["files"]
    assert asyncio.run(rebuild_and_compare(ServerSettings(data_dir=data))).equal


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", f"{RUNS}/batch", {"name": "x"}, 400, "items is NoneType: give a list"),
        ("POST", f"{RUNS}/batch", [], 400, "an empty list"),
        ("POST", f"{RUNS}/batch", [7], 400, "a run is int: send an object"),
        ("POST", f"{RUNS}/batch", [{"training_code": "x"}], 400, "name is None: give a text"),
        ("POST", f"{RUNS}/batch", [{"name": "x"}], 400, "training_code is None"),
        (
            "POST",
            f"{RUNS}/batch",
            [{"name": "x", "training_code": "x", "parameters": [1]}],
            400,
            "parameters is list: give an object",
        ),
        (
            "POST",
            f"{RUNS}/batch",
            [{"name": "x", "training_code": "x", "parameters": {"a": "x" * 250_000}}],
            413,
            "give long parameters as a file",
        ),
        ("POST", f"{RUNS}/batch?timeout=0", [{"name": "x", "training_code": "x"}], 400, "1 to 172800"),
        ("POST", f"{RUNS}/batch", [{"name": "x", "training_code": "x"}] * 251, 413, "at most 250"),
        ("GET", f"{RUNS}?status=done", None, 400, "give one of pending"),
        ("GET", f"{RUNS}?limit=0", None, 400, "limit"),
        ("GET", f"{RUNS}?start_date=yesterday", None, 400, "give a time such as"),
        ("GET", f"{RUNS}/nothing", None, 404, "has no run 'nothing'"),
        ("PATCH", f"{RUNS}/nothing", {"status": "cancelled"}, 404, "has no run 'nothing'"),
        ("GET", f"{FILES}/nothing", None, 404, "has no file 'nothing'"),
        ("GET", f"{FILES}?continuation_token=x", None, 400, "give the one of the response before"),
        ("POST", "projects/roads/buckets/nowhere/files/x", None, 404, "has no bucket 'nowhere'"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    server: Server, told: Told, method: str, path: str, body: Any, status: int, words: str
) -> None:
    found, refused = server.ubiops(path, method, body)
    assert found == status
    assert words in refused["error"]
