"""Training scripts written for W&B call `init` with its arguments: what means something here counts, nothing raises."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from runstream.client.other_names import with_synonyms
from runstream.notices import PROCESS_NOTICES

Start = Callable[..., rs.Run]
_OWN: dict[str, Any] = dict.fromkeys(
    ("run_id", "workspace", "config", "mode", "resume", "resume_from_step", "capture_code")
)


@pytest.fixture(autouse=True)
def told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What earlier tests were told is told again."""
    monkeypatch.setattr(PROCESS_NOTICES, "_told", set())


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def begin(**arguments: Any) -> rs.Run:
        quiet = {"mode": "offline", "capture_console": False, "system_metrics_s": 0, "save_code": False}
        return rs.init(dir=tmp_path / "spool", **{**quiet, **arguments})

    return begin


def test_a_call_with_all_arguments_of_wandb(
    start: Start, read: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
) -> None:
    run = start(
        entity="vision",
        project="digits",
        id="run-7",
        name="mlp-3",
        notes="first try",
        tags=("a", "b"),
        config={"lr": 0.1, "debug": True},
        config_exclude_keys=["debug"],
        config_include_keys=None,
        allow_val_change=False,
        group="sweep-7",
        job_type="train",
        mode="dryrun",
        force=None,
        anonymous=None,
        reinit="create_new",
        resume="auto",
        resume_from=None,
        fork_from=None,
        tensorboard=None,
        sync_tensorboard=False,
        monitor_gym=None,
        settings=None,
    )
    assert (run.workspace, run.project, run.run_id, run.name) == ("vision", "digits", "run-7", "mlp-3")
    assert (run.group, run.job_type, run.mode) == ("sweep-7", "train", "offline")
    assert run.spool_folder is not None
    written = read(run.spool_folder)
    assert written.of_type("parameters_logged.v1")[0]["values"] == {"lr": 0.1}
    assert written.of_type("tags_added.v1")[0]["tags"] == ["a", "b"]
    assert written.of_type("run_notes_set.v1")[0]["notes"] == "first try"
    assert not caplog.text, "every one of them means something, or nothing was asked for"


def test_what_has_no_meaning_is_told_once_by_name(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        start(sync_tensorboard=True, monitor_gym=True, settings={"start_method": "thread"}, porject="x", colour="red")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 5
    printed = "\n".join(lines)
    for name in ("sync_tensorboard", "monitor_gym", "settings"):
        assert f"argument {name} of init has no meaning here" in printed
    assert "no argument porject, which is left out: did you mean project?" in printed
    assert "no argument colour, which is left out: give it to config" in printed


def test_no_value_of_an_unknown_argument_is_shown(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    start(apikey="a-key-that-nobody-may-see")
    assert "no argument apikey, which is left out: did you mean api_key?" in caplog.text
    assert "nobody-may-see" not in caplog.text


@pytest.mark.parametrize("odd", [{"config_include_keys": 5}, {"config_exclude_keys": [[]]}, {"reinit": [True]}])
def test_values_of_another_type_are_told(start: Start, odd: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    assert dict(start(config={"a": 1}, **odd).config) == {"a": 1}
    assert f"{next(iter(odd))} of init is a " in caplog.text


def test_names_of_a_configuration_in_one_text(start: Start) -> None:
    assert dict(start(config={"lr": 1, "l": 2, "seed": 3}, config_exclude_keys="lr, seed").config) == {"l": 2}


def test_a_mode_of_another_type_is_refused_in_words(start: Start) -> None:
    with pytest.raises(rs.InvalidSetting, match="give 'online', 'offline' or 'disabled'"):
        start(mode=["offline"])


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ({"id": "r"}, {"run_id": "r"}),
        ({"entity": "team"}, {"workspace": "team"}),
        ({"save_code": True}, {"capture_code": True}),
        ({"resume_from": "r?_step=40"}, {"run_id": "r", "resume": "must", "resume_from_step": 40}),
        ({"resume_from": "r"}, {"run_id": "r", "resume": "must"}),
    ],
)
def test_other_names_of_arguments(others: dict[str, Any], found: dict[str, Any]) -> None:
    assert with_synonyms(_OWN, others) == _OWN | found


@pytest.mark.parametrize(
    ("resume", "run_id", "is_here"),
    [(True, "r", "allow"), ("auto", "r", "allow"), (True, None, None), (False, "r", None), ("must", "r", "must")],
)
def test_what_resume_means(resume: object, run_id: str | None, is_here: str | None) -> None:
    assert with_synonyms({**_OWN, "resume": resume, "run_id": run_id}, {})["resume"] == is_here


def test_our_own_name_counts_where_both_are_given(caplog: pytest.LogCaptureFixture) -> None:
    assert with_synonyms({**_OWN, "run_id": "ours"}, {"id": "theirs"})["run_id"] == "ours"
    assert "run_id = 'ours' and id = 'theirs': run_id counts" in caplog.text


@pytest.mark.parametrize("reinit", [False, "return_previous"])
def test_the_open_run_is_returned(start: Start, reinit: object) -> None:
    first = start()
    assert start(reinit=reinit) is first
    first.finish()
    assert start(reinit=reinit) is not first


@pytest.mark.parametrize("reinit", [True, "finish_previous"])
def test_the_open_run_is_finished(start: Start, reinit: object, read: Callable[[Path], Any]) -> None:
    first = start()
    second = start(reinit=reinit)
    assert second is rs.active_run()
    assert first.spool_folder is not None
    assert read(first.spool_folder).of_type("run_finished.v1")


def test_without_reinit_runs_stand_beside_each_other(start: Start, read: Callable[[Path], Any]) -> None:
    first = start()
    start()
    assert first.spool_folder is not None
    assert not read(first.spool_folder).of_type("run_finished.v1")
