"""Starting a sender beside the training process: what `init` calls, and whoever finds that none lives."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from runstream.private import open_own
from runstream.sender.lock import sender_lives

#: Senders that this process started and that have not been seen to end (spool, process, when): looked at, so that none
#: stays a zombie and none is started while one is about to take the lock.
_started: Final[list[tuple[str, "subprocess.Popen[bytes]", float]]] = []
#: A busy machine imports the sender's modules within this.
_STARTING_S: Final = 5.0
_guard = threading.Lock()


def _forget_in_child() -> None:
    """A forked child has no senders of its own, and another thread of its parent may have held the guard."""
    global _guard
    _guard = threading.Lock()
    for _, process, _ in _started:
        process.returncode = 0  # or it would be waited for, and warned about, here
    _started.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def ensure_sender(spool_dir: Path) -> None:
    """Start a detached sender of `spool_dir` if none lives. Cheap (one flock) when one does.

    Call it after the writer's folder and its writer.json are there: a sender that is about to leave looks once more
    after it gave the lock back, so it is either found here or finds that folder. The sender gets a session of its own
    (it outlives the trainer and its terminal), no open files of the trainer and the same interpreter and modules. May
    be called from any thread and again at any time. Raises OSError if the directory cannot be used or no process can be
    started.
    """
    with _guard:
        _started[:] = [entry for entry in _started if entry[1].poll() is None]
        path, now_s = os.path.abspath(spool_dir), time.monotonic()
        starting = any(own == path and now_s - at_s < _STARTING_S for own, _, at_s in _started)
        if starting or sender_lives(spool_dir):
            return
        paths = os.pathsep.join(os.path.abspath(path or ".") for path in sys.path)
        descriptor = open_own(spool_dir / "sender.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with contextlib.closing(os.fdopen(descriptor, "wb")) as errors:
            process = subprocess.Popen(
                # -P: what lies in the working directory is not imported instead of what is installed.
                [sys.executable, "-P", "-m", "runstream.sender", "--dir", path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": paths},
                cwd="/",
                start_new_session=True,
            )
            _started.append((path, process, now_s))
