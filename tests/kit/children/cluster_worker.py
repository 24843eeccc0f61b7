"""`runstream worker` that ends itself, by SIGKILL, when it comes to a step of its loop.

Arguments: LOG; the environment is that of a worker. A line of its input is "VISIT STEP"; the response is the pid of a
new worker, forked from this process (which has imported everything, where a new interpreter takes seconds), that dies
at that visit of the step and says so in LOG. Workers of several partitions share the count.

Each worker is the only member of a group of its own, so it folds every partition as soon as it has started: nobody has
to wait until a group knows that a member has died.
"""

import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from runstream_infra.cluster.roles import run_role
from runstream_infra.cluster.settings import RoleSettings


class Killer:
    """Ends this process at a visit of a step, with no chance to tidy up."""

    def __init__(self, step: str, visit: int) -> None:
        self._step = step
        self._left = visit

    def __call__(self, step: str) -> None:
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                print(f"{os.getpid()} DIED {step}", flush=True)
                os.kill(os.getpid(), signal.SIGKILL)


def work(log: Path, step: str, visit: int) -> int:
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for standard in (1, 2):
        os.dup2(output, standard)
    os.environ["RUNSTREAM_WORKER_GROUP"] = f"dying-{os.getpid()}"
    os.environ["RUNSTREAM_WORKER_SESSION_S"] = "30"
    settings = RoleSettings.from_environment()
    return run_role("worker", settings, lambda url: print(url, flush=True), on_step=Killer(step, visit))


def main() -> None:
    import_module("runstream_infra.cluster.worker")  # once, before the forks
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: a dead worker is gone at once
    for line in sys.stdin:
        visit, step = line.strip().split(" ", 1)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os._exit(work(Path(sys.argv[1]), step, int(visit)))
        print(pid, flush=True)


if __name__ == "__main__":
    main()
