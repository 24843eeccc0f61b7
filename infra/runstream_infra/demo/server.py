"""The demo's server: one that already runs on the demo's data, or a new one on a free port."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runstream.connections import FAILURES, fetch

#: A cold start loads the engine's 500 MB from disk.
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0


class ServerFailed(Exception):
    """The demo's server did not come up; the message says where its log is."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where it answers. `owned`: this demo started it and will end it."""

    url: str
    pid: int
    owned: bool


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server on `folder`/data while the block runs. One that an earlier demo left running there is used and left
    running. Raises ServerFailed."""
    running = _running(folder / "server.json")
    if running is not None:
        yield running
        return
    process, server = _start(folder)
    try:
        yield server
    finally:
        (folder / "server.json").unlink(missing_ok=True)
        stop(process)


def stop(process: "subprocess.Popen[str]") -> int:
    """Let it finish what it accepted, and wait for its end. Returns its exit code."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _start(folder: Path) -> tuple["subprocess.Popen[str]", Server]:
    log = folder / "server.log"
    command = [sys.executable, "-m", "runstream_infra.cli", "up", "--port", "0", "--json"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RUNSTREAM_API_KEY")}
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data")],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            text=True,
            env=environment,
            # Ctrl-C in the terminal reaches the whole group; the demo ends its server itself, after its trainers.
            start_new_session=True,
        )
    try:
        ready = _read_ready(process)
    except BaseException:
        stop(process)
        raise
    if ready is None:
        stop(process)
        raise ServerFailed(f"the server ended with {process.returncode} before it was ready: its log is {log}")
    server = Server(str(ready["url"]), process.pid, owned=True)
    (folder / "server.json").write_text(json.dumps({"url": server.url, "pid": server.pid}))
    return process, server


def _read_ready(process: "subprocess.Popen[str]") -> dict[str, object] | None:
    """The JSON document that `runstream up --json` prints when it is ready; None if the process ends without one."""
    assert process.stdout is not None
    late = threading.Timer(START_TIMEOUT_S, process.kill)
    late.start()
    try:
        text = ""
        for line in process.stdout:
            text += line
            with contextlib.suppress(ValueError):
                ready: dict[str, object] = json.loads(text)
                return ready
        return None
    finally:
        late.cancel()


def _running(path: Path) -> Server | None:
    try:
        known = json.loads(path.read_text())
        url, pid = str(known["url"]), int(known["pid"])
        response, _ = fetch(url, "/readyz", {}, 2.0, 100_000)
        return Server(url, pid, owned=False) if response.status == 200 else None
    except (*FAILURES, ValueError, KeyError, TypeError):
        return None
