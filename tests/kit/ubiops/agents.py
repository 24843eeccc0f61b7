"""Agents that execute the runs of UbiOps' client in tests."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from kit.children.forked import ForkedChild
from kit.foreign import own
from kit.ubiops.server import Server
from runstream.agent.execution import MARK
from runstream.agent.folder import folders_in
from runstream.agent.processes import kill_marked

PROGRAM: Final = Path(__file__).with_name("trainings.py")


def told(server: Server, doing: str, **given: Any) -> Any:
    """What the client's own program says, which does something (kit.ubiops.trainings)."""
    command = [str(server.python), str(PROGRAM), server.url, server.key, doing]
    done = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, env=own(), timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def start_agent(server: Server, project: str, directory: Path, *options: str) -> ForkedChild:
    """Start an agent with a directory; its log stands beside it."""
    arguments = ("agent", "--project", project, "--url", server.url, "--dir", str(directory), "--poll-s", "0.2")
    environment = own() | {"RUNSTREAM_API_KEY": server.key}
    return ForkedChild(
        "runstream_infra.cli", *arguments, *options, environment=environment, errors=directory.with_suffix(".log")
    )


@contextlib.contextmanager
def running_agent(server: Server, project: str, directory: Path, *options: str) -> Iterator[ForkedChild]:
    """Give an agent that ends with the block, with all that it began."""
    agent = start_agent(server, project, directory, *options)
    try:
        yield agent
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(60)
        agent.stdout.close()
        end_all(directory)


def end_all(directory: Path) -> None:
    """Kill the supervisors of an agent's runs, and their processes."""
    for folder in folders_in(directory / "runs"):
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError, ValueError):
                if str(folder.path).encode() in process.read_bytes() and process.parent.name != str(os.getpid()):
                    os.kill(int(process.parent.name), signal.SIGKILL)
        kill_marked(f"{MARK}={folder.path}".encode())
