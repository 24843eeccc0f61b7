"""How far the read models have come: what reads wait for, and what live updates follow."""

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
