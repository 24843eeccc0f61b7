"""Sweeps over a real server: workers in processes of their own, some of which are killed, and so is the server."""

import functools
import itertools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import runstream
from kit import children
from kit.children.forked import run_forked
from kit.servers.embedded import Server
from kit.sweeping import QUIET, SPACE, opened, train
from kit.waiting import wait_until
from runstream.api import API
from runstream.sweeping.stopping import ASHA, MedianRule

POINTS = [{"x": x, "y": y} for x, y in itertools.product((1, 2, 3, 4), (0, 1, 2))]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


def worker(server: Server, spool: Path, name: str, *behaviour: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        children.command("sweeping", server.url, spool, name, *behaviour),
        stdout=subprocess.PIPE,
        text=True,
        env=children.environment(),
    )


def test_workers_and_the_server_are_killed_and_all_is_tried_once(server: Server, tmp_path: Path) -> None:
    """Every trial is given to one worker, and again only where that one died; the budget is exact."""
    sweep = opened(server.url, str(tmp_path), "killed")
    dying = worker(server, tmp_path, "killed", "hang")
    assert dying.stdout is not None
    assert dying.stdout.readline() == "began 0 1\n"
    wait_until(lambda: sweep.trials()[0].status == "running")
    dying.kill()
    # The sender tells that its process is dead.
    wait_until(lambda: sweep.trials()[0].status == "lost")

    workers = [worker(server, tmp_path, "killed") for _ in range(4)]
    told = [workers[0].stdout.readline() for _ in range(2) if workers[0].stdout is not None]
    server.kill()
    server.start()
    for one in workers:
        told += one.communicate(timeout=300)[0].splitlines(keepends=True)
        assert one.returncode == 0
    began = Counter(tuple(map(int, line.split()[1:])) for line in told if line.startswith("began"))
    assert began == Counter({(0, 2): 1, **{(number, 1): 1 for number in range(1, 12)}})
    trials = sweep.trials()
    assert [one.params for one in trials] == POINTS
    assert {one.status for one in trials} == {"finished"}
    assert [one.value for one in trials] == [abs(one["x"] - 3) + one["y"] for one in POINTS]
    best = sweep.best()
    assert best is not None
    assert (best.params, best.value) == ({"x": 3, "y": 0}, 0)

    assert sweep.ask() is None, "the budget is spent"
    runs = API(url=server.url).runs("project = 'swept' and group = 'killed'")
    assert Counter(one.status for one in runs) == {"finished": 12, "crashed": 1}
    assert {one.job_type for one in runs} == {"trial"}
    found = API(url=server.url).runs("group = 'killed' and param.x = 3 and metric.loss = 0")
    assert [one.id for one in found] == [best.run_id]


def test_a_function_is_called_for_each_trial_in_processes(server: Server, tmp_path: Path) -> None:
    space = {name: SPACE[name] for name in ("x", "y")}
    arguments = {"project": "swept", "url": server.url, "dir": tmp_path}
    sweep = runstream.sweep("functions", space, "loss", method="grid", **arguments)  # type: ignore[arg-type]
    best = sweep.run(train, workers=2)
    assert best is not None
    assert best.params == {"x": 3, "y": 0}
    statuses = {one.number: one.status for one in sweep.trials()}
    assert statuses == {number: "failed" if number == 7 else "finished" for number in range(12)}
    again = runstream.sweep("functions", **arguments)  # type: ignore[arg-type]
    assert again == sweep, "by its name alone"
    assert list(again) == []


def test_a_sweep_stays_as_it_was_created(server: Server, tmp_path: Path) -> None:
    arguments = {"project": "swept", "url": server.url, "dir": tmp_path}
    made = runstream.sweep("kept", {"lr": {"min": 0.0, "max": 1.0}}, "loss", max_trials=2, **arguments)  # type: ignore[arg-type]
    assert (made.limit, made.size) == (2, None)
    with pytest.raises(runstream.Invalid, match="is there with another max_trials: give another name"):
        runstream.sweep("kept", {"lr": {"min": 0.0, "max": 1.0}}, "loss", max_trials=3, **arguments)  # type: ignore[arg-type]
    with pytest.raises(runstream.Invalid, match="there is no sweep 'other' in this project"):
        runstream.sweep("other", **arguments)  # type: ignore[arg-type]
    with pytest.raises(runstream.Invalid, match="max_trials is missing"):
        runstream.sweep("endless", {"lr": {"min": 0.0, "max": 1.0}}, "loss", **arguments)  # type: ignore[arg-type]
    first, second = made.ask(), made.ask()
    assert first is not None
    assert second is not None
    assert first.params != second.params
    assert made.ask() is None
    made.delete()
    made.delete()
    with pytest.raises(runstream.Invalid, match="there is no sweep 'kept' in this project"):
        made.ask()


