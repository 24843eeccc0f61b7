"""Fixtures of tests in a real Chromium. A file shares one browser and one server; each test has its own context."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from kit.browser import chromium as chromium_kit
from kit.browser.history import History, serving_history
from kit.browser.watching import Watched, watched


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """A server without keys and the known history (kit.browser.history)."""
    chromium_kit.require()
    with serving_history(tmp_path_factory.mktemp("history")) as history:
        yield history


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser. Files that use it have no tests that are coroutines."""
    with chromium_kit.running() as browser:
        yield browser


@pytest.fixture
def watch(chromium: Browser) -> Iterator[tuple[Page, Watched]]:
    """A page, and what went wrong in it so far; at its end nothing may have."""
    with watched(chromium) as (context, problems):
        yield context.new_page(), problems


@pytest.fixture
def page(watch: tuple[Page, Watched]) -> Page:
    """A page in which nothing may go wrong."""
    return watch[0]
