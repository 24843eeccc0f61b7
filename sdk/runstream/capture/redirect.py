"""stdout and stderr at the level of file descriptors: what any code of the process and its children prints.

The descriptors become pipes (pseudo-terminals where they were terminals), which a forwarder reads
(`runstream.capture.forwarder`): it passes everything on to where it belongs and hands a copy back. One redirection
serves all runs of a process; the last one that leaves gives the descriptors back. Children that still run then keep
the forwarder alive, and their output its way.
"""

import codecs
import contextlib
import fcntl
import os
import secrets
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

from runstream.capture import forwarder
from runstream.interpreter import interpreter

Stream = Literal["stdout", "stderr"]
Take = Callable[[Stream, str], None]

_DESCRIPTORS: Final[dict[Stream, int]] = {"stdout": 1, "stderr": 2}
_NAMES: Final[tuple[Stream, ...]] = tuple(_DESCRIPTORS)
#: What the C library calls its stdout: on Linux, on macOS.
_C_STDOUT: Final = ("stdout", "__stdoutp")
#: What a mark begins with. The forwarder holds back what may be the beginning of one: no byte that ends a record.
MARK_BEGINS: Final = b"\x16runstream-"
#: Descriptors of ours stand above those that programs count on.
_FIRST: Final = 10
#: How long the end waits until the forwarder has passed on what was printed: it waits itself where a terminal is
#: stopped, or the reader of a pipe is slow.
_SETTLE_S: Final = 5.0
#: How often a stream that is full is looked at.
_LOOK_S: Final = 0.02

#: A signal handler may end a run while its thread is in here.
_guard = threading.RLock()
_current: "_Redirection | None" = None


def redirect(take: Take) -> frozenset[Stream]:
    """Hand to `take` what is printed from now on, from a thread of ours, and return the streams of which this is true:
    those that the process has. Raises OSError (NotAnInterpreter, too many open files): nothing is
    changed then.
    """
    global _current
    with _guard:
        if _current is None:
            _current = _Redirection.begin()
        if _current is None:
            return frozenset()
        _current.takers.append(take)
        return frozenset(_current.saved)


def leave(take: Take) -> None:
    """End what `redirect` began, after everything that was printed before came to `take`."""
    with _guard:
        redirection = _current
        if redirection is None or take not in redirection.takers:
            return
    redirection.settle()  # others may begin and leave meanwhile
    with _guard:
        if take in redirection.takers:  # a signal handler may have come in between
            redirection.takers.remove(take)
        if not redirection.takers:
            _end(redirection)


def _end(redirection: "_Redirection") -> None:
    global _current
    with _guard:
        if _current is redirection:
            redirection.restore()
            _current = None


def _forget_in_child() -> None:
    """A forked child prints into its parent's redirection, and may begin one of its own."""
    global _current, _guard
    _guard = threading.RLock()
    _current = None


os.register_at_fork(after_in_child=_forget_in_child)


