"""The demo from its beginning to its end: server, sweep, results."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runstream.addresses import page_of_project
from runstream.api import API, Session
from runstream_infra.cli.connecting import TIMEOUT_S, explained
from runstream_infra.cli.exits import FAILED, OK, Failed
from runstream_infra.cli.output import Output
from runstream_infra.demo import reading, showing
from runstream_infra.demo.curve import draw_curves
from runstream_infra.demo.server import ServerFailed, serving
from runstream_infra.demo.spooled import sync_spool, waiting_points
from runstream_infra.demo.sweeping import Done, TrialFailed, environment, settings_of, sweep_in_parallel
from runstream_infra.demo.trials import PROJECT, WORKSPACE, Trial, sweep

if TYPE_CHECKING:
    from rich.progress import Progress

#: A point is visible well within a second after it is acknowledged; a machine under load may take its time.
VISIBLE_TIMEOUT_S: Final = 30.0
SYNC_TIMEOUT_S: Final = 30.0
#: How often the server is asked how much is visible while training goes on.
ASK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Demo:
    """What was asked for. `folder` takes everything that is written; `keep` leaves the server running at the end."""

    folder: Path
    steps: int
    jobs: int
    keep: bool
    output: Output


def run_demo(demo: Demo) -> int:
    """The exit code: OK if every point that was logged is acknowledged and visible. Raises Failed."""
    demo.folder.mkdir(parents=True, exist_ok=True)
    demo.output.note(f"starting the server, with its data in {demo.folder}")
    try:
        with serving(demo.folder) as server, explained(server.url):
            status = _train_and_show(demo, server.url)
            if demo.keep:
                _wait_for_the_end(demo.output)
            return status
    except (ServerFailed, TrialFailed) as error:
        raise Failed(str(error)) from error


def _train_and_show(demo: Demo, url: str) -> int:
    trials = sweep(demo.steps)
    experiment = "sweep-" + datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    spool, api = demo.folder / "spool", API.over(Session(url, timeout_s=TIMEOUT_S))
    demo.output.note(f"training {len(trials)} models of {demo.steps:,} steps, {demo.jobs} at a time")
    demo.output.note(f"see them train: {page_of_project(url, WORKSPACE, PROJECT)}")
    with environment(settings_of(url, spool)), _progress(demo.output) as bars:
        counts = _train(demo, trials, experiment, api, spool, bars)
    findings = reading.find(api, experiment)
    picture = demo.folder / "train-loss.png"
    draw_curves(findings.curves, reading.CURVE, picture)
    if demo.output.as_json:
        demo.output.json(showing.as_json(findings, counts, picture, url))
    else:
        showing.show(findings, counts, picture, demo.output)
        showing.show_where(findings.best["id"], url, demo.folder, demo.keep, demo.output)
    return OK if counts.agree else FAILED


def _train(
    demo: Demo, trials: tuple[Trial, ...], experiment: str, api: API, spool: Path, bars: "Progress"
) -> showing.Counts:
    """Train, wait until everything is acknowledged and visible, and count."""
    watch = _Watch(bars, trials, api, experiment, spool, time.monotonic)
    done = sweep_in_parallel(trials, experiment, demo.jobs, demo.folder / "training.log", watch.look)
    waiting = sync_spool(spool, SYNC_TIMEOUT_S)
    acknowledged = done.points - waiting_points(spool)
    if waiting:
        demo.output.note(f"{waiting} records are not acknowledged after {SYNC_TIMEOUT_S:.0f} s: see `runstream doctor`")
    visible = reading.wait_visible(api, experiment, done.points, VISIBLE_TIMEOUT_S, time.monotonic)
    watch.finish(done, acknowledged, visible)
    return showing.Counts(done.points, acknowledged, visible)


class _Watch:
    """Keeps the progress bars. `clock` gives seconds."""

    def __init__(
        self,
        bars: "Progress",
        trials: tuple[Trial, ...],
        api: API,
        experiment: str,
        spool: Path,
        clock: Callable[[], float],
    ) -> None:
        self._bars, self._api, self._experiment, self._spool, self._clock = bars, api, experiment, spool, clock
        self._began_s = self._asked_s = clock()
        total = sum(trial.steps for trial in trials)
        self._steps = bars.add_task("", total=total, what="steps trained", rate="")
        self._logged = bars.add_task("", total=None, what="points logged", rate="")
        self._acknowledged = bars.add_task("", total=None, what="points acknowledged", rate="")
        self._visible = bars.add_task("", total=None, what="points visible", rate="")

    def look(self, done: Done) -> None:
        """Show how far it is; the server and the spool are only asked every ASK_S."""
        now_s = self._clock()
        rate = f"{done.steps / max(now_s - self._began_s, 0.001):,.0f} steps/s"
        self._bars.update(self._steps, completed=done.steps, rate=rate)
        self._bars.update(self._logged, completed=done.points, total=done.points)
        if now_s - self._asked_s < ASK_S:
            return
        self._asked_s = now_s
        self._bars.update(self._acknowledged, total=done.points, completed=done.points - waiting_points(self._spool))
        self._bars.update(
            self._visible, total=done.points, completed=reading.visible_points(self._api, self._experiment)
        )

    def finish(self, done: Done, acknowledged: int, visible: int) -> None:
        """The last word: the diverging trial has made fewer steps than it was asked for."""
        self._bars.update(self._steps, total=done.steps, completed=done.steps)
        self._bars.update(self._logged, total=done.points, completed=done.points)
        self._bars.update(self._acknowledged, total=done.points, completed=acknowledged)
        self._bars.update(self._visible, total=done.points, completed=visible)


def _progress(output: Output) -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.fields[what]:<20}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        console=output.err,
        disable=output.as_json or not output.err.is_terminal,
    )


def _wait_for_the_end(output: Output) -> None:
    """Until Ctrl-C, which is how one leaves and no error."""
    output.line()
    output.line("The server keeps running. Ctrl-C ends it.", "dim")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        output.note("stopping the server")
