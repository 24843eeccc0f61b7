"""The writer in whose name a gateway appends what comes from no writer: commands of people and programs."""

import uuid
from collections.abc import Callable, Sequence

from runstream.clock import SYSTEM_CLOCK
from runstream.events.control import AnyEvent, encode_event
from runstream.events.encoding import encode_frame
from runstream.events.positions import Positions
from runstream_ingest.gateway.append import Appender
from runstream_service.turns import in_turns


class CommandWriter:
    """One a process, with a sequence of its own. Used from one event loop.

    A number is used once, whether its append succeeded or not: what failed may still have become durable, and
    another event under its number would be taken for the same one.
    """

    def __init__(
        self,
        appender: Appender,
        clock_us: Callable[[], int] = SYSTEM_CLOCK.at_us,
        writer_id: str | None = None,
    ) -> None:
        self._appender = appender
        self.now_us = clock_us
        self.writer_id = writer_id or uuid.uuid4().hex
        self._next_seq = 0

    async def append(self, commands: Sequence[tuple[str, AnyEvent]]) -> tuple[Positions, list[str]]:
        """Append events, each with its key, together and in their order. Returns when they are durable, with their
        positions and ids. Raises LogUnavailable."""
        numbers = range(self._next_seq, self._next_seq + len(commands))
        self._next_seq = numbers.stop
        pairs = zip(numbers, commands, strict=True)
        records = [self._record(seq, *command) async for seq, command in in_turns(pairs)]
        return await self._appender.append(records), [f"{self.writer_id}-{seq}" for seq in numbers]

    def _record(self, seq: int, key: str, event: AnyEvent) -> tuple[bytes, bytes]:
        events = b"[[%d,%s]]" % (seq, encode_event(event))
        return key.encode(), encode_frame(self.writer_id, key, seq, seq + 1, events)
