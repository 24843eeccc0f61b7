"""Trials of the unmodified `bender-client`: what was reported is what is read, by each reader."""

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import runstream
from kit.bender.server import Server
from kit.clients import python_of
from kit.foreign import KEY, READING_KEY, own
from kit.ports import free_port
from kit.servers.up import running_up
from runstream_infra.rebuilding import rebuild_and_compare
from runstream_infra.settings import ServerSettings

Told = dict[str, Any]
PARAMETERS = {"version": 0.1, "CV_folds": "10", "big": 2**53 + 1, "flags": [True, None]}


def test_the_client_logs_in_once_and_again_behind_a_revocation(server: Server, tmp_path: Path) -> None:
    told = server.told("logging_in", home=tmp_path)["logging_in"]["value"]
    assert told["asked"] == [1, 1, 2]
    assert (told["username"], told["pk"]) == ("ada.lovelace-ml", "ada.lovelace-ml")
    assert server.told("with_a_forged_token", home=tmp_path)["with_a_forged_token"] == {"value": 1}


def test_a_wrong_password_is_no_login(server: Server, tmp_path: Path) -> None:
    told = server.told("with_a_wrong_password", home=tmp_path)["with_a_wrong_password"]
    assert told["error"] == "KeyError", "what the client makes of three refusals"
    status, problem = server.requested("bender/login/", {}, "POST", {"email": "a@b", "password": "x" * 20})
    assert (status, "the password is no key of this server" in problem["detail"]) == (400, True)


def test_experiments_and_algos_come_back_as_they_were_created(everything: Told) -> None:
    made, algo = everything["made"], everything["algo"]
    assert (made["name"], made["description"], made["dataset"]) == ("digits \u2603", "An experiment", "digits.csv")
    assert made["dataset_parameters"] == PARAMETERS
    assert made["metrics"] == [{"metric_name": "loss", "type": "loss"}, {"metric_name": "accuracy", "type": "reward"}]
    assert everything["again"] == made["id"], "creating it again sets the one that is there"
    assert (algo["name"], algo["description"], algo["is_search_space_defined"]) == ("net/one", "A net", True)
    assert [one["name"] for one in algo["parameters"]] == [
        "lr",
        "layers",
        "momentum",
        "width",
        "norm",
        "optimizer",
        "seed",
    ]
    assert everything["same"] == algo["id"]
    assert (everything["empty"]["description"], everything["empty"]["is_search_space_defined"]) == (None, False)
    assert [one["name"] for one in everything["algos"]] == ["empty", "net/one"], "the newest first"
    assert everything["cleared"] is None
    assert everything["by_id"] == ["net/one", "digits \u2603"]
    assert {"name": "digits \u2603", "id": made["id"]} in everything["experiments"]


def test_suggestions_are_within_the_space_and_keep_their_types(everything: Told) -> None:
    for values in everything["trials"]:
        assert 1e-5 <= values["lr"] < 1
        assert values["layers"] in (1, 3, 5, 7)
        assert 0 <= values["momentum"] <= 1
        assert (type(values["width"]), values["width"] % 8) == (int, 0)
        assert type(values["norm"]) is bool
        assert values["optimizer"] in ("adam", "sgd")
        assert values.keys() == {"lr", "layers", "momentum", "width", "norm", "optimizer", "seed"}


def test_trials_come_back_as_they_were_reported(everything: Told) -> None:
    listed = everything["listed"]
    assert [one["parameters"] for one in listed] == everything["trials"][::-1], "the newest first, every value exact"
    assert [one["results"] for one in listed] == [
        {"loss": number / 4, "accuracy": 1 - number / 8} for number in (3, 2, 1, 0)
    ]
    assert [one["comment"] for one in listed] == ["a comment"] * 3 + [None]
    assert {one["weight"] for one in listed} == {1}, "what the client sends, whatever it was given"
    assert {(one["algo"], one["algo_name"], one["owner"]) for one in listed} == {
        (everything["algo"]["id"], "net/one", "ada.lovelace-ml")
    }
    assert everything["left"] == listed[1:]


def test_a_trial_is_a_run_of_runstream(server: Server, everything: Told) -> None:
    api, trial = server.api(), everything["left"][0]
    run = api.run(trial["id"])
    assert (run.workspace, run.project, run.experiment, run.status) == (
        "default",
        "bender",
        "digits \u2603",
        "finished",
    )
    assert (run.user, run.group) == ("ada.lovelace-ml", "net/one")
    loss = next(one for one in api.summaries(run.id) if one.metric == "loss")
    assert (loss.count, loss.minimum, loss.last) == (1, 0.5, 0.5)
    found = api.runs("project = 'bender' and metric.loss.min = 0.5 and other.comment = 'a comment'")
    assert [one.id for one in found] == [run.id]
    headers = {"Authorization": KEY}
    _, summary = server.requested(f"api/rest/v2/experiment/metrics/summary?experimentKey={run.id}", headers)
    assert float(next(one for one in summary["values"] if one["name"] == "accuracy")["valueMax"]) == 0.75
    gone = everything["listed"][0]["id"]
    assert gone not in [one.id for one in api.runs("project = 'bender'")]