class _Redirection:
    """Descriptors that are redirected, and the thread that reads the copies."""

    def __init__(self, saved: dict[Stream, int], mark: bytes, copies: int, process: "subprocess.Popen[bytes]") -> None:
        #: The descriptors of where the output belongs.
        self.saved = saved
        self.takers: list[Take] = []
        self._mark = mark
        self._process = process
        self._copies = copies
        #: How many marks were sent into each stream, and how many of them came back behind all that was printed before.
        self._sent = dict.fromkeys(saved, 0)
        self._passed = dict.fromkeys(saved, 0)
        self._passing = threading.Condition()
        self._ended = False

    def _start(self) -> None:
        """Begin to read the copies. Raises OSError, and gives the descriptors back, where no thread can be started."""
        try:
            threading.Thread(target=self._read, name="runstream-console", daemon=True).start()
        except RuntimeError as error:
            self.restore()
            os.close(self._copies)
            raise OSError(str(error)) from None

    @classmethod
    def begin(cls) -> "_Redirection | None":
        """Redirect the streams that are open; None if there are none. Raises OSError."""
        _flush()
        with contextlib.ExitStack() as opened:
            saved: dict[Stream, int] = {}
            for name, descriptor in _DESCRIPTORS.items():
                with contextlib.suppress(OSError):  # closed, as in a daemon
                    saved[name] = _above(os.dup(descriptor), opened)
            if not saved:
                return None
            mark = MARK_BEGINS + secrets.token_hex(16).encode()
            ends = {name: _channel(target, opened) for name, target in saved.items()}
            copies, copies_end = (_above(end, opened) for end in os.pipe())
            streams = [f"{_NAMES.index(name)}:{ends[name][0]}:{saved[name]}" for name in saved]
            passed = [copies_end, *saved.values(), *(source for source, _ in ends.values())]
            process = subprocess.Popen(
                [interpreter(), "-I", "-S", forwarder.__file__, mark.hex(), str(copies_end), *streams],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=passed,
                cwd="/",
                start_new_session=True,  # Ctrl-C and the end of the terminal are for the program
            )
            for name, (source, sink) in ends.items():
                os.dup2(sink, _DESCRIPTORS[name])
                os.close(sink)
                os.close(source)
            os.close(copies_end)
            opened.pop_all()
        begun = cls(saved, mark, copies, process)
        begun._start()
        return begun

    def settle(self) -> None:
        """Wait, `_SETTLE_S` at most, until everything that was printed so far is where it belongs and with `takers`."""
        _flush()
        until_s = time.monotonic() + _SETTLE_S
        marks = {name: self._send_mark(name, until_s) for name in self.saved}
        with self._passing:
            self._passing.wait_for(
                lambda: self._ended or all(self._passed[name] >= number for name, number in marks.items()),
                max(0.0, until_s - time.monotonic()),
            )

    def restore(self) -> None:
        """Give the descriptors back. The forwarder ends when no child has one of the others open."""
        for name, target in self.saved.items():
            os.dup2(target, _DESCRIPTORS[name])
            os.close(target)

    def _send_mark(self, name: Stream, until_s: float) -> int:
        """Send a mark behind what was printed, as soon as the stream has room, and return its number; 0 where that
        cannot be, or not in time."""
        descriptor = _DESCRIPTORS[name]
        while True:
            with _guard:
                if self._ended or _current is not self:
                    return 0
                if select.select([], [descriptor], [], 0)[1]:
                    with contextlib.suppress(OSError):  # the reader of this stream is gone
                        if os.write(descriptor, self._mark) == len(self._mark):
                            self._sent[name] += 1
                            return self._sent[name]
                    return 0
            if time.monotonic() >= until_s:
                return 0
            time.sleep(_LOOK_S)

    def _read(self) -> None:
        decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in self.saved}
        with open(self._copies, "rb") as copies:
            while len(head := copies.read(forwarder.HEADER.size)) == forwarder.HEADER.size:
                number, is_mark, size = forwarder.HEADER.unpack(head)
                name = _NAMES[number]
                text = decoders[name].decode(copies.read(size))
                for take in list(self.takers) if text else ():
                    take(name, text)
                if is_mark:
                    with self._passing:
                        self._passed[name] += 1
                        self._passing.notify_all()
        self._forwarder_ended()

    def _forwarder_ended(self) -> None:
        """Wake who waits. If somebody killed the forwarder, print past it from now on."""
        self._process.wait()
        with self._passing:
            self._ended = True
            self._passing.notify_all()
        _end(self)


def _channel(target: int, opened: contextlib.ExitStack) -> tuple[int, int]:
    """Return the end to read and the end to print into of what stands for `target`."""
    if not os.isatty(target):
        source, sink = os.pipe()
        return _above(source, opened), _above(sink, opened)
    source, sink = os.openpty()
    attributes = termios.tcgetattr(sink)
    attributes[1] &= ~termios.OPOST  # the real terminal does it
    termios.tcsetattr(sink, termios.TCSANOW, attributes)
    with contextlib.suppress(OSError):  # the forwarder follows when it changes
        fcntl.ioctl(sink, termios.TIOCSWINSZ, fcntl.ioctl(target, termios.TIOCGWINSZ, bytes(8)))
    return _above(source, opened), _above(sink, opened)


def _above(descriptor: int, opened: contextlib.ExitStack) -> int:
    """Move a descriptor up, and close it again with `opened`."""
    try:
        moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST)
    finally:
        os.close(descriptor)
    opened.callback(os.close, moved)
    return moved


def _flush() -> None:
    """Have Python's streams and those of C write what they hold."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    with contextlib.suppress(ImportError, OSError, AttributeError):  # a Python that was built without it
        import ctypes

        library = ctypes.CDLL(None)
        for name in _C_STDOUT:
            # Not all streams: whoever waits for input of one keeps it locked, and stderr holds nothing.
            with contextlib.suppress(ValueError):
                library.fflush(ctypes.c_void_p.in_dll(library, name))
