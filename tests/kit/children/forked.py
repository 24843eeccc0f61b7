"""Children that are forked from a process which has imported what they need: a new interpreter takes a second of CPU
time for that, and a test that kills thirty of them half a minute."""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Final

#: All that a server needs but for the engine, whose threads no fork would take along.
_PRELOADED: Final = [
    "clickhouse_connect",
    "prometheus_client",
    "psutil",
    "runstream_infra.cli",
    "runstream_infra.cluster.gateway",
    "runstream_infra.cluster.local",
    "runstream_infra.cluster.query_server",
    "runstream_infra.cluster.worker",
    "runstream_infra.settings",
    "runstream_ingest.gateway",
    "runstream_ingest.log.embedded",
    "runstream_processors.generations",
    "runstream_processors.worker.loop",
    "runstream_protocols.all",
    "runstream_query.http.routes",
]
_CONTEXT: Final = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(_PRELOADED)


class ForkedChild:
    """A module that runs as `python -m` would run it, in a session of its own: what `subprocess.Popen` is for a new
    interpreter."""

    def __init__(
        self, module: str, *arguments: object, environment: Mapping[str, str], errors: Path, folder: Path | None = None
    ) -> None:
        """errors: the file to append its standard error to. folder: the one to work in, if it is another one."""
        reader, writer = _CONTEXT.Pipe(duplex=False)
        command = [module, *map(str, arguments)]
        self._process = _CONTEXT.Process(target=_run, args=(command, dict(environment), folder, writer, str(errors)))
        self._process.start()
        writer.close()
        #: Its standard output.
        self.stdout: IO[str] = os.fdopen(os.dup(reader.fileno()))
        reader.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; None while it lives."""
        return self._process.exitcode

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for its end and return its exit code. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout_s)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout_s or 0.0)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing where it has ended."""
        if self._process.exitcode is None:
            os.kill(self.pid, number)


def run_forked(
    module: str,
    *arguments: object,
    environment: Mapping[str, str] = os.environ,
    folder: Path | None = None,
    timeout_s: float = 120.0,
) -> "subprocess.CompletedProcess[str]":
    """Run a module to its end, which is a SIGKILL after `timeout_s`: what `subprocess.run` is for a new interpreter."""
    with tempfile.NamedTemporaryFile("r") as errors:
        child = ForkedChild(module, *arguments, environment=environment, errors=Path(errors.name), folder=folder)
        deadline = threading.Timer(timeout_s, child.send_signal, (signal.SIGKILL,))
        deadline.start()
        with child.stdout:
            printed = child.stdout.read()
        code = child.wait(timeout_s)
        deadline.cancel()
        return subprocess.CompletedProcess([module, *map(str, arguments)], code, printed, errors.read())


def _run(command: list[str], environment: dict[str, str], folder: Path | None, output: Connection, errors: str) -> None:
    """Become the child: its session, environment, folder, streams and arguments."""
    os.setsid()
    if folder is not None:
        os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    log = os.open(errors, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output.fileno(), 1)
    os.dup2(log, 2)
    output.close()
    os.close(log)
    sys.argv = command
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)
