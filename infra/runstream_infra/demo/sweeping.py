"""Runs the trials of the demo in parallel processes and says how far they are."""

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from runstream_infra.demo.trials import Trial

#: How often the progress is looked at.
LOOK_S = 0.1
#: What a trial takes seconds of CPU time to import. On Linux one process imports it, and each trial is forked from
#: that one. Elsewhere libraries of the system do not bear to be used behind a fork.
_PRELOADED: Final = (
    "runstream_infra.demo.training",
    "joblib",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "sklearn.datasets",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.neural_network",
)


class TrialFailed(Exception):
    """A training process ended otherwise than it should have."""


@dataclass(frozen=True, slots=True)
class Done:
    """How far all trials are, taken together."""

    steps: int
    points: int
    trials: int


def sweep_in_parallel(
    trials: Sequence[Trial], experiment: str, jobs: int, log: Path, look: Callable[[Done], None]
) -> Done:
    """Train every trial, at most `jobs` at a time, each in a process of its own that finds server and spool in the
    environment and prints into `log`. Calls `look` about ten times a second. Raises TrialFailed; ends what still runs
    when it raises."""
    context = _context()
    counters = context.RawArray("q", 2 * len(trials))
    waiting = list(enumerate(trials))
    running: dict[str, BaseProcess] = {}
    ended = 0
    with one_thread_each(), ending(running):
        while waiting or running:
            while waiting and len(running) < jobs:
                number, trial = waiting.pop(0)
                process: BaseProcess = context.Process(
                    target=_train, args=(dict(os.environ), trial, experiment, number, counters, log), name=trial.name
                )
                process.start()
                running[trial.name] = process
            for name, process in list(running.items()):
                process.join(LOOK_S / len(running))
                if process.exitcode is None:
                    continue
                if process.exitcode:
                    raise TrialFailed(f"the training process {name} ended with {process.exitcode}: see {log}")
                del running[name]
                ended += 1
            look(Done(sum(counters[::2]), sum(counters[1::2]), ended))
    return Done(sum(counters[::2]), sum(counters[1::2]), ended)


def _context() -> ForkServerContext | SpawnContext:
    """Return how processes of trials are started here."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOADED])
    return context


def _train(environ: Mapping[str, str], trial: Trial, *arguments: Any) -> None:
    """Train in the environment that the sweep has now. The process that trials are forked from may be of an earlier
    sweep."""
    from runstream_infra.demo.training import train

    os.environ.update(environ)
    train(trial, *arguments)


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """Matrices of 64 x 64 gain nothing from threads, which would fight for the processors with the other trials."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    with environment(dict.fromkeys(names, "1")):
        yield


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables that processes started in the block see."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def ending(running: dict[str, BaseProcess]) -> Iterator[None]:
    """Whatever ends the block, its processes do not outlive it."""
    try:
        yield
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()


def settings_of(url: str, spool: Path) -> dict[str, str]:
    """The client's settings for the trials, which nothing in the caller's environment changes."""
    return {
        "RUNSTREAM_URL": url,
        "RUNSTREAM_DIR": str(spool),
        "RUNSTREAM_MODE": "online",
        "RUNSTREAM_WORKSPACE": "default",
    }
