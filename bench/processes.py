"""Processes that a benchmark starts, talks to by lines, measures and ends. POSIX only."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import psutil

from runstream.sender.start import SENDER_PROGRAM
from runstream.sender.status import read_status

ROOT: Final = Path(__file__).resolve().parent.parent
#: A cold start of the engine loads 500 MB from the disk.
_RESPONSE_TIMEOUT_S: Final = 120.0


class Failed(Exception):
    """A benchmark cannot go on; the message says which process failed, and how."""


class Child:
    """A process that answers each line it is sent, and its own start, by one JSON document."""

    def __init__(self, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env={**os.environ, **(env or {})},
            )

    @classmethod
    def python(cls, module: str, *arguments: str, log: Path) -> Self:
        """`python -m bench.MODULE ARGUMENTS` with this interpreter."""
        return cls([sys.executable, "-m", f"bench.{module}", *arguments], log=log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def response(self) -> dict[str, Any]:
        """The next document it says, on one line or several. Raises Failed if it ends instead."""
        assert self._process.stdout is not None
        text = ""
        while True:
            line = self._process.stdout.readline()
            if not line:
                tail = self._log.read_text(errors="replace")[-2000:]
                raise Failed(f"{' '.join(self._command[-4:])} ended with {self._process.wait()}: {text}{tail}")
            text += line
            with contextlib.suppress(ValueError):
                found: dict[str, Any] = json.loads(text)
                return found

    def send(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def end(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 60.0) -> int:
        """Send the signal and wait; kill it if that takes too long. Returns the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


@contextlib.contextmanager
def child(*arguments: str, module: str, log: Path) -> Iterator[Child]:
    """A child of `python -m bench.MODULE` that is ended with the block."""
    process = Child.python(module, *arguments, log=log)
    try:
        yield process
    finally:
        process.end()


def one_response(*arguments: str, module: str, log: Path) -> dict[str, Any]:
    """Run `python -m bench.MODULE ARGUMENTS` to its one line of JSON."""
    with child(*arguments, module=module, log=log) as process:
        return process.response()


@contextlib.contextmanager
def server(data_dir: Path, log: Path) -> Iterator[tuple[str, Child]]:
    """`runstream up` on a free port while the block runs: its address and process."""
    command = [sys.executable, "-m", "runstream_infra.cli", "up", "--port", "0", "--json", "--data-dir", str(data_dir)]
    process = Child(command, log=log)
    try:
        yield str(process.response()["url"]), process
    finally:
        process.end()


def cpu_s(pid: int) -> float:
    """User and system time of a process so far; 0 if it is gone."""
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def sender_pid(spool: Path) -> int | None:
    """The living sender of a spool."""
    status = read_status(spool)
    return status.pid if status is not None and psutil.pid_exists(status.pid) else None


def end_sender(spool: Path) -> None:
    """End the sender that a benchmark's runs started."""
    pid = sender_pid(spool)
    if pid is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if SENDER_PROGRAM in process.cmdline():
            process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(15.0)


def wait_until(done: Callable[[], bool], what: str, every_s: float = 0.02, timeout_s: float = 600.0) -> None:
    """Look until `done` says so. Raises Failed."""
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(every_s)
