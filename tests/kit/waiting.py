"""Waiting for what comes, however busy the machine is."""

import time
from collections.abc import Callable

#: Nothing takes so long: a bound within which what is waited for has to come.
WAIT_S = 240.0


def wait_until(met: Callable[[], bool]) -> None:
    """Look until it is met; fails the test after WAIT_S."""
    end_s = time.monotonic() + WAIT_S
    while not met():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.02)
