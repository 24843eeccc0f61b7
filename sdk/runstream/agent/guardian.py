"""The process between the supervisor of a run and the process that runs its code: `guardian REPORT_FD COMMAND...`.

It starts COMMAND, whose output is its own. When that has ended, or the supervisor closes stdin or dies, it kills every
process that came of it, those that left its group as well (Linux). It writes `exit N` (negative: a signal) or
`stopped` to the descriptor REPORT_FD.
"""

import contextlib
import math
import os
import subprocess
import sys

from runstream.panels.supervisor import adopt_orphans, kill_all, wait


def main(report: int, command: list[str]) -> int:
    """Run the command to its end. Returns the exit code of this process."""
    os.set_inheritable(report, False)
    adopt_orphans()
    code: int | None = None
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        code = wait(process.pid, math.inf)
    finally:
        kill_all(process.pid)
    with contextlib.suppress(OSError):  # the supervisor is gone
        os.write(report, b"stopped\n" if code is None else b"exit %d\n" % code)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
