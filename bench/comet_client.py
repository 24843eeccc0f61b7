"""Comet's own client, for benchmarks: `python -P bench/comet_client.py read` or `... write SECONDS METRICS`.

Runs in the client's environment, without anything of Runstream. COMET_URL_OVERRIDE says which server is meant. Speaks
JSON, one document a line. `read` says its version, and answers each question that it is sent; `write` says its
experiment's key, logs from the word `go` on and says how much that was and how long it took.
"""

import functools
import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import comet_ml
import requests
from comet_ml.query import Metric

QUIET = {
    "auto_output_logging": False,
    "auto_metric_logging": False,
    "auto_param_logging": False,
    "log_code": False,
    "log_git_metadata": False,
    "log_git_patch": False,
    "log_env_details": False,
    "display_summary_level": 0,
}
WHERE = {"workspace": "default", "project_name": "written"}
SENT = [0]

T = TypeVar("T")
Fields = dict[str, Any]


def count_requests() -> None:
    """Count in SENT what goes out, tries included."""
    send = requests.adapters.HTTPAdapter.send

    @functools.wraps(send)
    def counted(*arguments: Any, **options: Any) -> requests.Response:
        SENT[0] += 1
        return send(*arguments, **options)

    requests.adapters.HTTPAdapter.send = counted  # type: ignore[method-assign]


def say(fields: Fields) -> None:
    print(json.dumps(fields), flush=True)


def timed(ask: Callable[[], T]) -> tuple[T, Fields]:
    """What it gave, and what it took."""
    sent, began_cpu_s, began_s = SENT[0], time.process_time(), time.perf_counter()
    found = ask()
    wall_s = time.perf_counter() - began_s
    return found, {
        "wall_s": wall_s,
        "client_cpu_s": time.process_time() - began_cpu_s,
        "requests": SENT[0] - sent,
    }


def chart(api: comet_ml.API, runs: list[str], metrics: list[str], full: bool) -> Fields:
    found, took = timed(lambda: api.get_metrics_for_chart(runs, metrics, full=full))
    curves = [curve for one in found.values() for curve in one["metrics"]]
    values = [value for curve in curves for value in curve["values"]]
    steps = sum(step for curve in curves for step in curve["steps"])
    return took | {"points": len(values), "sum": math.fsum(values), "steps": steps}


def points(api: comet_ml.API, run: str, metric: str) -> Fields:
    experiment = api.get_experiment_by_key(run)
    found, took = timed(lambda: experiment.get_metrics(metric))
    values = math.fsum(float(point["metricValue"]) for point in found)
    return took | {"points": len(found), "sum": values, "steps": sum(point["step"] for point in found)}


def query(api: comet_ml.API, project: str, metric: str, below: float) -> Fields:
    found, took = timed(lambda: api.query("default", project, Metric(metric) < below))
    return took | {"keys": sorted(experiment.id for experiment in found)}


def rest(api: comet_ml.API, seconds: float) -> Fields:
    """Values logged by REST, one request each, one after the other."""
    experiment = comet_ml.APIExperiment(workspace=WHERE["workspace"], project_name="by rest")
    sent, began_s = SENT[0], time.perf_counter()
    calls = 0
    while time.perf_counter() - began_s < seconds:
        experiment.log_metric("loss", 1 / (calls + 1), step=calls)
        calls += 1
    seconds = time.perf_counter() - began_s
    count = len(experiment.get_metrics("loss"))
    experiment.end()
    return {"calls": calls, "seconds": seconds, "requests": SENT[0] - sent, "there": count}


def read() -> None:
    count_requests()
    api = comet_ml.API(cache=False)
    ways: dict[str, Callable[..., Fields]] = {"chart": chart, "points": points, "query": query, "rest": rest}
    say({"version": comet_ml.__version__})
    for line in sys.stdin:
        parameters = json.loads(line)
        say(ways[parameters.pop("ask")](api, **parameters))


def write(seconds: float, metrics: int) -> None:
    experiment = comet_ml.Experiment(**WHERE, **QUIET)
    names = [f"train/layer_{number}/loss" for number in range(metrics)]
    say({"key": experiment.get_key(), "pid": os.getpid()})
    sys.stdin.readline()
    began_s, began_cpu_s = time.time(), time.process_time()
    step = 0
    while time.time() - began_s < seconds:
        experiment.log_metrics({name: math.sin(step * (number + 1)) for number, name in enumerate(names)}, step=step)
        step += 1
    logged_s = time.time()
    experiment.end()
    counted = {"points": step * metrics, "began_s": began_s, "logged_s": logged_s, "ended_s": time.time()}
    say(counted | {"cpu_s": time.process_time() - began_cpu_s})


if __name__ == "__main__":
    if sys.argv[1] == "read":
        read()
    else:
        write(float(sys.argv[2]), int(sys.argv[3]))
