"""What a run captures by itself, given to its thread."""

import contextlib
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runstream.capture.console import ConsoleCapture
from runstream.client.background import Background
from runstream.client.run import Run
from runstream.events.names import SYSTEM_METRICS
from runstream.notices import PROCESS_NOTICES
from runstream.settings import SettingValues

if TYPE_CHECKING:
    from runstream.capture.system import SystemSampler

_FLUSH_S: Final = 1.0


def start_capturing(run: Run, background: Background, settings: SettingValues) -> None:
    """Begin to capture what `settings` ask for. Cheap: the look-ups are left to `background`, which starts later."""
    if settings.capture_console:
        console = ConsoleCapture(run.output, run.masking.console)
        try:
            console.install(settings.console)
        except OSError as error:
            PROCESS_NOTICES.warn(f"redirecting the console failed ({error}): it is captured as with console='wrap'")
            console.install()
        run.capture_with(console)
        background.every(_FLUSH_S, console.flush)
    background.at_first(lambda: _environment(run, settings.capture_code))
    if settings.capture_code:
        with contextlib.suppress(OSError):  # somebody removed it under this process
            directory = Path.cwd()
            background.at_first(lambda: _git(run, directory))
    background.at_first(run.tell_hidden)
    if settings.system_metrics_s:
        sampling = SystemMetrics(run)
        background.at_first(sampling.facts)
        background.every(settings.system_metrics_s, sampling.sample)


class SystemMetrics:
    """Samples as rows `system/...` of a run; further ranks use `system/rankN/...`. Used by one thread."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._steps = itertools.count()
        self._sampler: SystemSampler | None = None

    def sample(self) -> None:
        """Log one sample. The first call only begins to count: a rate needs two looks."""
        if self._sampler is None:
            self._open()
        else:
            self._run.sample(self._sampler.sample(), next(self._steps))

    def facts(self) -> None:
        """Log what GPUs there are, and a first sample, so that a short run has one."""
        sampler = self._sampler or self._open()
        if gpus := sampler.gpus():
            self._run.environment("gpu", gpus)
        self.sample()

    def _open(self) -> "SystemSampler":
        from runstream.capture.system import SystemSampler

        rank = self._run.rank
        self._sampler = SystemSampler(f"{SYSTEM_METRICS}rank{rank}/" if rank else SYSTEM_METRICS)
        return self._sampler


def _environment(run: Run, with_code: bool) -> None:
    from runstream.capture.environment import environment_sections

    for section, values in environment_sections(run.masking, with_code=with_code):
        run.environment(section, values)


def _git(run: Run, directory: Path) -> None:
    from runstream.capture.environment import git_diff, git_facts, git_in

    git = git_in(directory)
    facts: dict[str, Any] | None = git_facts(git, run.masking)
    if facts is None:
        return
    diff, cut = git_diff(git) if facts["dirty"] else (b"", False)
    if not diff:
        run.environment("git", facts)
        return
    diff, hidden = run.masking.diff(diff, cut=cut)
    run.environment("git", facts | {"diff_cut": cut} | ({"diff_lines_hidden": hidden} if hidden else {}))
    about = {"commit": facts["commit"], "cut": cut} | ({"lines_hidden": hidden} if hidden else {})
    run.log_asset(diff, name="git.diff", kind="text", metadata=about)
