"""What the client tells the person at the terminal: few lines, each once, never an exception."""

import sys
from typing import Final

#: Enough for every metric of a sane run. Beyond it, new messages are left out instead of filling memory.
_MAX_KEYS: Final = 10_000


class Notices:
    """Warnings of one run. Methods may be called from any thread and from signal handlers; they never raise.

    Warnings go to the logger `runstream`, which prints to stderr unless the program configured logging otherwise.
    """

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._muted = False

    def once(self, key: str, message: str) -> None:
        """Warn with `message` unless a warning with this `key` was given before."""
        if key in self._told or len(self._told) >= _MAX_KEYS:
            return
        self._told.add(key)
        self.warn(message)

    def finished(self, run_id: str) -> None:
        """Say, once, that something was logged to a run that is finished."""
        self.once(f"{run_id} finished", f"run {run_id} is finished: what was logged after that is left out")

    def forget(self, key: str) -> None:
        """Let a warning with this `key` be given again: its cause went away."""
        self._told.discard(key)

    def warn(self, message: str) -> None:
        """Warn, every time."""
        if self._muted:
            return
        try:
            import logging  # 10 ms that a run without warnings does not pay

            logging.getLogger("runstream").warning("runstream: %s", message)
        except ImportError:  # an interpreter that ends imports nothing any more
            self.line(message)
        except Exception:  # a broken handler of the program's own must not reach training
            return

    def mute(self) -> None:
        """Warn no more: the process ends, and what its other threads still try is of no interest."""
        self._muted = True

    def line(self, message: str) -> None:
        """Print a calm line of progress to stderr."""
        try:
            print(f"runstream: {message}", file=sys.stderr, flush=True)
        except Exception:  # stderr may be closed
            return


#: For what belongs to no run.
PROCESS_NOTICES: Final = Notices()
