"""An agent, or a supervisor of one, that dies at a step which a file names: `DIRECTORY/kill-at` holds STEP WHAT.

`python -m kit.children.killed_agent URL PROJECT DIRECTORY` is the agent. `killed_agent.py FOLDER` is the supervisor of
a folder of it. Whoever comes to STEP first takes the file away and kills: itself (`self`), also the agent (`both`), or
all that the agent began, the code too (`all`), as the end of a machine does. In the middle of the code it kills a while
behind the step `executing`, behind which the code is started.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from runstream.agent.agent import Agent, AgentSettings
from runstream.agent.execution import MARK
from runstream.agent.processes import kill_marked
from runstream.agent.supervisor import supervise

KILL_AT = "kill-at"
PID = "agent.pid"
#: The code of the test takes a second and more.
_WHILE_S = 0.5


def killer(directory: Path) -> Callable[[str], None]:
    """What is called behind each step."""

    def at(step: str) -> None:
        path = directory / KILL_AT
        try:
            wanted, what = path.read_text().rsplit(" ", 1)
        except (OSError, ValueError):
            return
        if wanted != step:
            return
        path.unlink()
        if step == "executing":
            threading.Timer(_WHILE_S, _kill_all, (directory, what)).start()
        else:
            _kill_all(directory, what)

    return at


def _kill_all(directory: Path, what: str) -> None:
    if what in ("both", "all"):
        _kill(int((directory / PID).read_text()))
    if what == "all":
        for folder in (directory / "runs").iterdir():
            kill_marked(f"{MARK}={folder}".encode())
    os.kill(os.getpid(), signal.SIGKILL)


def _kill(pid: int) -> None:
    if pid != os.getpid():
        os.kill(pid, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    if len(arguments) == 1:
        folder = Path(arguments[0])
        return supervise(folder, killer(folder.parents[1]))
    url, project, name = arguments
    directory = Path(name)
    directory.mkdir(exist_ok=True)
    (directory / PID).write_text(str(os.getpid()))
    settings = AgentSettings(url, "default", project, directory, slots=2, poll_s=0.1, ttl_s=2)
    Agent(settings, supervisor=(__file__,), on_step=killer(directory)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