def test_a_run_of_the_sdk_is_a_trial_too(server: Server, everything: Told, tmp_path: Path) -> None:
    quiet: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}
    place: dict[str, Any] = {"experiment": "digits \u2603", "group": "net/one"}
    run = runstream.init("bender", "ours", url=server.url, api_key=KEY, dir=tmp_path, **place, **quiet)
    values = everything["trials"][0]
    run.log_params(values)
    for step in range(5):
        run.log({"loss": 1 / (step + 1), "other": 3.0}, step=step)
    assert run.finish()
    _, found = server.bender(f"api/trials/?algo={everything['algo']['id']}")
    ours = next(one for one in found["results"] if one["id"] == run.run_id)
    assert ours["parameters"] == values
    assert ours["results"] == {"loss": 0.2, "accuracy": None}
    _, best = server.bender(f"api/trials/?algo={everything['algo']['id']}&k_best=2&metric=loss")
    assert [one["results"]["loss"] for one in best["results"]] == [0, 0.2]
    assert server.bender(f"api/trials/{run.run_id}/", "DELETE") == (204, None)
    assert run.run_id not in [one.id for one in server.api().runs("project = 'bender'")]
    other = runstream.init("bender", "no trial", url=server.url, api_key=KEY, dir=tmp_path, **quiet)
    assert other.finish()
    assert server.bender(f"api/trials/{other.run_id}/", "DELETE")[0] == 404


def test_every_optimizer_finds_its_way(server: Server) -> None:
    best = server.told("searching")["searching"]["value"]
    assert best["parzen_estimator"] == pytest.approx(0, abs=0.5)
    assert best["model_based"] == pytest.approx(0, abs=0.5)
    assert -8 < best["random"] <= 0
    assert {one.project for one in server.api().projects()} >= {"search"}, "the name says which project"


def test_those_who_ask_together_share_the_names_and_no_suggestion(server: Server) -> None:
    found = server.told("many_at_once")["many_at_once"]["value"]
    assert len({one["experiment"] for one in found}) == len({one["algo"] for one in found}) == 1
    values = [value for one in found for value in one["values"]]
    assert sorted(values) == list(range(24)), "all that there is, each once"


def test_what_is_deleted_frees_its_name_and_takes_its_trials_along(server: Server) -> None:
    told = server.told("deleting")["deleting"]["value"]
    assert [one["name"] for one in told["left"]] == ["a"]
    assert (told["other"], told["algos"], told["trials"]) == (True, 1, [])


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("without_a_metric_of_it", "s: loss, accuracy"),
        ("with_another_optimizer", "give one of random, parzen_estimator, model_based"),
        ("without_a_space", "Must define a search space properly"),
        ("with_a_missing_parameter", "is missing: give lr, layers"),
        ("with_nan", "loss is nan"),
        ("with_no_metrics", "metrics has 0 items"),
        ("with_an_empty_range", "x: high is 1: give a number above low"),
        ("of_an_unknown_experiment", "Could not retrieve experiment"),
        ("deleting_an_unknown_trial", "there is no trial with the id"),
    ],
)
def test_the_client_raises_what_the_server_refuses(server: Server, everything: Told, step: str, words: str) -> None:
    told = server.told(step)[step]
    assert told["error"] == "BenderError"
    assert words in told["message"]


def test_a_key_that_only_reads_creates_nothing(server: Server, everything: Told, tmp_path: Path) -> None:
    told = server.told("creating", key=READING_KEY, home=tmp_path)["creating"]
    assert (told["error"], "This key only reads" in told["message"]) == ("BenderError", True)
    token = server.token(READING_KEY)
    assert server.bender(f"api/experiments/{everything['made']['id']}/", token=token)[0] == 200
    assert server.bender(f"api/experiments/{everything['made']['id']}/", "DELETE", token=token)[0] == 403
    suggest = {"metric": "loss"}
    assert server.bender(f"api/algos/{everything['algo']['id']}/suggest/", "POST", suggest, token=token)[0] == 403


