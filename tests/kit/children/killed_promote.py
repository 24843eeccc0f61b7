"""Moves a data directory into a cluster in small pieces, and kills itself a while after the n-th stage of it.

Arguments: DIRECTORY N AFTER_S PARTITIONS. The environment is that of a process of the cluster. Prints whether the
tables are equal, if it comes to its end.
"""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from runstream_infra import promoting
from runstream_infra.cluster.settings import RoleSettings


class Killer:
    """Ends this process a while after a stage, with no chance to tidy up; at once where the while is nothing."""

    def __init__(self, at: int, after_s: float) -> None:
        self._left = at
        self._after_s = after_s

    def __call__(self, stage: promoting.Stage) -> None:
        self._left -= 1
        if self._left == 0 and not self._after_s:
            _die()
        elif self._left == 0:
            threading.Timer(self._after_s, _die).start()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(directory: Path, killer: Killer, partitions: int) -> None:
    settings = RoleSettings.from_environment()
    moved = await promoting.promote(
        directory, settings, partitions=partitions, fold=True, chunk_bytes=2_000, on_stage=killer
    )
    print(moved.equal, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Killer(int(sys.argv[2]), float(sys.argv[3])), int(sys.argv[4])))
