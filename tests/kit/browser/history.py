"""A server with a small history that every test of the page knows."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import page_build
import runstream as rs
from kit.servers.embedded import Server

ROOT: Final = Path(__file__).parents[3]
WORKSPACE: Final = "team"
PROJECT: Final = "digits"
#: Runs of PROJECT that ended: r-0 to r-5. r-3 failed, the loss of r-4 is NaN from step 50 on.
RUNS: Final = tuple(f"r-{number}" for number in range(6))
FAILED, WITH_NAN, RUNNING = "r-3", "r-4", "r-open"
STEPS: Final = 100
#: One point of r-1's loss is far above all others.
SPIKE: Final = ("r-1", 37, 25.0)
#: A run of another project.
OTHER: Final = ("sounds", "s-0")
#: A name that is HTML, of the run r-2.
HOSTILE: Final = "<img src=x onerror=alert(1)>"
_WAIT_S: Final = 240.0
_QUIET: Final[dict[str, Any]] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}


@dataclass(frozen=True, slots=True)
class History:
    """A running server. `running` goes on logging at the will of the test."""

    url: str
    server: Server
    running: rs.Run

    @property
    def project(self) -> str:
        """The address of the project's page."""
        return f"{self.url}/{WORKSPACE}/{PROJECT}"

    def run(self, run: str) -> str:
        """Return the address of a run's page."""
        return f"{self.project}/{run}"


def loss_of(number: int, step: int) -> float:
    """Return what the run of that number logged at a step."""
    run, at, value = SPIKE
    if (RUNS[number], step) == (run, at):
        return value
    if RUNS[number] == WITH_NAN and step >= STEPS // 2:
        return math.nan
    return (2.0 + number / 10) * math.exp(-step / 30) + 0.01 * math.sin(step * (number + 1))


@contextmanager
def serving_history(
    folder: Path, environment: dict[str, str] | None = None, key: str | None = None
) -> Iterator[History]:
    """Serve the history, with the page as its sources are now, until the end of the block."""
    page_build.ensure(ROOT)
    page_build.install_packages(ROOT)
    with Server(folder, environment) as server:
        given: dict[str, Any] = {"url": server.url, "dir": folder / "spool", **_QUIET}
        if key is not None:
            given["api_key"] = key
        runs = [_begun(number, given) for number in range(len(RUNS))]
        running = rs.init(PROJECT, "still running", RUNNING, workspace=WORKSPACE, config={"lr": 0.3}, **given)
        for step in range(10):
            running.log({"train/loss": 1.0 - step / 20}, step=step)
        other = rs.init(OTHER[0], None, OTHER[1], workspace=WORKSPACE, **given)
        other.log({"pitch": 440.0}, step=0)
        for number, run in enumerate(runs):
            run.finish("failed" if RUNS[number] == FAILED else "finished", timeout_s=_WAIT_S)
        other.finish(timeout_s=_WAIT_S)
        yield History(server.url, server, running)
        running.finish(timeout_s=_WAIT_S)


def _begun(number: int, given: dict[str, Any]) -> rs.Run:
    name = HOSTILE if number == 2 else f"try {number}"
    run = rs.init(
        PROJECT,
        name,
        RUNS[number],
        workspace=WORKSPACE,
        config={"lr": 10.0 ** -(number % 3 + 1), "optimizer": ("adam", "sgd")[number % 2], "layers": number},
        tags=["even" if number % 2 == 0 else "odd"],
        group=f"g{number % 2}",
        **given,
    )
    for step in range(STEPS):
        run.log({"train/loss": loss_of(number, step), "val/acc": step / STEPS, "lr": 0.1 / (step + 1)}, step=step)
    return run
