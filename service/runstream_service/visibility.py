"""How far the read models have come: what reads wait for, and what live updates follow."""

import asyncio
import threading
from typing import Protocol

from runstream.events.positions import Positions


class Visibility(Protocol):
    """May be called from any event loop."""

    def visible(self) -> Positions:
        """Up to where every read model includes the log. Never goes back."""

    async def wait_for(self, wanted: Positions, timeout_s: float) -> bool:
        """Wait until `visible()` covers `wanted`. False if that took longer than `timeout_s`."""

    async def wait_beyond(self, seen: Positions, timeout_s: float) -> Positions:
        """Wait until `visible()` differs from `seen`, at most `timeout_s`; returns what is visible then."""


class Progress:
    """Visibility within one process: the worker advances it, any number of event loops wait on it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._visible = Positions()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def visible(self) -> Positions:
        return self._visible

    def advance(self, to: Positions) -> None:
        """Say that everything up to `to` is visible; earlier positions count for nothing. Any thread may call it."""
        with self._lock:
            merged = self._visible.merged(to)
            if merged == self._visible:
                return
            self._visible = merged
            waiting, self._waiting = self._waiting, set()
        for loop, event in waiting:
            # A loop that was closed in between has nobody left who waits.
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    async def wait_for(self, wanted: Positions, timeout_s: float) -> bool:
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not self._visible.covers(wanted):
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0:
                return False
            await self.wait_beyond(self._visible, left_s)
        return True

    async def wait_beyond(self, seen: Positions, timeout_s: float) -> Positions:
        event = asyncio.Event()
        entry = (asyncio.get_running_loop(), event)
        with self._lock:
            if self._visible != seen:
                return self._visible
            self._waiting.add(entry)
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._waiting.discard(entry)
        return self._visible
