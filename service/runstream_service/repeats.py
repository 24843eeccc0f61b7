"""Log lines that are the same many times a second, while what a process talks to is away or somebody attacks it."""

import logging
import re
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

#: aiokafka says some 600 lines a second while the only broker is away: 300 MB an hour and process.
_EVERY_S: Final = 10.0
#: Kinds of lines that are remembered, about 0.5 kB each. Beyond it the oldest is forgotten.
_MAX_KINDS: Final = 1_000
#: Libraries that repeat themselves, and what clients can make us repeat.
REPEATING: Final = ("aiohttp", "aiokafka", "asyncio", "runstream_service", "runstream_ingest", "runstream_query")
#: asyncio puts values into its lines before it logs them: addresses, file numbers, ports.
_VALUES: Final = re.compile(r"0x[0-9a-f]+|\d+|'[^']*'")


class Repeats(logging.Filter):
    """For a handler: lets a line of these loggers through once in `every_s`, and counts in between. The next one says
    how many there were. Any thread may log.

    Lines are the same if their level, logger and form are, whatever the values in them, and the error that they show
    comes from the same line of code; `extra={"repeats": KEY}` says it better where a line has it. What is no warning
    passes.
    """

    def __init__(
        self,
        *loggers: str,
        every_s: float = _EVERY_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """loggers: the names above them, as `logging.Filter` takes one."""
        super().__init__()
        self._filters = [logging.Filter(name) for name in loggers]
        self._every_s = every_s
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._told: dict[Hashable, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or not any(each.filter(record) for each in self._filters):
            return True
        kind = _kind(record)
        now_s = self._monotonic_s()
        with self._lock:
            told_s, left_out = self._told.pop(kind, (float("-inf"), 0))
            if now_s - told_s < self._every_s:
                self._told[kind] = (told_s, left_out + 1)
                return False
            self._told[kind] = (now_s, 0)
            if len(self._told) > _MAX_KINDS:
                del self._told[next(iter(self._told))]
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} times before)", ()
        return True


def _kind(record: logging.LogRecord) -> Hashable:
    key = getattr(record, "repeats", None)
    if key is None:
        key = _VALUES.sub("", str(record.msg).partition("\n")[0])
    error = record.exc_info[1] if record.exc_info else None
    place: Hashable = None
    if error is not None:
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        if traceback is not None:
            place = (traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)
    return (record.name, record.levelno, key, type(error), place)
