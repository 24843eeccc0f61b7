"""Typos are told to whoever makes them: Python warns, the command line says it on stderr, a past before the log's
beginning names the beginning."""

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from kit.servers.embedded import Server
from runstream.api import API, Refused, UnknownName
from runstream_infra.cli import app

WAIT_S = 240.0
QUIET: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0, "project": "typos"}
LOSS = r"has (the|no) metric 'los'.*did you mean loss\?"
PROJECT = r"there is no project 'typo'.*did you mean typos\?"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("typos")
    with Server(folder) as server:
        run = rs.init(run_id="r", url=server.url, dir=folder / "spool", **QUIET)
        run.log({"loss": 0.5})
        assert run.finish(timeout_s=WAIT_S)
        yield server.url


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (lambda api: api.runs("metric.los < 0.1"), LOSS),
        (lambda api: api.runs(sort="metric.los"), LOSS),
        (lambda api: api.runs(columns=["metric.los"]), LOSS),
        (lambda api: list(api.series("r", "los")), LOSS),
        (lambda api: list(api.series("r", "los", 10)), LOSS),
        (lambda api: api.summaries("r", "los"), LOSS),
        (lambda api: api.runs(project="typo"), PROJECT),
        (lambda api: api.experiments(project="typo"), PROJECT),
        (lambda api: api.artifacts(project="typo"), PROJECT),
    ],
)
def test_python_warns_where_the_call_stands(read: Callable[[API], Any], told: str, url: str) -> None:
    with pytest.warns(UnknownName, match=told) as caught:
        read(API(url))
    assert [Path(one.filename).name for one in caught] == [Path(__file__).name]


def test_python_is_silent_where_all_is_known(url: str) -> None:
    api = API(url)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(api.runs("metric.loss < 1", "metric.loss", columns=["metric.loss"], project="typos")) == 1
        assert len(list(api.series("r", "l*"))) == 1
        assert len(api.summaries("r", "loss")) == 1


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("runs -p typo", "there is no project 'typo'; did you mean typos?"),
        ("query metric.los<1", "no run has the metric 'los'; did you mean loss?"),
        ("runs --sort metric.los", "no run has the metric 'los'; did you mean loss?"),
        ("runs -c metric.los", "no run has the metric 'los'; did you mean loss?"),
        ("artifacts -p typo", "there is no project 'typo'; did you mean typos?"),
        ("export -p typo --out OUT", "there is no project 'typo'; did you mean typos?"),
    ],
)
def test_commands_tell_it_beside_their_response(
    command: str, told: str, url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = command.replace("OUT", str(tmp_path / "out")).split()
    app.run([*arguments, "--url", url, "--json"])
    written = capfd.readouterr()
    assert f"runstream: {told}\n" in written.err
    assert "did you mean" not in written.out
    if written.out:
        json.loads(written.out)


def test_a_past_before_the_beginning_names_the_beginning(url: str) -> None:
    api = API(url)
    with pytest.raises(Refused, match=r"as_of: 2001-01-01 is before the log begins, at 20\d\d-.*: give a later time"):
        api.run("r", as_of="2001-01-01")
    with pytest.raises(Refused, match="before the log begins"):
        list(api.series("r", "loss", as_of="2001-01-01"))
    assert api.run("r", as_of="2100-01-01").run == "r"
