"""Pages that tell what went wrong in them: errors (logged, uncaught), violations of the policy, failed requests."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

#: A test waits for progress, with a bound that no machine comes near.
WAIT_MS: Final = 60_000
#: A request that the page itself ended: nobody waits for its response any more, or the page was left.
_ENDED: Final = "net::ERR_ABORTED"
expect.set_options(timeout=WAIT_MS)


class Watched:
    """What went wrong in the pages of one context. `problems` grows while the page runs."""

    def __init__(self, context: BrowserContext) -> None:
        self.problems: list[str] = []
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self.problems.append(f"uncaught: {error.error}"))
        context.on("requestfailed", self._on_failed)

    def allow(self, pattern: str, at_least: int = 1) -> None:
        """Forget the problems in which the pattern occurs, which the test made on purpose. Fails if there are fewer."""
        found = [problem for problem in self.problems if re.search(pattern, problem)]
        assert len(found) >= at_least, f"expected {at_least} of {pattern!r} among {self.problems}"
        self.problems = [problem for problem in self.problems if problem not in found]

    def check(self) -> None:
        """Fail if anything went wrong."""
        assert not self.problems, "\n".join(self.problems)

    def _on_console(self, message: ConsoleMessage) -> None:
        # Violations of the policy are errors of the console, too.
        if message.type in ("error", "assert"):
            self.problems.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _on_failed(self, request: Request) -> None:
        if request.failure != _ENDED:
            self.problems.append(f"failed: {request.method} {request.url}: {request.failure}")


@contextmanager
def watched(browser: Browser, **options: Any) -> Iterator[tuple[BrowserContext, Watched]]:
    """A context of its own (storage, cache) until the end of the block, which fails if anything went wrong in it.

    options: those of Playwright's `new_context`, such as `color_scheme="dark"` and `viewport`.
    """
    given = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", "timezone_id": "UTC", **options}
    context = browser.new_context(**given)
    context.set_default_timeout(WAIT_MS)
    context.set_default_navigation_timeout(WAIT_MS)
    watch = Watched(context)
    try:
        yield context, watch
        watch.check()
    finally:
        context.close()


def keep_key(context: BrowserContext, key: str) -> None:
    """Have the pages of a context know the API key, as after a person typed it."""
    context.add_init_script(f"localStorage.setItem('runstream.key', JSON.stringify({key!r}))")


def text_of(page: Page, selector: str) -> str:
    """Return the text of the one element."""
    return str(page.locator(selector).inner_text())
