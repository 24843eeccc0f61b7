"""A trainer never fails for its surroundings: no home, a working directory that is gone, odd files."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from runstream.api.parts.artifact_files import sources_of
from runstream.errors import Invalid, InvalidSetting
from runstream.settings import load_settings

_RUN = (
    "import runstream as rs\n"
    "run = rs.init(project='p')\n"
    "run.log({'a': 1.0}); run.log_params({'lr': 0.1})\n"
    "run.finish()\n"
    "rs.API(url='http://127.0.0.1:1')\n"
)


def test_a_working_directory_that_was_removed(
    tmp_path: Path, environment: dict[str, str], folders: Any, read: Any
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = f"import os\nos.rmdir({str(gone)!r})\n{_RUN}"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"RUNSTREAM_CAPTURE_CODE": "1"},
        cwd=gone,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (folder,) = folders()
    written = read(folder)
    assert written.values("a") == [1.0]
    captured = {event["section"]: event["values"] for event in written.of_type("environment_captured.v1")}
    assert captured["command"]["working_directory"] == "(removed)"


def test_a_user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert load_settings().values.dir == tmp_path / f"runstream-{os.getuid()}" / ".runstream" / "spool"
    run = rs.init(mode="offline", capture_code=False, capture_console=False, system_metrics_s=0)
    run.log({"a": 1.0})
    run.finish()
    assert run.spool_folder is not None
    assert run.spool_folder.is_relative_to(tmp_path)


@pytest.mark.parametrize("directory", ["~nobody-of-this-name/spool"])
def test_a_directory_of_nobody_is_a_setting_that_is_named(directory: str) -> None:
    with pytest.raises(InvalidSetting, match=r"setting dir = .*give the whole path"):
        load_settings(dir=directory)


def _names(folder: Path, read: Any) -> list[str]:
    return [event["name"] for event in read(folder).of_type("asset_logged.v1")]


def test_files_that_are_none_are_left_out_with_a_reason(
    tmp_path: Path, read: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    Path("folder").mkdir()
    Path("~tilde.txt").write_text("kept")
    Path("link.txt").symlink_to("~tilde.txt")
    run = rs.init(mode="offline", dir=tmp_path / "spool", capture_code=False, capture_console=False, system_metrics_s=0)
    for path in ("pipe", "folder", "/dev/zero", "nowhere.txt", "a\0b"):
        assert run.log_asset(path) is None
    for path in ("~tilde.txt", "link.txt"):
        assert run.log_asset(path) is not None
    run.finish()
    for reason in ("no plain file", "is a directory: log its files", "No such file", "null byte"):
        assert reason in caplog.text
    assert run.spool_folder is not None
    assert _names(run.spool_folder, read) == ["~tilde.txt", "link.txt"]


def test_special_files_of_every_kind_block_nobody(
    tmp_path: Path, read: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket")
    Path("link").symlink_to("pipe")
    Path("circle").symlink_to("circle")
    run = rs.init(mode="offline", dir=tmp_path / "spool", capture_code=False, capture_console=False, system_metrics_s=0)
    for path in ("pipe", "socket", "link", "circle", "/dev/null", "/dev/tty", "."):
        assert run.log_asset(path) is None
        assert run.log_image(path) is None
        assert run.log_asset(Path(path)) is None
        assert f"{path}" in caplog.text
        if not Path(path).is_dir() and path != "circle":
            with pytest.raises((Invalid, OSError)):
                sources_of(path)
    with pytest.raises(Invalid, match="no plain file"):
        sources_of({"a": "link"})
    listening.close()
    run.finish()
    assert run.spool_folder is not None
    assert _names(run.spool_folder, read) == []


def test_names_that_are_not_utf8(tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9.txt")
    Path(name).write_text("kept")
    Path("folder").mkdir()
    Path("folder", name).write_text("kept")
    run = rs.init(mode="offline", dir=tmp_path / "spool", capture_code=False, capture_console=False, system_metrics_s=0)
    assert run.log_asset(name) is not None
    assert run.log_asset(Path(name)) is not None
    with open(name, "rb") as file:
        assert run.log_asset(file) is not None
    assert run.log_asset(b"x", name=name) is not None
    assert run.log_text(name, "x") is not None
    assert run.log_asset(b"x", name=Path("made") / "x.csv") is not None  # type: ignore[arg-type]
    run.finish()
    assert run.spool_folder is not None
    assert _names(run.spool_folder, read) == ["caf\ufffd.txt"] * 5 + ["made/x.csv"]
    assert [source.file.name for source in sources_of(name)] == ["caf\ufffd.txt"]
    assert [source.file.name for source in sources_of("folder")] == ["caf\ufffd.txt"]
