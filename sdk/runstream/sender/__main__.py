"""`python -m runstream.sender --dir D`: the sender's process."""

import argparse
import logging
import logging.handlers
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Final

from runstream.private import make_root, open_own
from runstream.sender.lock import SpoolLock
from runstream.sender.process import CHANNELS, IDLE_EXIT_S, Sender

#: Three of them: what a sender says in months of trouble, as each trouble is said once.
_LOG_BYTES: Final = 1_000_000
_LOGS_KEPT: Final = 2


def main(arguments: list[str] | None = None) -> int:
    """Run until nobody needs this sender (0) or SIGTERM or SIGINT comes (0). 0 at once if another one lives, 1 if the
    directory cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m runstream.sender", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="the spool directory")
    parser.add_argument("--idle-exit-s", type=float, default=IDLE_EXIT_S, help="leave when not needed for so long")
    parser.add_argument("--channels", type=int, default=CHANNELS, help="requests under way to one gateway at once")
    options = parser.parse_args(arguments)
    spool_dir: Path = options.dir
    os.umask(0o077)
    try:
        make_root(spool_dir)
        lock = SpoolLock(spool_dir)
        if not lock.take():
            return 0
        _log_to(spool_dir / "sender.log")
    except OSError as error:
        print(f"runstream: the spool {spool_dir} cannot be used: {error}", file=sys.stderr)
        return 1
    sender = Sender(spool_dir, channels=max(options.channels, 1))

    def stop(_number: int, _frame: FrameType | None) -> None:
        sender.request_stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sender.run(lock, options.idle_exit_s)
    return 0


def _log_to(path: Path) -> None:
    os.close(open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))  # or the handler would wait for a named pipe
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=_LOGS_KEPT, delay=True)
    form = logging.Formatter("%(asctime)s.%(msecs)03dZ %(process)d %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    handler.setFormatter(form)
    logger = logging.getLogger("runstream")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
