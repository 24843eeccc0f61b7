"""What a supervisor reads of the end of code, which may have written anything."""

import json
from pathlib import Path
from typing import Any, cast

import pytest

from kit.agent_leases import GRANTED, KeptLeases, supervisor_of
from runstream.agent import supervisor
from runstream.agent.ending import RESULT, end_of
from runstream.agent.execution import Ended
from runstream.agent.folder import End, RunFolder
from runstream.agent.leases import Variable
from runstream.agent.limits import RunLimits
from runstream.agent.preparing import Preparation, Prepared
from runstream.agent.supervisor import Supervisor
from runstream.capture.masking import Masking


def returned(**members: Any) -> dict[str, Any]:
    return {"artifact": None, "additional_output_files": [], "metadata": None, "metrics": None, **members}


def end_with(tmp_path: Path, content: bytes) -> End:
    """How the run ended, as every later supervisor reads it."""
    folder = RunFolder.create(tmp_path, GRANTED)
    (folder.path / RESULT).write_bytes(content)
    folder.note_end(end_of(Ended("ended", 0), folder.path, 60.0, RunLimits()))
    end = folder.end
    assert end is not None
    return end


def ok(text: str) -> bytes:
    return (
        b'{"status": "ok", "result": %s}' % json.dumps(returned(metadata={"k": "PUT"})).replace('"PUT"', text).encode()
    )


@pytest.mark.parametrize(
    "text",
    [
        json.dumps("x" * 3_000_000),
        json.dumps("x" * 1_100_000),
        json.dumps("\u00e9" * 480_000, ensure_ascii=False),
        f"[{','.join(['1e15'] * 190_000)}]",
    ],
    ids=["long", "too long", "not ASCII", "floats"],
)
def test_a_result_that_is_too_large_is_refused_and_can_be_read_again(tmp_path: Path, text: str) -> None:
    end = end_with(tmp_path, ok(text))
    assert (end.status, end.metadata) == ("failed", None)
    assert "more than 1000000 bytes" in end.message


def test_a_result_that_the_harness_lets_through_is_kept(tmp_path: Path) -> None:
    value = "x" * 999_800
    assert len(json.dumps(returned(metadata={"k": value}))) < 1_000_000
    end = end_with(tmp_path, ok(json.dumps(value)))
    assert (end.status, end.metadata) == ("finished", {"k": value})


@pytest.mark.parametrize("depth", [900, 5_000, 100_000])
def test_a_result_that_is_too_deep_fails_its_run(tmp_path: Path, depth: int) -> None:
    assert end_with(tmp_path, ok("[" * depth + "]" * depth)).status == "failed"


def test_the_output_of_an_agent_takes_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    with supervisor._nowhere() as stream:
        print("ValueError: \udcff \u20ac", file=stream, flush=True)


def test_a_variable_that_no_environment_can_hold_fails_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Preparation, "prepare", lambda _: Prepared(Path("python"), tmp_path, None, ()))
    monkeypatch.setattr(Supervisor, "_begun", lambda _: cast("Any", Begun()))
    leases = KeptLeases()
    leases.given = [Variable("A", "x\0y", secret=False)]
    supervisor_of(tmp_path, leases).run()
    [(status, message)] = leases.ends
    assert (status, "the process of the run cannot be started" in message) == ("failed", True)


class Begun:
    """A run of the SDK that keeps nothing."""

    masking = Masking(environ={})

    def flush_output(self) -> None:
        """Nothing waits."""

    def finish(self, *_: Any, **__: Any) -> bool:
        return True


def test_a_message_that_utf8_cannot_hold_is_written_in_escapes(tmp_path: Path) -> None:
    end = end_with(tmp_path, json.dumps({"status": "failed", "error": "ValueError: \udcff"}).encode())
    assert (end.status, end.message) == ("failed", "ValueError: \\udcff")
