"""The Chromium of the system, driven by Playwright, which brings the driver alone."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

#: Names on PATH.
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
#: 1: a machine without Chromium fails the tests instead of skipping them.
REQUIRED: Final = "RUNSTREAM_REQUIRE_BROWSER"
#: There is no GPU, and the sandbox is not for root.
_OPTIONS: Final = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb")
#: A browser starts in a second or two; on a busy machine it takes many.
_START_MS: Final = 120_000


def binary() -> Path | None:
    """Return the program itself; None if there is none. Debian's script on PATH adds GPU flags with which a canvas
    takes minutes."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        return None
    if shutil.which("dpkg"):
        listed = subprocess.run(["dpkg", "-L", "chromium"], capture_output=True, text=True, check=False).stdout
        programs = [Path(line) for line in listed.splitlines() if line.startswith("/usr/lib/")]
        for program in programs:
            if program.name == "chromium" and program.is_file() and os.access(program, os.X_OK):
                return program
    return Path(found).resolve()


def require() -> Path:
    """Return the program, or skip the test; where RUNSTREAM_REQUIRE_BROWSER=1, fail it."""
    program = binary()
    if program is not None:
        return program
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, but none of {', '.join(NAMES)} is installed")
    pytest.skip("no Chromium is installed: apt-get install chromium")


@contextmanager
def running(*options: str) -> "Iterator[Browser]":
    """A browser until the end of the block. Within it no event loop can run in this thread: close it before tests that
    are coroutines."""
    from playwright.sync_api import sync_playwright

    program = require()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=[*_OPTIONS, *options], timeout=_START_MS, handle_sigint=False
        )
        try:
            yield browser
        finally:
            browser.close()
