"""Waiting for what is visible, within one process."""

import asyncio

from runstream.events.positions import Positions
from runstream_service.visibility import Progress


async def test_saying_again_what_is_visible_wakes_nobody() -> None:
    progress = Progress()
    progress.advance(Positions.after(0, 3))
    waiting = asyncio.create_task(progress.wait_beyond(Positions.after(0, 3), 60))
    await asyncio.sleep(0)
    for positions in (Positions.after(0, 3), Positions.after(0, 2), Positions()):
        progress.advance(positions)
        await asyncio.sleep(0.01)
        assert not waiting.done()
    progress.advance(Positions.after(1, 0))
    assert await waiting == Positions({0: 4, 1: 1})
