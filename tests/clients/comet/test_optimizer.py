"""Searches by the unmodified `comet_ml.Optimizer`: complete, never twice the same, and taken up by their id."""

import itertools
import json
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from kit.comet.logged import KEY
from kit.comet.processes import HERE, Writing, client_environment
from runstream.api import API

GRID = [list(one) for one in itertools.product((0.0, 0.5, 1.0), (1, 2), ("relu", "tanh"))]


def begun(writing: Writing, scenario: str, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [str(writing.python), str(HERE / "optimizing.py"), scenario, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=client_environment(writing.home, writing.url) | variables,
        cwd=writing.home,
    )


def result_of(process: "subprocess.Popen[str]", status: int = 0) -> Any:
    told, errors = process.communicate(timeout=300)
    assert process.returncode == status, errors[-3000:]
    return json.loads(told.splitlines()[-1])


@pytest.fixture(scope="module")
def told(writing: Writing) -> Mapping[str, Any]:
    """Scenarios beside each other: they mostly wait. Two clients share the last grid."""
    created = {name: begun(writing, "created", name) for name in ("GRID", "RETRIED")}
    ids = {name: result_of(process)["id"] for name, process in created.items()}
    died = result_of(begun(writing, "killed", ids["RETRIED"]), -9)
    processes = {
        "grid": begun(writing, "grid"),
        "one": begun(writing, "grid", ids["GRID"]),
        "other": begun(writing, "grid", COMET_OPTIMIZER_ID=ids["GRID"]),
        "retried": begun(writing, "retried", ids["RETRIED"], died[1]),
    }
    results = {name: result_of(process) for name, process in processes.items()}
    processes = {name: begun(writing, name) for name in ("bayes", "random", "refused")}
    results |= {name: result_of(process) for name, process in processes.items()}
    return {**results, "died": died, "shared": ids["GRID"]}


def test_a_grid_is_complete_and_in_order(told: Mapping[str, Any]) -> None:
    assert told["grid"]["found"] == GRID
    status = told["grid"]["status"]
    assert (status["status"], status["comboCount"], status["id"]) == ("completed", 12, told["grid"]["id"])
    assert status["parameters"]["act"] == {"type": "categorical", "values": ["relu", "tanh"]}
    assert (status["state"]["completed"], status["startTime"] <= status["endTime"]) == (12, True)


def test_two_clients_at_once_share_a_grid(told: Mapping[str, Any]) -> None:
    one, other = told["one"]["found"], told["other"]["found"]
    assert sorted(one + other) == sorted(GRID), "each set of values once"
    assert one
    assert other
    assert {told[name]["id"] for name in ("one", "other")} == {told["shared"]}


def test_experiments_are_runs_with_their_values(told: Mapping[str, Any], writing: Writing) -> None:
    runs = API(url=writing.url, api_key=KEY).runs(f"other.optimizer_id = '{told['grid']['id']}'")
    assert len(runs) == 12
    best = API(url=writing.url, api_key=KEY).runs(
        f"other.optimizer_id = '{told['grid']['id']}' and metric.loss = 1 and param.act = 'tanh'"
    )
    assert [(one.project, one.status) for one in best] == [("grid", "finished")]


def test_what_died_or_logged_nothing_is_given_again(told: Mapping[str, Any]) -> None:
    (died, _), found = told["died"], told["retried"]["found"]
    assert died == [1]
    assert found[0] == [2]
    assert found[1] == [3]
    assert sorted(found[2:]) == [[1], [2]]
    status = told["retried"]["status"]
    assert (status["status"], status["retryCount"], status["state"]["completed"]) == ("completed", 2, 3)


def test_bayes_finds_better_values_than_it_began_with(told: Mapping[str, Any]) -> None:
    found = told["bayes"]["found"]
    assert len(found) == 14
    assert len({tuple(one) for one in found}) == 14
    assert told["bayes"]["status"]["spec"]["objective"] == "maximize"
    assert sum(y == 3 for _, y in found[10:]) >= 2, "most of what follows has the best of the list"


def test_each_random_set_of_values_has_its_trials(told: Mapping[str, Any]) -> None:
    given = told["random"]
    assert [trial for _, trial, _ in given] == [0, 1] * 6
    assert sorted(x for x, _, _ in given) == sorted([*range(6), *range(6)]), "none twice"
    assert len({pid for _, _, pid in given}) == 6


def test_what_cannot_be_searched_is_refused_in_words(told: Mapping[str, Any]) -> None:
    refused = told["refused"]
    assert "the grid search has 1000000000 assignments, at most 10000" in refused["too large"]
    assert "min is nan: give a finite number" in refused["nan"]
    assert "algorithm is 'annealing': give one of bayes, grid, random" in refused["algorithm"]
    assert "there is no optimizer with the id '00000000000000000000000000000000'" in refused["unknown"]
