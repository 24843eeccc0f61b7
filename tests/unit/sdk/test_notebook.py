"""Several runs in one process, as a notebook starts them: a cell that calls `init` is run again."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from runstream.events.control import RunFinished
from runstream.sender.ends import last_event
from runstream.spool.format import WriterInfo

Read = Callable[[Path], Any]


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., rs.Run]:
    def begin(**options: Any) -> rs.Run:
        quiet: dict[str, Any] = {
            "mode": "offline",
            "capture_code": False,
            "capture_console": False,
            "system_metrics_s": 0,
        }
        return rs.init(dir=tmp_path / "spool", **(quiet | options))

    return begin


def _printed(run: rs.Run, read: Read) -> str:
    assert run.spool_folder is not None
    texts = [event["text"] for event in read(run.spool_folder).of_type("output_appended.v1")]
    return "".join(text for text in texts if not text.startswith("runstream:"))


def test_a_second_run_while_the_first_is_open(begin: Callable[..., rs.Run], read: Read) -> None:
    first = begin(name="first")
    rs.log({"a": 1})
    second = begin(name="second")
    assert rs.active_run() is second
    rs.log({"a": 2})
    first.log({"a": 3})
    assert rs.finish() is False, "offline: nothing is acknowledged"
    assert rs.active_run() is first
    rs.log({"a": 4})
    first.finish()
    assert rs.active_run() is None
    assert first.run_id != second.run_id
    assert first.spool_folder is not None
    assert second.spool_folder is not None
    assert read(first.spool_folder).values("a") == [1, 3, 4]
    assert read(second.spool_folder).values("a") == [2]
    assert [step for _, _, step, _ in read(first.spool_folder).rows] == [0, 1, 2]


def test_a_cell_that_is_run_again_forgets_the_first_run(begin: Callable[..., rs.Run], read: Read) -> None:
    """The name is bound to the new run; the old one lives on until it is finished, or the process ends."""
    run = begin()
    folder = run.spool_folder
    run = begin()
    run.finish()
    again = rs.active_run()
    assert again is not None
    assert again.spool_folder == folder
    again.finish()
    assert folder is not None
    assert len(read(folder).of_type("run_finished.v1")) == 1


@pytest.mark.parametrize("ends_first", [0, 1])
def test_what_is_printed_belongs_to_all_open_runs(
    ends_first: int, begin: Callable[..., rs.Run], read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), write_through=True)
    monkeypatch.setattr(sys, "stdout", stream)
    runs = [begin(capture_console=True)]
    print("one")
    runs.append(begin(capture_console=True))
    print("both")
    runs[ends_first].finish()
    print("rest")
    runs[1 - ends_first].finish()
    print("none")
    expected = ["one\nboth\nrest\n", "both\n"] if ends_first else ["one\nboth\n", "both\nrest\n"]
    assert [_printed(run, read) for run in runs] == expected
    assert "write" not in vars(stream), "the stream is as it was"
    stream.seek(0)
    assert stream.read() == "one\nboth\nrest\nnone\n"


def test_at_a_prompt(run_script: Any, folders: Any, read: Read) -> None:
    """An exception that a cell or a line raises ends no run: the person goes on."""
    done = run_script(
        "import code, sys\n"
        "sys.ps1 = '>>> '\n"
        "console = code.InteractiveConsole()\n"
        "for line in ['import runstream as rs', 'run = rs.init()', 'run.log({\"a\": 1})', 'raise ValueError()',\n"
        "             'run.log({\"a\": 2})', 'run = rs.init()', 'run.log({\"a\": 3})']:\n"
        "    console.push(line)\n"
    )
    assert "ValueError" in done.stderr
    found = [read(folder) for folder in folders()]
    assert [one.values("a") for one in found] == [[1, 2], [3]]
    for folder, written in zip(folders(), found, strict=True):
        assert not written.of_type("run_finished.v1")
        end = last_event(folder, WriterInfo.read(folder), written.next_seq, 1)  # by the exit code
        assert isinstance(end, RunFinished)
        assert end.status == "finished"


def test_module_level_calls_of_a_disabled_run(begin: Callable[..., rs.Run], caplog: pytest.LogCaptureFixture) -> None:
    run = begin(mode="disabled")
    assert rs.active_run() is run
    rs.log({"a": 1})
    assert rs.finish()
    assert rs.active_run() is None
    assert not caplog.text
