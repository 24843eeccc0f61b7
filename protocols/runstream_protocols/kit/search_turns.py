"""Who searches when: one gateway's requests for what to try next do not get in each other's way."""

import asyncio
from dataclasses import dataclass, field
from weakref import WeakValueDictionary


@dataclass(frozen=True, slots=True)
class SearchTurns:
    """searching: held while a suggestion is computed, which takes a core."""

    searching: asyncio.Lock = field(default_factory=asyncio.Lock)
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def turn(self, search: str) -> asyncio.Lock:
        """Return the lock of one search: whoever holds it is the only one of this gateway to take its next number."""
        return self._turns.setdefault(search, asyncio.Lock())
