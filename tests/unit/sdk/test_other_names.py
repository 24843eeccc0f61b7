"""Training scripts written for W&B call `init` with its arguments: what means something here counts, nothing raises."""

import sys
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


def test_values_that_are_not_committed_share_their_step_with_the_next(
    start: Start, read: Callable[[Path], Any]
) -> None:
    run = start()
    run.log({"a": 1}, commit=True)
    run.log({"b": 2}, commit=False)
    run.log({"c": 3}, commit=False, sync=True)
    run.log({"d": 4})
    run.log({"e": 5}, step=9, commit=False)
    run.log({"f": 6}, commit=None)
    assert run.spool_folder is not None
    found = [(*values.values(), step) for _, values, step, _ in read(run.spool_folder).rows]
    assert found == [(1, 0), (2, 1), (3, 1), (4, 1), (5, 9), (6, 10)]
    assert dict(run.summary) == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}
    disabled = start(mode="disabled")
    disabled.log({"a": 1}, commit=False)
    assert dict(disabled.summary) == {"a": 1}


def test_metrics_need_no_definition_and_models_are_not_watched(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    run = start()
    run.define_metric("loss", summary="min")
    rs.define_metric("*")
    run.unwatch()
    assert not caplog.records
    for _ in range(2):
        run.define_metric("val/*", step_metric="epoch", hidden=True, goal=None)
        rs.watch(object(), log="all", log_freq=10)
        rs.unwatch(object())
    assert [
        record.getMessage().removeprefix("runstream: ").split(" has no meaning here")[0] for record in caplog.records
    ] == [
        "define_metric(step_metric=, hidden=)",
        "watch()",
    ]


def test_files_are_saved_under_their_paths(
    start: Start, read: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("out/a.txt", "out/deep/b.txt", "other/c.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    run = start()
    assert run.save("out/*", policy="now") == ["out/a.txt"], "directories are left out"
    assert run.save(tmp_path / "out" / "**" / "b.txt") == [str(tmp_path / "out/deep/b.txt")]
    assert rs.save(str(tmp_path / "other/*.txt").encode(), base_path=tmp_path) == [str(tmp_path / "other/c.txt")]
    assert run.save("out/deep/b.txt", base_path="other") == ["out/deep/b.txt"]
    assert run.spool_folder is not None
    names = [event["name"] for event in read(run.spool_folder).of_type("asset_logged.v1")]
    assert names == ["out/a.txt", "deep/b.txt", "other/c.txt", "b.txt"]


@pytest.mark.parametrize(
    ("pattern", "told"),
    [("nothing*", "matches no file now"), (".", "is a directory"), (None, "save() of run"), (5, "save() of run")],
)
def test_what_cannot_be_saved_is_told(start: Start, pattern: Any, told: str, caplog: pytest.LogCaptureFixture) -> None:
    assert start().save(pattern) == []
    assert told in caplog.text


def test_one_tag_may_be_given_as_it_is(start: Start, read: Callable[[Path], Any]) -> None:
    run = start(tags="one")
    assert run.spool_folder is not None
    assert read(run.spool_folder).of_type("tags_added.v1")[0]["tags"] == ["one"]
    with pytest.raises(rs.Invalid, match="tag '' of init cannot be used"):
        start(tags="")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "lr: 0.1\nnet: {width: 64}\nseed: {value: 7, desc: of all}\n"),
        ("c.yml", "{lr: 0.1, net: {width: 64}, seed: 7}"),
        ("c.json", '{"lr": 0.1, "net": {"width": 64}, "seed": {"value": 7, "desc": null}}'),
    ],
)
def test_a_configuration_may_be_a_file(start: Start, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    for path in (tmp_path / name, str(tmp_path / name)):
        assert dict(start(config=path).config) == {"lr": 0.1, "net": {"width": 64}, "seed": 7}
    assert dict(start(config=str(tmp_path / name), config_exclude_keys=["net"]).config) == {"lr": 0.1, "seed": 7}


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("gone.yaml", None, "cannot be read"),
        ("list.yaml", b"- 1\n- 2\n", "holds no mapping but a list"),
        ("text.yaml", b"lr", "holds no mapping but a str"),
        ("empty.yaml", b"", "holds no mapping but a NoneType"),
        ("odd.yaml", b"a: [", "is no YAML that can be read"),
        ("object.yaml", b"a: !!python/object/apply:os.getcwd []", "is no YAML that can be read"),
        ("date.yaml", b"a: 2024-99-99", "is no YAML that can be read"),
        ("odd.json", b"{", "is no JSON"),
        ("script.py", b"lr = 1", "is no JSON"),
        ("bytes.json", b"\xff\xfe\xfa", "is no JSON"),
        ("deep.json", b"[" * 200_000, "is no JSON"),
        ("large.yaml", b"#" * 1_000_001, "has more than 1000000 bytes"),
    ],
)
def test_a_file_that_gives_no_configuration_is_told(
    start: Start, tmp_path: Path, name: str, data: bytes | None, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert dict(start(config=str(tmp_path / name)).config) == {}
    assert told in caplog.text
    assert caplog.text.count("config of init is left out") == 1


def test_without_pyyaml_that_is_told(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text("lr: 1")
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert dict(start(config=tmp_path / "c.yaml").config) == {}
    assert "needs PyYAML to be read: pip install pyyaml" in caplog.text
