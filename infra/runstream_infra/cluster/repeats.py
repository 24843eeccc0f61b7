"""Log lines of a library that says the same many times a second while what it talks to is away."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

#: aiokafka says some 600 lines a second while the only broker is away: 300 MB an hour and process.
_EVERY_S: Final = 10.0


class Repeats(logging.Filter):
    """For a handler: lets a line of these loggers through once in `every_s`, and counts in between. The next one says
    how many there were. Lines are the same if their level, logger and form are, whatever the values in them; what is no
    warning passes. Any thread may log."""

    def __init__(
        self, loggers: str, *, every_s: float = _EVERY_S, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """loggers: the name above them, as `logging.Filter` takes it."""
        super().__init__(loggers)
        self._every_s = every_s
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._told: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or not super().filter(record):
            return True
        form = (record.name, record.levelno, str(record.msg))
        now_s = self._monotonic_s()
        with self._lock:
            told_s, left_out = self._told.get(form, (float("-inf"), 0))
            if now_s - told_s < self._every_s:
                self._told[form] = (told_s, left_out + 1)
                return False
            self._told[form] = (now_s, 0)
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} times before)", ()
        return True