def test_who_has_no_token_of_this_server_is_told_how_to_log_in(server: Server) -> None:
    for headers in ({}, {"Authorization": "JWT a.b.c"}, {"Authorization": f"JWT {KEY}"}):
        status, problem = server.requested("bender/user/", headers)
        assert (status, "a key of this server as the password" in problem["detail"]) == (401, True)
    status, user = server.requested("bender/user/", {"Authorization": f"Bearer {KEY}"})
    assert (status, len(user["username"])) == (200, 8)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "experiments/", b"[1]", 400, "the body is list: send a JSON object"),
        ("POST", "experiments/", {"name": "a/b/c/d", "metrics": []}, 400, "give EXPERIMENT, PROJECT/EXPERIMENT"),
        ("POST", "experiments/", {"name": "x", "metrics": "loss"}, 400, "metrics is str: give a list"),
        ("POST", "experiments/", {"name": "x", "metrics": [{"metric_name": "a", "type": "x"}]}, 400, "loss or reward"),
        (
            "POST",
            "experiments/",
            {"name": "x", "metrics": [{"metric_name": "a", "type": "loss"}] * 2},
            400,
            "two of the name 'a'",
        ),
        ("POST", "experiments/", b'{"name": "x", "dataset_parameters": NaN}', 400, "metrics is NoneType"),
        ("GET", "experiments/nothing/", None, 404, "no experiment with the id 'nothing'"),
        ("GET", "algos/", None, 404, "no experiment with the id ''"),
        ("GET", "algos/{algo}%00/", None, 404, "no algo with the id"),
        ("GET", "trials/?algo={algo}&limit=0", None, 400, "limit: Input should be greater"),
        ("GET", "trials/?algo={algo}&k_best=2", None, 400, "metric is 'None'"),
        ("POST", "algos/", {"name": "x", "experiment": "{experiment}", "parameters": [7]}, 400, "give each a name"),
        (
            "POST",
            "algos/",
            {"name": "x", "experiment": "{experiment}", "parameters": [{"name": "a", "category": "beta"}]},
            400,
            "category is 'beta'",
        ),
        (
            "POST",
            "algos/",
            {"name": "x%2Fy", "experiment": "{experiment}", "parameters": []},
            400,
            "characters without %2F",
        ),
        ("POST", "algos/{algo}/suggest/", {"metric": ["loss"]}, 400, "give one of the experiment's"),
        ("POST", "algos/{algo}/suggest/", {"metric": "loss", "minimum_observations": 0}, 400, "from 1 to 1000"),
        ("POST", "trials/", {"algo": "{algo}", "parameters": 1, "results": {}}, 400, "parameters is int"),
        ("POST", "trials/", {"algo": "{algo}", "parameters": {"x": 1}, "results": {}}, 400, "give lr, layers"),
        ("DELETE", "trials/..%2F/", None, 404, "no trial with the id"),
    ],
)
def test_wrong_requests_are_told_what_is_wrong(
    server: Server, everything: Told, method: str, path: str, body: Any, status: int, words: str
) -> None:
    ids = {"{algo}": everything["algo"]["id"], "{experiment}": everything["made"]["id"]}
    if isinstance(body, dict):
        body = {name: ids.get(str(value), value) for name, value in body.items()}
    found, told = server.bender(f"api/{path.replace('{algo}', ids['{algo}'])}", method, body)
    assert found == status
    assert words in told["detail"]


def test_pages_of_trials_lead_to_each_other(server: Server, everything: Told) -> None:
    _, first = server.bender(f"api/trials/?algo={everything['algo']['id']}&limit=2")
    assert (first["count"], len(first["results"]), first["previous"]) == (3, 2, None)
    assert first["next"].startswith(f"{server.url}/bender/api/trials/?")
    _, last = server.bender(first["next"].removeprefix(f"{server.url}/bender/"))
    assert (last["next"], len(last["results"])) == (None, 1)
    assert [*first["results"], *last["results"]] == everything["left"]


def test_a_name_is_created_once_by_all_who_try_together(server: Server) -> None:
    token = server.token()
    new = {"name": "contested", "metrics": [{"metric_name": "loss", "type": "loss"}]}
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: server.bender("api/experiments/", "POST", new, token)[0], range(8)))
    assert sorted(found) == [201] + [400] * 7
    _, listed = server.bender("api/experiments/?name=contested")
    assert listed["count"] == 1
    assert server.bender("api/experiments/?name=Contested")[1]["count"] == 0
    assert server.bender("api/experiments/?name=conteste")[1]["count"] == 0


def test_suggestions_go_on_behind_a_restart_and_a_rebuild_is_equal(tmp_path: Path) -> None:
    environment = own() | {"RUNSTREAM_API_KEYS": KEY}
    data, errors = tmp_path / "data", tmp_path / "server.log"
    with running_up(data, "--port", str(free_port()), environment=environment, errors=errors) as url:
        server = Server(url, python_of("bender"), home=tmp_path)
        before = server.told("before_the_restart")["before_the_restart"]["value"]
    with running_up(data, "--port", url.rpartition(":")[2], environment=environment, errors=errors) as url:
        assert url == server.url
        told = server.told("behind_the_restart")["behind_the_restart"]["value"]
        assert len({*before, *told["new"]}) == 8, "the token, the count and the trials are there"
        assert [one["parameters"]["x"] for one in told["trials"]] == [*before, *told["new"]][::-1]
        assert all(math.isfinite(one["results"]["loss"]) for one in told["trials"])
    assert asyncio.run(rebuild_and_compare(ServerSettings(data_dir=data))).equal
