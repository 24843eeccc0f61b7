"""The process that runs the code of a run: started, listened to, bounded, and ended with all that came of it."""

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from runstream.agent.limits import RunLimits
from runstream.agent.processes import below, kill_marked, kill_tree, takes_more
from runstream.interpreter import interpreter

#: In the environment of all that comes of a run: its folder. What nobody else catches is found by it.
MARK: Final = "RUNSTREAM_AGENT_RUN"
Stream = Literal["stdout", "stderr"]
Why = Literal["ended", "timeout", "cancelled", "memory", "processes", "lost"]
#: How often limits are looked at.
_TICK_S: Final = 0.1
#: How long the guardian may take to kill all; then it is killed, too.
_STOP_S: Final = 15.0
#: Behind the end of all processes nothing holds the pipes open; what is in them is read in no time.
_DRAIN_S: Final = 5.0
_PIECE_BYTES: Final = 1 << 16
#: What is read in a second, at most: the capture holds no more, so that a flood waits in its own pipe.
_CHARS_PER_S: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Ended:
    """Why the process is over, and its exit code (negative: a signal) where it ended by itself."""

    why: Why
    code: int | None = None


class Output:
    """Hands on what a process prints, as far as it may. `write` gets text."""

    def __init__(self, write: Callable[[Stream, str], None], max_chars: int) -> None:
        self._write = write
        self._left = max_chars
        self._decoders = {name: codecs.getincrementaldecoder("utf-8")("replace") for name in ("stdout", "stderr")}
        self._window_s = 0.0
        self._in_window = 0

    def feed(self, name: Stream, data: bytes, *, last: bool = False) -> None:
        """Take a piece of a stream; `last`: nothing follows."""
        text = self._decoders[name].decode(data, last)
        if not text or self._left <= 0:
            return
        shown = text[: self._left]
        self._left -= len(shown)
        self._in_window += len(shown)
        self._write(name, shown)
        if self._left <= 0:
            self._write("stderr", "\n[the output is longer than an agent keeps: the rest is left out]\n")

    def pause_s(self, now_s: float) -> float:
        """Return how long to read nothing more."""
        if now_s - self._window_s >= 1.0:
            self._window_s, self._in_window = now_s, 0
        return 0.0 if self._in_window < _CHARS_PER_S else self._window_s + 1.0 - now_s


class Execution:
    """One process. For one thread."""

    def __init__(self, folder: Path, environ: Mapping[str, str], limits: RunLimits, output: Output) -> None:
        self._environ = {**environ, MARK: str(folder)}
        self._marker = f"{MARK}={folder}".encode()
        self._limits = limits
        self._output = output
        self._report = b""

    def run(self, command: Sequence[str], folder: Path, timeout_s: float, is_cancelled: Callable[[], bool]) -> Ended:
        """Start the command and wait for its end. Nothing that came of it runs any more when this returns. Raises
        OSError where it cannot be started."""
        reading, writing = os.pipe()
        try:
            guardian = subprocess.Popen(
                [interpreter(), "-I", "-m", "runstream.agent.guardian", str(writing), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=self._environ,
                pass_fds=(writing,),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            why = self._listen(guardian, reading, time.monotonic() + timeout_s, is_cancelled)
        finally:
            self._stop(guardian)
            os.close(reading)
        if why is not None:
            return Ended(why)
        word, _, number = self._report.decode("ascii", "replace").strip().partition(" ")
        if word != "exit":
            return Ended("lost")
        with contextlib.suppress(ValueError):
            return Ended("ended", int(number))
        return Ended("lost")

    def _listen(
        self, guardian: "subprocess.Popen[bytes]", reading: int, until_s: float, is_cancelled: Callable[[], bool]
    ) -> Why | None:
        """Hand on output until all pipes are closed, or a limit is met."""
        assert guardian.stdout is not None
        assert guardian.stderr is not None
        drained_s, next_look_s = None, 0.0
        with selectors.DefaultSelector() as selector:
            selector.register(guardian.stdout, selectors.EVENT_READ, "stdout")
            selector.register(guardian.stderr, selectors.EVENT_READ, "stderr")
            selector.register(reading, selectors.EVENT_READ, "report")
            while selector.get_map():
                now_s = time.monotonic()
                if now_s >= next_look_s:
                    next_look_s = now_s + _TICK_S
                    why = self._met(guardian.pid, now_s >= until_s, is_cancelled())
                    if why is not None and drained_s is None:
                        return why
                if (pause_s := self._output.pause_s(now_s)) > 0:
                    time.sleep(min(pause_s, _TICK_S))
                    continue
                for key, _ in selector.select(_TICK_S):
                    self._read(selector, key)
                if self._report.endswith(b"\n") and drained_s is None:
                    drained_s = now_s + _DRAIN_S
                if drained_s is not None and now_s >= drained_s:
                    return None
        return None

    def _read(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        data = os.read(key.fd, _PIECE_BYTES)
        if not data:
            selector.unregister(key.fileobj)
        if key.data == "report":
            self._report = (self._report + data)[:100]
        else:
            self._output.feed(key.data, data, last=not data)

    def _met(self, guardian: int, is_over: bool, is_cancelled: bool) -> Why | None:
        if is_cancelled:
            return "cancelled"
        if is_over:
            return "timeout"
        pids = below(guardian)
        if len(pids) > self._limits.processes:
            return "processes"
        return "memory" if takes_more(pids, self._limits.memory_mb << 20) else None

    def _stop(self, guardian: "subprocess.Popen[bytes]") -> None:
        """End the guardian, which ends all others; what it does not get is found by its mark."""
        assert guardian.stdin is not None
        with contextlib.suppress(OSError):
            guardian.stdin.close()
        try:
            guardian.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.kill(guardian.pid, signal.SIGCONT)
            kill_tree(guardian.pid)
            guardian.wait()
        kill_marked(self._marker)
        for pipe in (guardian.stdout, guardian.stderr):
            if pipe is not None:
                pipe.close()
