"""What holds for every test: in which process it runs, examples that repeat, signals as a terminal sends them, and
processes that start quickly."""

import os
import signal
import sys

import pytest
from hypothesis import settings

from kit.distribution import Distribution
from kit.examples import PART
from kit.guard import KEY, Guard

# `make test` tries the same examples every time, a part of as many as `make properties`, which searches at random and
# keeps what it finds. How long an example takes is a matter of the machine.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=100 // PART)
settings.register_profile("search", derandomize=False, print_blob=True, deadline=None)
settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KEY] = guard = Guard()
    guard.install()
    config.pluginmanager.register(guard)
    config.pluginmanager.register(Distribution())
    # Where the environment forbids to keep compiled modules, each of the many processes would compile hundreds.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    # A broker that lives for a minute starts with half of the CPU time where only the first compiler is at work.
    os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")
    # A shell starts what runs in the background with SIGINT ignored, and every process of a test would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
