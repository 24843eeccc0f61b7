"""`runstream demo` as a newcomer calls it, a little shorter: real server, real training, real answers."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from kit.children.forked import run_forked
from runstream_infra.demo.server import serving

COMMAND = [sys.executable, "-m", "runstream_infra.cli"]
STEPS = 200


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}


def command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a command that ends with 0."""
    done = run_forked("runstream_infra.cli", *arguments, environment=clean_environment())
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def shown(folder: Path) -> dict[str, Any]:
    """The response of one demo, which has ended with 0 and stopped its server."""
    demo = [*COMMAND, "demo", "--dir", str(folder), "--steps", str(STEPS), "--json"]
    done = subprocess.run(demo, capture_output=True, text=True, env=clean_environment(), check=False)
    assert done.returncode == 0, done.stderr
    response: dict[str, Any] = json.loads(done.stdout)
    return response


def test_every_point_is_acknowledged_and_visible(shown: dict[str, Any]) -> None:
    points = shown["points"]
    assert points["agree"] is True
    assert points["logged"] == points["acknowledged"] == points["visible"] > 6 * STEPS * 4


def test_runs_are_sorted_and_the_diverged_one_failed(shown: dict[str, Any]) -> None:
    accuracies = [run["metric.val/accuracy.max"] for run in shown["runs"]]
    assert accuracies == sorted(accuracies, reverse=True)
    by_status = {status: [run for run in shown["runs"] if run["status"] == status] for status in ("finished", "failed")}
    assert len(by_status["finished"]) == 6
    (failed,) = by_status["failed"]
    assert re.search(r"diverged at step \d+", failed["message"])


def test_the_question_is_answered_with_what_it_asks_for(shown: dict[str, Any]) -> None:
    assert {run["id"] for run in shown["query"]["runs"]} < {run["id"] for run in shown["runs"]}
    assert all(run["param.learning_rate"] >= 0.03 for run in shown["query"]["runs"])


def test_the_best_run_has_exact_summaries_and_its_files(shown: dict[str, Any]) -> None:
    summaries = {summary["metric"]: summary for summary in shown["best"]["summaries"]}
    assert summaries["train/loss"]["count"] == STEPS
    assert summaries["train/loss"]["last_step"] == STEPS - 1
    assert summaries["val/accuracy"]["maximum"] == shown["best"]["run"]["metric.val/accuracy.max"]
    names = {asset["name"] for asset in shown["best"]["assets"]}
    assert {"confusion.png", "model.joblib", "report.txt"} <= names


def test_the_picture_is_there_and_the_server_is_gone(shown: dict[str, Any]) -> None:
    assert Path(shown["picture"]).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OSError, match=r"refused|reset"):
        urllib.request.urlopen(f"{shown['url']}/readyz", timeout=2)


def test_a_second_server_on_the_data_has_the_runs_and_a_third_one_is_not_started(
    shown: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("RUNSTREAM_")]:
        monkeypatch.delenv(name)
    with serving(folder) as server:
        assert server.owned
        listed = command("runs", "--url", server.url, "--json")
        assert {run["id"] for run in json.loads(listed.stdout)["runs"]} == {run["id"] for run in shown["runs"]}
        told = command("doctor", "--url", server.url, "--dir", folder / "spool", "--json")
        status = json.loads(told.stdout)["server"]
        assert (status["lag_records"], status["quarantined_records"]) == (0, 0)
        assert 0 < status["disk_free_bytes"] < status["disk_total_bytes"]
        with serving(folder) as again:
            assert (again.url, again.owned) == (server.url, False)
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=120) as response:
            assert response.status == 200  # whoever only used it did not end it
    assert not (folder / "server.json").exists()


def test_what_the_demo_wrote_can_be_rebuilt(shown: dict[str, Any], folder: Path) -> None:
    response = json.loads(command("rebuild", "--data-dir", folder / "data", "--json").stdout)
    assert response["equal"] is True
    rows = {table["table"]: table["rows"] for table in response["tables"]}
    assert rows["runs"] == 7
    assert rows["points"] >= shown["points"]["visible"]


def test_up_ends_with_0_at_either_signal_and_refuses_a_second_on_the_directory(tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with started(tmp_path / "data") as process:
            options = ("--port", "0", "--data-dir", tmp_path / "data")
            second = run_forked("runstream_infra.cli", "up", *options, environment=clean_environment())
            assert second.returncode == 1
            assert str(tmp_path / "data") in second.stderr
            process.send_signal(number)
            assert process.wait(200) == 0


class started:
    """`runstream up` that is ready; ended by its signal, or by force if the test did not."""

    def __init__(self, data_dir: Path) -> None:
        self._command = [*COMMAND, "up", "--port", "0", "--data-dir", str(data_dir)]

    def __enter__(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=clean_environment()
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert "is ready at http://127.0.0.1:" in line
        return self._process

    def __exit__(self, *_: object) -> None:
        assert self._process.stdout is not None
        self._process.stdout.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "0.0.0.0"), "has no API key"),
        (("--api-key", "short"), "at least 16"),
        (("--port", "70000"), "port"),
        (("--data-dir", "/proc/nowhere"), "/proc/nowhere"),
    ],
)
def test_a_server_that_must_not_or_cannot_start_says_why(
    arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    options = ("--port", "0", "--data-dir", tmp_path / "data", *arguments)
    done = run_forked("runstream_infra.cli", "up", *options, environment=clean_environment(), timeout_s=250)
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
