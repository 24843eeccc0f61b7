"""A real browser that opens a page, and another site whose page says when it is done.

Where there is no Chromium the test is skipped, and with RUNSTREAM_REQUIRE_BROWSER=1 (as in CI) it fails.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from kit.browser.chromium import require

#: A browser starts in a second or two; on a busy machine it takes many.
BROWSER_S = 120.0


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[int]:
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


class Other:
    """Another site, whose page says when it is done."""

    def __init__(self) -> None:
        self.page = ""
        self.told: asyncio.Queue[str] = asyncio.Queue()

    def application(self) -> web.Application:
        async def page(request: web.Request) -> web.Response:
            return web.Response(text=self.page, content_type="text/html")

        async def done(request: web.Request) -> web.Response:
            await self.told.put(await request.text())
            return web.Response()

        app = web.Application()
        app.router.add_get("/", page)
        app.router.add_post("/done", done)
        return app


async def visit(url: str, other: Other, profile: Path) -> str:
    """Open a page, and return what it says when it is done."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += ["--no-proxy-server", "--disable-background-networking", f"--user-data-dir={profile}"]
    with (profile.parent / "browser.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            require(), *options, url, stdout=log, stderr=log, env={**os.environ, "HOME": str(profile.parent)}
        )
    try:
        async with asyncio.timeout(BROWSER_S):
            return await other.told.get()
    finally:
        process.kill()
        await process.wait()
