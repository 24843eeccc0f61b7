"""A function called for each trial of a sweep, in this process or in several."""

import multiprocessing
import pickle
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from runstream.errors import Invalid, RunstreamError
from runstream.notices import Notices

_MAX_WORKERS: Final = 256
T = TypeVar("T")


def work(trials: Iterable[T], function: Callable[[T], object], max_failures: int) -> None:
    """Call the function with each trial until none is left. Raises what it raises `max_failures` times in a row."""
    failures = 0
    for trial in trials:
        try:
            function(trial)
            failures = 0
        except RunstreamError:
            raise
        except Exception:
            failures += 1
            if failures >= max_failures:
                raise
            traceback.print_exc()


def work_in_processes(
    trials: Iterable[Any], function: Callable[[Any], object], workers: int, max_failures: int
) -> None:
    """Have so many processes do the same, and wait for them. One that is killed is told; the others go on with its
    trial. Raises RunstreamError where one gave up, or all were killed."""
    if not 1 <= workers <= _MAX_WORKERS:
        raise Invalid(f"workers = {workers} of Sweep.run cannot be used: give 1 to {_MAX_WORKERS}")
    try:
        pickle.dumps(function)
    except Exception as error:
        raise Invalid(
            f"{function!r:.100} cannot be sent to other processes ({error}): define it at the top of a module, or use "
            "workers=1 in several processes of your own"
        ) from None
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=work, args=(trials, function, max_failures)) for _ in range(workers)]
    try:
        for one in started:
            one.start()
        for one in started:
            one.join()
    except BaseException:
        for one in started:
            if one.is_alive():
                one.terminate()
        raise
    check_ends(repr(trials)[:100], [one.exitcode or 0 for one in started])


def check_ends(trials: str, statuses: Sequence[int]) -> None:
    """Tell which workers were killed. statuses: of their processes. Raises RunstreamError as `work_in_processes`."""
    notices = Notices()
    for number, status in enumerate(statuses):
        if status < 0:
            notices.warn(f"worker {number} of {trials} was killed by signal {-status}: its trial is given again")
    gave_up = [(number, status) for number, status in enumerate(statuses) if status > 0]
    if gave_up:
        number, status = gave_up[0]
        raise RunstreamError(
            f"{len(gave_up)} of {len(statuses)} workers of {trials} gave up, the first is worker {number} with status "
            f"{status}: standard error has its reason. Mend it, and run this again for the trials that are left"
        )
    if all(status < 0 for status in statuses):
        raise RunstreamError(f"all {len(statuses)} workers of {trials} were killed: run this again for their trials")
