"""Searches with the real `comet_ml.Optimizer`: python optimizing.py SCENARIO ARGUMENT..., which prints JSON."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import comet_ml

GRID: dict[str, Any] = {
    "algorithm": "grid",
    "spec": {"metric": "loss", "gridSize": 3},
    "parameters": {
        "lr": {"type": "float", "min": 0.0, "max": 1.0},
        "layers": {"type": "integer", "min": 1, "max": 2},
        "act": ["relu", "tanh"],
    },
    "trials": 1,
}
BAYES = {
    "algorithm": "bayes",
    "spec": {"maxCombo": 14, "objective": "maximize", "metric": "score", "seed": 3},
    "parameters": {"x": {"type": "float", "min": -1, "max": 1}, "y": [1, 2, 3]},
    "trials": 1,
}
RETRIED = {
    "algorithm": "grid",
    "spec": {"metric": "loss", "retryAssignLimit": 1},
    "parameters": {"x": [1, 2, 3]},
}
KWARGS: dict[str, Any] = {"workspace": "searches", "display_summary_level": 0, "log_git_metadata": False}


def values_in(experiment: Any, *names: str) -> list[Any]:
    return [experiment.params[name] for name in names]


def grid(optimizer_id: str = "") -> Any:
    """A whole grid; of the one with an id, what is left of it."""
    optimizer = comet_ml.Optimizer(optimizer_id or GRID, verbose=0)
    found = []
    for experiment in optimizer.get_experiments(project_name="grid", **KWARGS):
        lr, layers, act = values_in(experiment, "lr", "layers", "act")
        experiment.log_metric("loss", lr + layers)
        found.append([lr, layers, act])
        experiment.end()
    return {"id": optimizer.get_id(), "found": found, "status": optimizer.status()}


def created(name: str) -> Any:
    """The id alone, as `comet optimize` without a script prints it."""
    return {"id": comet_ml.Optimizer({"GRID": GRID, "BAYES": BAYES, "RETRIED": RETRIED}[name], verbose=0).get_id()}


def bayes() -> Any:
    optimizer = comet_ml.Optimizer(BAYES, verbose=0)
    found = []
    for given in optimizer.get_parameters():
        x, y = given["parameters"]["x"], given["parameters"]["y"]
        optimizer._api.optimizer_update(optimizer.id, given["pid"], given["trial"], "completed", y - (x - 0.25) ** 2)
        found.append([x, y])
    return {"found": found, "status": optimizer.status()}


def random() -> Any:
    spec = {"maxCombo": 6, "metric": "loss"}
    config = {"algorithm": "random", "parameters": {"x": {"type": "integer", "min": 0, "max": 5}}, "spec": spec}
    optimizer = comet_ml.Optimizer({**config, "trials": 2}, verbose=0)
    return [[one["parameters"]["x"], one["trial"], one["pid"]] for one in optimizer.get_parameters()]


def retried(optimizer_id: str, died: str) -> Any:
    """Go on after a process that died in the middle of an experiment. The first experiment here logs no value."""
    comet_ml.APIExperiment(previous_experiment=died).set_state("crashed")
    optimizer = comet_ml.Optimizer(optimizer_id, verbose=0)
    found = []
    for experiment in optimizer.get_experiments(project_name="retried", **KWARGS):
        found.append(values_in(experiment, "x"))
        if len(found) > 1:
            experiment.log_metric("loss", 1.0)
        experiment.end()
    return {"found": found, "status": optimizer.status()}


def killed(optimizer_id: str) -> Any:
    experiment = comet_ml.Optimizer(optimizer_id, verbose=0).next(project_name="retried", **KWARGS)
    time.sleep(3)
    print(json.dumps([values_in(experiment, "x"), experiment.get_key()]), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def refused() -> Any:
    told = {}
    for label, config in {
        "too large": {**GRID, "spec": {"gridSize": 1000}, "parameters": dict.fromkeys("abc", GRID["parameters"]["lr"])},
        "nan": {**GRID, "parameters": {"x": {"type": "float", "min": float("nan"), "max": 1}}},
        "algorithm": {**GRID, "algorithm": "annealing"},
        "unknown": "0" * 32,
    }.items():
        try:
            told[label] = str(comet_ml.Optimizer(config, verbose=0))
        except Exception as error:
            told[label] = f"{type(error).__name__}: {error}"
    return told


SCENARIOS: dict[str, Callable[..., Any]] = {
    one.__name__: one for one in (grid, created, bayes, random, retried, killed, refused)
}

if __name__ == "__main__":
    print(json.dumps(SCENARIOS[sys.argv[1]](*sys.argv[2:])))
