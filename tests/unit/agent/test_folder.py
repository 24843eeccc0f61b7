"""The folder of a run, and the names of environments and files."""

import dataclasses
import os
from pathlib import Path

import pytest

from runstream.agent.environments import key_of
from runstream.agent.folder import End, RunFolder, folders_in, tidy
from runstream.agent.leases import Granted
from runstream.agent.preparing import file_name
from runstream.capture.masking import Masking

GRANTED = Granted(
    lease="0" * 32,
    token=3,
    ttl_s=60,
    run="r",
    workspace="w",
    project="p",
    experiment="e",
    name="n",
    environment="python3-11",
    python="3.11",
    instance_type="x",
    memory_mb=None,
    timeout_s=5,
    parameters={"a": [1, None]},
    code="train.py",
    data=None,
)


def test_a_folder_tells_what_is_known_of_its_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, GRANTED)
    assert [one.path for one in folders_in(tmp_path)] == [folder.path]
    assert (folder.granted, folder.is_starting, folder.end) == (GRANTED, False, None)
    folder.note_starting()
    end = End("finished", artifact="/a", files=("/b",), metadata={"k": 1}, metrics={"m": 0.5}, has_result=True)
    folder.note_end(end)
    folder.note_end(End("failed", "later"))
    assert (folder.is_starting, folder.end) == (True, end), "the first end counts"
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_members_of_newer_servers_are_passed_over() -> None:
    assert Granted.of({**dataclasses.asdict(GRANTED), "new": 1}) == GRANTED


def test_one_process_has_a_folder(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, GRANTED)
    assert not folder.is_taken
    assert folder.take()
    assert RunFolder(folder.path).is_taken
    assert not RunFolder(folder.path).take()


def test_what_was_made_in_part_is_no_run_and_goes(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, GRANTED)
    (tmp_path / ".r-4.abcd").mkdir()
    assert len(folders_in(tmp_path)) == 1
    tidy(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["r-3"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("model.pkl", "model.pkl"),
        ("..", "file"),
        ("", "file"),
        (".hidden", "hidden"),
        ("a/b", "a_b"),
        ("x\n\0", "x__"),
        ("é.bin", "é.bin"),
        ("x" * 300, "x" * 200),
    ],
)
def test_names_of_files_are_those_of_one_file_in_one_folder(given: str, name: str) -> None:
    assert file_name(given) == name
    assert os.path.basename(file_name(given)) == file_name(given) not in (".", "..")


def test_an_environment_is_named_by_all_that_it_is_made_of(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("a")
    plain, local = b"numpy==2.0\n", b"./x.whl\n"
    assert key_of("py", plain, tmp_path) == key_of("py", plain, tmp_path)
    assert len({key_of(*one, tmp_path) for one in (("py", plain), ("other", plain), ("py", b""), ("p", b"y"))}) == 4
    before = key_of("py", plain, tmp_path), key_of("py", local, tmp_path)
    (tmp_path / "x.whl").write_bytes(b"1")
    after = key_of("py", plain, tmp_path), key_of("py", local, tmp_path)
    assert (before[0] == after[0], before[1] == after[1]) == (True, False), "what lies beside it counts if it is named"


def test_declared_secrets_are_hidden_whatever_they_look_like() -> None:
    masking = Masking(environ={})
    masking.hide(["pass", "two\nlines of it", "abc"])
    shown = masking.console("the pass is lines of it, two, abc\n")
    assert shown == "the (hidden) is (hidden), two, abc\n".replace("(hidden)", masking.console("pass"))
    assert "pass" not in shown
