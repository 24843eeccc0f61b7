"""What the run prints, without ever getting in the way of printing."""

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

from runstream.events.limits import MAX_OUTPUT_CHARS

Stream = Literal["stdout", "stderr"]
#: Between two flushes, a second apart: what a loop can print that a person still reads.
_MAX_PENDING_CHARS: Final = 4_000_000


class LineCollapser:
    """Whole lines from pieces of text. Of a line that was drawn again with carriage returns (a progress bar), the last
    state counts. Pure but for its own memory, which one line bounds: MAX_OUTPUT_CHARS."""

    def __init__(self) -> None:
        self._partial = ""

    def feed(self, text: str) -> str:
        """The lines that `text` completes, each with its newline; nothing if there are none."""
        whole, newline, rest = (self._partial + text.replace("\r\n", "\n")).rpartition("\n")
        ready = "".join(f"{_last_drawn(line)}\n" for line in whole.split("\n")) if newline else ""
        # A "\r" at the very end stays: a "\n" may follow it.
        at = rest.rstrip("\r").rfind("\r") + 1
        self._partial = rest[at:]
        if len(self._partial) >= MAX_OUTPUT_CHARS:
            ready += self.rest()
        return ready

    def rest(self) -> str:
        """The line that is not finished; it counts as taken."""
        partial, self._partial = self._partial, ""
        return _last_drawn(partial)


def _last_drawn(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2]


class _Tee:
    """Stands for the `write` of a stream, and hands what is written to `take` as long as it is set."""

    def __init__(self, stream: Any, take: Callable[[str], None]) -> None:
        #: What stood before the method of the stream's class: the tee of another run, or of another program.
        self.before = vars(stream).get("write")
        self.take: Callable[[str], None] | None = take
        self._write: Callable[[str], Any] = stream.write

    def __call__(self, text: str) -> Any:
        written = self._write(text)
        take = self.take
        if take is not None and isinstance(text, str):
            take(text)
        return written


class ConsoleCapture:
    """Takes a copy of what Python code writes to `sys.stdout` and `sys.stderr` while it is installed.

    It puts itself before the `write` of the stream objects, so whoever holds them (logging handlers) is heard too.
    Writing costs one append to a deque; `flush` is called by a thread. Output of C libraries is not seen.
    """

    def __init__(self, emit: Callable[[Stream, str], None], mask: Callable[[str], str] = str) -> None:
        """`emit` gets pieces of at most MAX_OUTPUT_CHARS of what `mask` leaves of whole lines, from the thread that
        calls `flush`."""
        self._emit = emit
        self._mask = mask
        self._pending: deque[tuple[Stream, str]] = deque()
        self._pending_chars = 0
        self._left_out_chars = 0
        self._lines: dict[Stream, LineCollapser] = {"stdout": LineCollapser(), "stderr": LineCollapser()}
        self._installed: list[tuple[Any, _Tee]] = []
        self._flushing = threading.RLock()  # a signal handler may end the run while its thread is in here
        self._process = os.getpid()

    def install(self) -> None:
        """Begin. A stream that cannot be extended is left alone."""
        streams: list[tuple[Stream, Any]] = [("stdout", sys.stdout), ("stderr", sys.stderr)]
        for name, stream in streams:
            with contextlib.suppress(Exception):  # None under pythonw, objects with slots, ...
                tee = _Tee(stream, partial(self._take, name))
                stream.write = tee
                self._installed.append((stream, tee))

    def remove(self) -> None:
        """Stop. Where somebody put itself before us later, our part stays there, idle, until that one goes."""
        for stream, tee in self._installed:
            tee.take = None
            with contextlib.suppress(Exception):
                _uncover(stream)
        self._installed.clear()

    def flush(self, *, last: bool = False) -> None:
        """Hand over the lines that are complete; with `last` also the one that is not."""
        with self._flushing:
            ready: dict[Stream, list[str]] = {"stdout": [], "stderr": []}
            for _ in range(len(self._pending)):
                try:
                    name, text = self._pending.popleft()
                except IndexError:
                    break
                self._pending_chars -= len(text)
                ready[name].append(text)
            for name, texts in ready.items():
                text = self._lines[name].feed("".join(texts)) + (self._lines[name].rest() if last else "")
                text = self._mask(text) if text else text
                for at in range(0, len(text), MAX_OUTPUT_CHARS):
                    self._emit(name, text[at : at + MAX_OUTPUT_CHARS])
            if self._left_out_chars:
                self._emit("stderr", f"[runstream left out {self._left_out_chars} characters: too much at once]\n")
                self._left_out_chars = 0

    def _take(self, name: Stream, text: str) -> None:
        if os.getpid() != self._process:
            return  # a forked child prints; nobody flushes for it
        if self._pending_chars + len(text) > _MAX_PENDING_CHARS:
            self._left_out_chars += len(text)
            return
        self._pending_chars += len(text)
        self._pending.append((name, text))


def _uncover(stream: Any) -> None:
    """Take away the tees that have nothing to do any more, as far as nothing else lies over them."""
    top = vars(stream).get("write")
    while isinstance(top, _Tee) and top.take is None:
        top = top.before
    if top is not None:
        stream.write = top
    elif "write" in vars(stream):
        del stream.write
