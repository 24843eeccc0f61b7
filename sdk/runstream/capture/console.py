"""What the run prints, without ever getting in the way of printing."""

import contextlib
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal

from runstream.capture.lines import LineCollapser
from runstream.capture.redirect import Stream, leave, redirect
from runstream.events.limits import MAX_OUTPUT_CHARS

#: By the methods of Python's streams, or by file descriptors.
How = Literal["wrap", "redirect"]
#: Between two flushes, a second apart: what a loop can print that a person still reads.
_MAX_PENDING_CHARS: Final = 4_000_000
#: How often the streams may take turns in one flush; each turn is an event. Beyond it the order between them is lost.
_MAX_TURNS: Final = 100


class _Tee:
    """Stands for the `write` of a stream, and hands what is written to `take` as long as it is set."""

    def __init__(self, stream: Any, take: Callable[[str], None], writing: threading.local) -> None:
        """`writing` tells the tees of one capture, by thread, that one of them writes: a stream may write to
        another."""
        #: What stood before the method of the stream's class: the tee of another run, or of another program.
        self.before = vars(stream).get("write")
        self.take: Callable[[str], None] | None = take
        self._write: Callable[[str], Any] = stream.write
        self._writing = writing

    def __call__(self, text: str) -> Any:
        take = self.take
        if take is None or getattr(self._writing, "now", False):
            return self._write(text)
        self._writing.now = True
        try:
            written = self._write(text)
        finally:
            self._writing.now = False
        if isinstance(text, str):
            take(text)
        return written


class ConsoleCapture:
    """Takes a copy of what is printed while it is installed.

    With `wrap` it puts itself before the `write` of `sys.stdout` and `sys.stderr`, so whoever holds these objects
    (logging handlers) is heard too. Writing costs one append to a deque; `flush` is called by a thread. With `redirect`
    it hears the file descriptors, and so C libraries and child processes; streams that do not end in one are wrapped.
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
        #: Turns below a bar of the other stream, and that stream.
        self._waiting: list[tuple[Stream, list[str]]] = []
        self._idle: Stream | None = None
        self._installed: list[tuple[Any, _Tee]] = []
        self._writing = threading.local()
        self._flushing = threading.RLock()  # a signal handler may end the run while its thread is in here
        self._process = os.getpid()

    def install(self, how: How = "wrap") -> None:
        """Begin. A stream that cannot be extended is left alone; one that is both counts as stdout. Raises OSError if
        nothing can be redirected; nothing is installed then."""
        redirected = redirect(self._take) if how == "redirect" else frozenset[Stream]()
        streams: list[tuple[Stream, Any]] = [("stdout", sys.stdout)]
        if sys.stderr is not sys.stdout:
            streams.append(("stderr", sys.stderr))
        for name, stream in streams:
            if redirected and _ends_in_descriptor(stream):
                continue
            with contextlib.suppress(Exception):  # None under pythonw, objects with slots, ...
                tee = _Tee(stream, partial(self._take, name), self._writing)
                stream.write = tee
                self._installed.append((stream, tee))

    def remove(self) -> None:
        """Stop. Where somebody put itself before us later, our part stays there, idle, until that one goes."""
        leave(self._take)
        for stream, tee in self._installed:
            tee.take = None
            with contextlib.suppress(Exception):
                _uncover(stream)
        self._installed.clear()

    def flush(self, *, last: bool = False) -> None:
        """Hand over the lines that are complete, in the order in which they were; with `last` also those that are
        not."""
        with self._flushing:
            self._hand_over_turns(self._turns(), last)
            for name, lines in self._lines.items() if last else ():
                self._hand_over(name, lines.rest())
            if self._left_out_chars:
                self._emit("stderr", f"[runstream left out {self._left_out_chars} characters: too much at once]\n")
                self._left_out_chars = 0

    def _hand_over_turns(self, turns: list[tuple[Stream, list[str]]], last: bool) -> None:
        """Where one stream prints below a bar of the other, which is drawn no more, the bar comes first. Whether it is
        drawn again shows until the next flush, for which what is printed below it waits."""
        turns, self._waiting = self._waiting + turns, []
        for at, (name, texts) in enumerate(turns):
            other: Stream = "stderr" if name == "stdout" else "stdout"
            if texts and self._idle == name:
                self._idle = None
            if texts and self._lines[other].has_bar and not any(one == other and more for one, more in turns[at + 1 :]):
                if not last and self._idle != other:
                    self._waiting, self._idle = turns[at:], other
                    return
                self._hand_over(other, self._lines[other].leave_bar())
            self._hand_over(name, self._lines[name].feed("".join(texts)))

    def _turns(self) -> list[tuple[Stream, list[str]]]:
        """What is pending, by stream, in the order in which they took turns. Each stream has one at least: that nothing
        was printed is news too."""
        turns: list[tuple[Stream, list[str]]] = []
        for _ in range(len(self._pending)):
            try:
                name, text = self._pending.popleft()
            except IndexError:
                break
            self._pending_chars -= len(text)
            if not turns or turns[-1][0] != name:
                turns.append((name, []))
            turns[-1][1].append(text)
        if len(turns) > _MAX_TURNS:
            turns = [(one, [text for name, texts in turns if name == one for text in texts]) for one in self._lines]
        spoke = {name for name, _ in turns}
        return turns + [(name, []) for name in self._lines if name not in spoke]

    def _hand_over(self, name: Stream, text: str) -> None:
        text = self._mask(text) if text else text
        for at in range(0, len(text), MAX_OUTPUT_CHARS):
            self._emit(name, text[at : at + MAX_OUTPUT_CHARS])

    def _take(self, name: Stream, text: str) -> None:
        if os.getpid() != self._process:
            return  # a forked child prints; nobody flushes for it
        if self._pending_chars + len(text) > _MAX_PENDING_CHARS:
            self._left_out_chars += len(text)
            return
        self._pending_chars += len(text)
        self._pending.append((name, text))


def _ends_in_descriptor(stream: Any) -> bool:
    """Return whether what is written to the stream ends in the process's stdout or stderr."""
    try:
        return stream.fileno() in (1, 2)
    except Exception:  # notebooks, test runners, objects of programs
        return False


def _uncover(stream: Any) -> None:
    """Take away the tees that have nothing to do any more, as far as nothing else lies over them."""
    top = vars(stream).get("write")
    while isinstance(top, _Tee) and top.take is None:
        top = top.before
    if top is not None:
        stream.write = top
    elif "write" in vars(stream):
        del stream.write