def test_an_agent_starts_a_program_for_each_trial(server: Server, tmp_path: Path) -> None:
    """By the commands alone, with a program that finds its trial by itself; its third trial fails."""
    config = tmp_path / "sweep.json"
    config.write_text(json.dumps({"space": {"x": [1, 2, 3], "name": ["a b"]}, "metric": "loss", "method": "grid"}))
    place = ["-p", "swept", "--url", server.url]

    def ran(*arguments: str, status: int = 0) -> Any:
        done = run_forked("runstream_infra.cli", "sweep", *arguments, environment=children.environment(), timeout_s=240)
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout) if status == 0 and "--json" in arguments else done.stdout

    assert ran("create", "agent", str(config), *place) == "agent in default/swept: at most 3 trials\n"
    program = [sys.executable, "-m", "kit.sweeping_program", str(tmp_path), "{x}", "{name}"]
    told = ran("agent", "agent", "--json", *place, "--", *program)
    assert [one["exit"] for one in told["trials"]] == [0, 0, 3]
    shown = ran("show", "agent", "--json", *place)
    assert [(one["status"], one["value"]) for one in shown["trials"]] == [
        ("finished", 1.0),
        ("finished", 2.0),
        ("failed", 3.0),
    ]
    assert shown["best"]["params"] == {"x": 1, "name": "a b"}
    assert "finished, best" in ran("show", "agent", *place)
    assert ran("agent", "agent", *place, "--", "{y}", status=2) == ""
    assert ran("delete", "agent", *place, status=2) == "", "nobody can be asked"
    assert ran("delete", "agent", "--yes", *place) == "agent in default/swept deleted\n"
    assert ran("show", "agent", *place, status=2) == ""


def found_by(api: API, query: str) -> bool:
    return len(api.runs(query)) == 1


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (ASHA(min_steps=2, reduction_factor=2), [False, True, False, True, True]),
        (MedianRule(grace_steps=1, min_trials=2), [False, False, False, True, True]),
    ],
)
def test_trials_that_promise_little_end_early(
    server: Server, tmp_path: Path, rule: ASHA | MedianRule, expected: list[bool]
) -> None:
    name, losses = type(rule).__name__, [3, 5, 1, 4, 9]
    arguments = {"project": "stopped", "url": server.url, "dir": tmp_path, "early_stop": rule}
    sweep = runstream.sweep(name, {"loss": losses}, "loss", method="grid", **arguments)  # type: ignore[arg-type]
    api, stopped = API(url=server.url), []
    for trial in sweep:
        with trial.run(**QUIET) as run:
            for step in (0, 3):
                run.log({"loss": float(trial["loss"])}, step=step)
            there = f"group = '{name}' and param.loss = {trial['loss']} and metric.loss.count = 2"
            wait_until(functools.partial(found_by, api, there))
            # On a busy machine a response may come too late, and the trial goes on until the next one.
            stopped.append(any(trial.should_stop(every_s=0) for _ in range(5)))
    assert stopped == expected
    found = api.runs(f"project = 'stopped' and group = '{name}' and other.sweep_stopped exists")
    assert len(found) == sum(expected)
    assert {one.status for one in sweep.trials()} == {"finished"}, "their last values count"


def test_the_example_runs_as_it_stands(server: Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parents[2] / "examples" / "sweep_example.py"), server.url],
        capture_output=True,
        text=True,
        env={**os.environ, "RUNSTREAM_DIR": str(tmp_path)},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("trial ")
    trials = runstream.sweep("small net", project="sweep-example", url=server.url).trials()
    assert [one.status for one in trials] == ["finished"] * 24
    drawn, estimated = ([one.value or 0.0 for one in some] for some in (trials[:10], trials[10:]))
    assert median(estimated) < median(drawn), "what follows the draws is better than they are"
