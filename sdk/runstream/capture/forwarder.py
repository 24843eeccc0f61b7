"""A program beside one whose output is redirected: it passes on what is printed, and hands over a copy of it.

It is a process of its own, so that output reaches its place whatever the other does: while it computes and lets no
other thread run, when it is killed, and as long as a child of it still prints. It imports the standard library alone.
"""

import contextlib
import errno
import fcntl
import os
import select
import signal
import struct
import sys
import termios
from collections import deque
from typing import Final

#: Before each piece of a copy: the number of its stream, whether it is the mark instead of output, its length.
HEADER: Final = struct.Struct(">B?I")
_READ_BYTES: Final = 1 << 16
#: Of copies that nobody took yet: some seconds of what a loop can print. Beyond it copies are left out, never output.
_MAX_WAITING_BYTES: Final = 4_000_000
#: What a terminal sends, and a batch system to every process of a job: the program answers them, and prints meanwhile.
_IGNORED: Final = (
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGTSTP,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
#: How long the last copies may take to be taken.
_LAST_MS: Final = 2_000


class _Copies:
    """A pipe to the other process that is never waited for."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.waiting = bytearray()
        self._left_out_bytes = 0
        self._closed = False

    def put(self, stream: int, data: bytes, *, is_mark: bool = False) -> None:
        if self._closed or not (data or is_mark):
            return
        if len(self.waiting) + len(data) > _MAX_WAITING_BYTES and not is_mark:
            self._left_out_bytes += len(data)
            return
        if self._left_out_bytes:
            note = b"\n[runstream left out %d bytes: too much at once]\n" % self._left_out_bytes
            self._left_out_bytes = 0
            self.put(stream, note)
        self.waiting += HEADER.pack(stream, is_mark, len(data)) + data
        self.write()

    def write(self) -> None:
        try:
            while self.waiting:
                del self.waiting[: os.write(self.descriptor, self.waiting)]
        except BlockingIOError:
            return
        except OSError:  # nobody takes them any more
            self._closed = True
            self.waiting.clear()


class _Stream:
    """One stream: where it is read, and where its output belongs. It is written as far as its place takes it now, so
    that one whose reader is slow, or whose terminal is stopped, holds up no other."""

    def __init__(self, number: int, source: int, target: int, mark: bytes) -> None:
        self.number = number
        self.source = source
        self.target = target
        self._mark = mark
        self._held = b""
        #: What is not written yet, None for the mark. Nothing more is read meanwhile.
        self._left: deque[memoryview | None] = deque()
        self._is_read = False
        self._is_gone = False
        self._size: bytes | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether something has to be written before more is read."""
        return bool(self._left)

    @property
    def is_over(self) -> bool:
        """Whether it was written to its end, or its reader is gone, which its writer has to notice."""
        return self._is_gone or (self._is_read and not self._left)

    def go_on(self, copies: _Copies) -> None:
        """Write what is left, or read on, as is possible now."""
        if self._left:
            self._write(copies)
        else:
            self._read(copies)

    def follow_size(self) -> None:
        """Give the redirected terminal the size of the real one."""
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(self.target, termios.TIOCGWINSZ, bytes(8))
            if size != self._size:
                fcntl.ioctl(self.source, termios.TIOCSWINSZ, size)
                self._size = size

    def _read(self, copies: _Copies) -> None:
        try:
            data = os.read(self.source, _READ_BYTES)
        except OSError:  # EIO: a terminal that nobody has open any more
            data = b""
        self._is_read = not data
        output, *more = (self._held + data).split(self._mark)
        for piece in more:
            self._hand_on(output, copies)
            self._left.append(None)
            output = piece
        held = _beginning_of(self._mark, output) if data else 0
        self._held = output[len(output) - held :]
        self._hand_on(output[: len(output) - held], copies)
        self._write(copies)

    def _hand_on(self, output: bytes, copies: _Copies) -> None:
        copies.put(self.number, output)
        if output:
            self._left.append(memoryview(output))

    def _write(self, copies: _Copies) -> None:
        while self._left and not self._is_gone:
            piece = self._left[0]
            if piece is None:
                copies.put(self.number, b"", is_mark=True)
                self._left.popleft()
            elif not self._write_some(piece):
                return
        if self._is_gone and None in self._left:  # who waits for the mark waits no longer
            copies.put(self.number, b"", is_mark=True)

    def _write_some(self, piece: memoryview) -> bool:
        """Write the next piece of the output to its place, at most what a pipe that has room takes without waiting;
        False if it takes nothing now."""
        room = select.poll()  # not `select`, which takes no descriptor above 1,023
        room.register(self.target, select.POLLOUT)
        if not room.poll(0):
            return False
        try:
            rest = piece[os.write(self.target, piece[: select.PIPE_BUF]) :]
        except BlockingIOError:
            return False
        except OSError as error:
            self._is_gone = error.errno == errno.EPIPE
            rest = memoryview(b"")  # it cannot be written now, as where a disk is full: later there may be room
        if rest:
            self._left[0] = rest
        elif not self._is_gone:
            self._left.popleft()
        return True


def _beginning_of(mark: bytes, output: bytes) -> int:
    """Return how many bytes at the end of the output may be the beginning of the mark."""
    for size in range(min(len(mark) - 1, len(output)), 0, -1):
        if output.endswith(mark[:size]):
            return size
    return 0


def main(arguments: list[str]) -> int:
    """Serve until no process has a stream open. Arguments: the mark in hex, the descriptor for copies, and of each
    stream NUMBER:SOURCE:TARGET, of which the last two are descriptors."""
    for ignored in _IGNORED:
        signal.signal(ignored, signal.SIG_IGN)
    mark, copies = bytes.fromhex(arguments[0]), _Copies(int(arguments[1]))
    streams = {}
    for argument in arguments[2:]:
        number, source, target = map(int, argument.split(":"))
        streams[source] = _Stream(number, source, target, mark)
    terminals = {source for source in streams if os.isatty(source)}
    while streams:
        poll, waiting_for = select.poll(), {}
        for source, stream in streams.items():
            waiting_for[stream.target if stream.is_waiting else source] = stream
            if source in terminals:
                stream.follow_size()
        for descriptor, stream in waiting_for.items():
            poll.register(descriptor, select.POLLOUT if stream.is_waiting else select.POLLIN)
        if copies.waiting:
            poll.register(copies.descriptor, select.POLLOUT)
        for descriptor, _ in poll.poll():
            if descriptor == copies.descriptor:
                copies.write()
                continue
            stream = waiting_for[descriptor]
            stream.go_on(copies)
            if stream.is_over:
                os.close(stream.source)
                del streams[stream.source]
    _hand_over_rest(copies)
    return 0


def _hand_over_rest(copies: _Copies) -> None:
    poll = select.poll()
    poll.register(copies.descriptor, select.POLLOUT)
    while copies.waiting and poll.poll(_LAST_MS):
        copies.write()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
