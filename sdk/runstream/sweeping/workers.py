"""A function called for each trial of a sweep, in this process or in several."""

import multiprocessing
import pickle
import traceback
from collections.abc import Callable, Iterable
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
    """Have so many processes do the same, and wait for them. One that dies is told; the others go on with its trial."""
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
    notices = Notices()
    for number, one in enumerate(started):
        if one.exitcode:
            notices.warn(f"worker {number} of {trials!r:.100} ended with {one.exitcode}: what it had is given again")
