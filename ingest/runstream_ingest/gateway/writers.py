"""Where every writer stands: up to which number it is durable, and that its requests do not overtake each other."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from runstream.events.positions import Positions
from runstream_service.turns import Turns

#: Writers whose locks are taken in a row, about 1 us each.
_AT_ONCE: Final = 50


@dataclass(slots=True)
class Writer:
    """One writer, as far as this process knows it. Changed only while its lock is held."""

    #: What it writes; None until something of it was durable here.
    key: str | None = None
    #: Every lower number is durable; None until something of the writer was.
    next_seq: int | None = None
    #: Covers everything of the writer that is durable.
    positions: Positions = field(default_factory=Positions)
    #: The monotonic time of the last heartbeat that was appended.
    beat_s: float = float("-inf")
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    #: Requests that hold or want the lock; such a writer is not forgotten.
    users: int = 0


class Writers:
    """The writers that are remembered: the most recently used `limit`, and those that are in use.

    Memory only: a gateway that starts again knows nobody, takes each writer's first frame as it comes, and leaves
    what is double to the fold. Used from one event loop.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._writers: OrderedDict[str, Writer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._writers)

    @asynccontextmanager
    async def held(self, writer_ids: Iterable[str]) -> AsyncIterator[Mapping[str, Writer]]:
        """Hold these writers: until the end of the block no other request appends for any of them."""
        # All take their locks in the same order, so two requests with the same writers cannot wait for each other.
        wanted: dict[str, Writer] = {}
        locked: list[Writer] = []
        turns = Turns()
        try:
            for writer_id in sorted(writer_ids):
                writer = wanted[writer_id] = self._used(writer_id)
                await writer.lock.acquire()
                locked.append(writer)
                if not len(locked) % _AT_ONCE:
                    await turns.rest()
            yield wanted
        finally:
            for writer in locked:
                writer.lock.release()
            for writer in wanted.values():
                writer.users -= 1
            self._forget_oldest()

    def _used(self, writer_id: str) -> Writer:
        writer = self._writers.get(writer_id)
        if writer is None:
            writer = self._writers[writer_id] = Writer()
        self._writers.move_to_end(writer_id)
        writer.users += 1
        return writer

    def _forget_oldest(self) -> None:
        excess = len(self._writers) - self._limit
        if excess <= 0:
            return
        # Not a list of all: this is done at each request with a new writer.
        idle = (writer_id for writer_id, writer in self._writers.items() if writer.users == 0)
        for writer_id in list(islice(idle, excess)):
            del self._writers[writer_id]
