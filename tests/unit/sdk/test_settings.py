"""Where settings come from, in which order, and what is said when one cannot be used."""

from pathlib import Path
from typing import Any

import pytest

from runstream.errors import Invalid, InvalidSetting, RunstreamError
from runstream.settings import ENVIRONMENT, Settings, SettingValues, load_settings, resolve_settings


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """(a working directory three levels down, a home)"""
    working = tmp_path / "project" / "a" / "b"
    working.mkdir(parents=True)
    home = tmp_path / "somebody"
    (home / ".config" / "runstream").mkdir(parents=True)
    return working, home


def _resolve(places: tuple[Path, Path], environ: dict[str, str] | None = None, **arguments: Any) -> Settings:
    return resolve_settings(arguments, environ or {}, *places)


def test_defaults(places: tuple[Path, Path]) -> None:
    settings = _resolve(places)
    values = settings.values
    assert values.url == "http://127.0.0.1:7070"
    assert (values.workspace, values.project, values.mode) == ("default", "default", "online")
    assert values.dir == Path("~/.runstream/spool").expanduser()
    assert values.api_key is None
    assert {settings.origin(name) for name in SettingValues.model_fields} == {"default"}


def test_argument_before_environment_before_files(places: tuple[Path, Path]) -> None:
    working, home = places
    near, user = working.parent / ".runstream.toml", home / ".config" / "runstream" / "config.toml"
    (working.parent.parent / ".runstream.toml").write_text('project = "too far up"')
    near.write_text('project = "near"\nworkspace = "near"\nmode = "offline"\n[other]\nx = 1\n')
    user.write_text('workspace = "user"\nurl = "http://user:1"\nproject = "user"\nmode = "disabled"')
    settings = _resolve(places, {"RUNSTREAM_PROJECT": "env", "RUNSTREAM_MODE": "online"}, project="arg", mode=None)
    values = settings.values
    assert (values.project, values.mode, values.workspace, values.url) == ("arg", "online", "near", "http://user:1")
    assert settings.origin("project") == "argument project"
    assert settings.origin("mode") == "environment RUNSTREAM_MODE"
    assert settings.origin("workspace") == f"file {near}"
    assert settings.origin("url") == f"file {user}"
    assert settings.origin("api_key") == "default"


def test_an_empty_variable_is_none(places: tuple[Path, Path]) -> None:
    assert _resolve(places, {"RUNSTREAM_API_KEY": "", "RUNSTREAM_URL": ""}).values.api_key is None


def test_every_variable_names_a_setting() -> None:
    assert set(ENVIRONMENT.values()) == set(SettingValues.model_fields)


def test_a_key_is_not_printed(places: tuple[Path, Path]) -> None:
    settings = _resolve(places, {"RUNSTREAM_API_KEY": "very-secret"})
    assert "very-secret" not in repr(settings)
    assert settings.values.api_key is not None
    assert settings.values.api_key.get_secret_value() == "very-secret"


@pytest.mark.parametrize(
    ("name", "value", "parts"),
    [
        ("mode", "onlin", ["'onlin'", "'offline'", "'disabled'"]),
        ("url", "localhost:7070", ["'localhost:7070'", "http://HOST:PORT"]),
        ("url", "http://user:pw@host", ["api_key"]),
        ("url", "ftp://host", ["http://HOST:PORT"]),
        ("project", "a/b", ["'a/b'", "'/'"]),
        ("workspace", " x", ["white space"]),
        ("system_metrics_s", "-1", ["greater than or equal to 0"]),
        ("capture_console", "perhaps", ["boolean"]),
        ("finish_timeout_s", "soon", ["number"]),
    ],
)
def test_what_cannot_be_used_is_named_with_its_origin(
    name: str, value: str, parts: list[str], places: tuple[Path, Path]
) -> None:
    variable = next(variable for variable, setting in ENVIRONMENT.items() if setting == name)
    with pytest.raises(InvalidSetting) as caught:
        _resolve(places, {variable: value})
    for part in [f"setting {name}", f"environment {variable}", *parts]:
        assert part in str(caught.value)


def test_a_wrong_argument_names_itself(places: tuple[Path, Path]) -> None:
    with pytest.raises(InvalidSetting, match=r"setting url = 7 \(from argument url\)"):
        _resolve(places, url=7)


def test_a_file_with_a_mistake(places: tuple[Path, Path]) -> None:
    path = places[0] / ".runstream.toml"
    path.write_text("projct = 'x'")
    with pytest.raises(InvalidSetting, match=rf"'projct' in {path} is no setting: did you mean 'project'"):
        _resolve(places)
    path.write_text("project = ")
    with pytest.raises(InvalidSetting, match=rf"{path} cannot be read"):
        _resolve(places)


def test_load_settings_reads_this_process(clean_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clean_home / ".runstream.toml").write_text('project = "here"')
    monkeypatch.setenv("RUNSTREAM_DIR", "~/other")
    settings = load_settings(workspace="w")
    assert settings.values.dir == clean_home / "other"
    assert (settings.values.workspace, settings.values.project) == ("w", "here")


def test_errors_are_one_tree() -> None:
    assert issubclass(InvalidSetting, Invalid)
    assert issubclass(Invalid, RunstreamError)
    assert issubclass(Invalid, ValueError)
