"""`runstream sweep`: arguments with the values of a trial, and the trial of a program that an agent started."""

import json
from pathlib import Path
from typing import Any

import pytest

from runstream.errors import Invalid
from runstream.sweeping.environment import VARIABLE, current_trial, environment_of
from runstream.sweeping.requests import TrialServer
from runstream.sweeping.sweep import Sweep, Trial, TrialState
from runstream_infra.cli.app import run
from runstream_infra.cli.exits import BAD_INPUT
from runstream_infra.cli.searching import filled

VALUES = {"lr": 1e-3, "layers": 4, "act": "relu", "norm": True, "none": None, "sizes": [1, 2]}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--lr={lr}", "--lr=0.001"),
        ("{layers}{layers}", "44"),
        ("{act}", "relu"),
        ("{norm}", "true"),
        ("{none}", "null"),
        ("{sizes}", "[1, 2]"),
        ('{{"lr": {lr}}}', '{"lr": 0.001}'),
        ("plain", "plain"),
        ("{}", "{}"),
    ],
)
def test_arguments_have_the_values(argument: str, expected: str) -> None:
    assert filled(argument, VALUES) == expected


def trial_at(url: str, key: str | None) -> Trial:
    sweep = Sweep("s", "w", "p", {"space": {"lr": [1]}}, 3, None, TrialServer(url, key, 60.0), "/spool")
    return Trial(sweep, TrialState(2, VALUES, "r" * 32, "given", None, 1))


@pytest.mark.parametrize("key", [None, "secret"])
def test_a_program_has_the_trial_that_it_was_started_for(key: str | None) -> None:
    given = trial_at("http://127.0.0.1:7070", key)
    written = environment_of(given)
    assert "secret" not in written[VARIABLE]
    found = current_trial(written)
    assert found is not None
    assert (found.sweep, found.number, found.params, found.run_id) == (given.sweep, 2, VALUES, "r" * 32)


def test_a_key_goes_to_no_other_server() -> None:
    written = environment_of(trial_at("http://one:7070", "secret"))
    found = current_trial({**written, "RUNSTREAM_URL": "http://other:7070"})
    assert found is not None
    assert (found.sweep.server.url, found.sweep.server.api_key) == ("http://one:7070", None)


def test_a_program_that_was_started_otherwise_has_no_trial() -> None:
    assert current_trial({}) is None


@pytest.mark.parametrize("text", ["no json", "[]", "{}", '{"url": 1}', '{"url": "http://x", "trial": {}}'])
def test_what_no_agent_writes_is_told(text: str) -> None:
    with pytest.raises(Invalid, match="RUNSTREAM_TRIAL cannot be used"):
        current_trial({VARIABLE: text})


@pytest.mark.parametrize(
    ("content", "told"), [("[]", "is no JSON object"), ("{", "cannot be read as JSON"), ("", "cannot be read as JSON")]
)
def test_a_file_that_is_no_config_is_told(
    tmp_path: Path, content: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.json"
    file.write_text(content)
    assert run(["sweep", "create", "s", str(file), "--url", "http://127.0.0.1:1"]) == BAD_INPUT
    assert told in capsys.readouterr().err


def test_the_config_is_json(tmp_path: Path) -> None:
    given: dict[str, Any] = {"space": {"x": [1]}, "metric": "loss"}
    assert json.loads(json.dumps(given)) == given
