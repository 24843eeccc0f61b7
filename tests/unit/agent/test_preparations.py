"""Preparations that fail: each ends its own run, and no other one waits for it."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kit.agent_leases import GRANTED, KeptLeases, supervisor_of
from runstream.agent import archives
from runstream.agent.archives import BadCode, unpack
from runstream.agent.folder import RunFolder
from runstream.agent.preparing import Preparation


def packed(path: Path, kind: int) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("train.py", "def train(*_):\n    return None\n" * 50)
    return path


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_with_a_damaged_byte_is_bad_code(tmp_path: Path, kind: int) -> None:
    whole = packed(tmp_path / "code.zip", kind).read_bytes()
    with zipfile.ZipFile(tmp_path / "code.zip") as archive:
        size = archive.infolist()[0].compress_size
    begin = 30 + len("train.py")
    refused = 0
    for at in range(begin, begin + min(size, 60)):
        uploaded = tmp_path / f"{at}.zip"
        uploaded.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            unpack(uploaded, "code.zip", tmp_path / f"code-{at}", 1_000_000)
        except (BadCode, OSError):  # of bzip2 it is OSError
            refused += 1
    assert refused > 30


def test_a_directory_that_is_too_large_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uploaded = packed(tmp_path / "code.zip", zipfile.ZIP_DEFLATED)
    unpack(uploaded, "code.zip", tmp_path / "code", 1_000_000)
    monkeypatch.setattr(archives, "_MAX_DIRECTORY_BYTES", 50)
    with pytest.raises(BadCode, match=r"has a directory of 5[0-9] bytes, at most 50 are read"):
        unpack(uploaded, "code.zip", tmp_path / "again", 1_000_000)


@pytest.mark.parametrize("error", [MemoryError(), AssertionError("pip"), RecursionError("deep"), KeyError("x")])
def test_an_unexpected_error_ends_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    leases = KeptLeases()
    monkeypatch.setattr(Preparation, "prepare", raising(error))
    supervisor_of(tmp_path, leases).run()
    [(status, message)] = leases.ends
    assert status == "failed"
    assert f"the run cannot be prepared: {type(error).__name__}" in message
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_preparation_that_kills_its_supervisor_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leases, begun = KeptLeases(), []

    def kill(self: Preparation) -> Any:
        begun.append(1)
        raise SystemExit  # as SIGKILL, nobody catches it

    monkeypatch.setattr(Preparation, "prepare", kill)
    for _ in range(5):
        with pytest.raises(SystemExit):
            supervisor_of(tmp_path, leases).run()
    assert leases.ends == []
    supervisor_of(tmp_path, leases).run()
    [(status, message)] = leases.ends
    assert (len(begun), status) == (5, "failed")
    assert "died 5 times" in message


def test_a_count_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, GRANTED)
    assert folder.tries == 0
    folder.note_tries(3)
    assert folder.tries == 3
    (folder.path / "tries").write_text("x")
    assert folder.tries == 0


def raising(error: Exception) -> Callable[[Any], Any]:
    def prepare(_: Any) -> Any:
        raise error

    return prepare
