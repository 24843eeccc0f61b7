"""Starting a sender beside the training process: what `init` calls, and whoever finds that none lives."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

from runstream.interpreter import interpreter
from runstream.private import open_own
from runstream.sender.lock import sender_lives

#: Senders that this process started and that have not been seen to end (spool, process, when): looked at, so that none
#: stays a zombie and none is started while one is about to take the lock.
_started: Final[list[tuple[str, "subprocess.Popen[bytes]", float]]] = []
#: A busy machine imports the sender's modules within this.
_STARTING_S: Final = 5.0
_guard = threading.Lock()
#: With -I the interpreter imports nothing that lies in the working directory or stands in PYTHONPATH, so that no
#: `logging.py` of the trainer's takes the place of one of the standard library. Where the trainer finds what that lacks
#: comes behind it.
SENDER_PROGRAM: Final = (
    "import os, sys; sys.path += sys.argv.pop(1).split(os.pathsep); "
    "from runstream.sender.__main__ import main; sys.exit(main())"
)
#: Folders of installed packages.
_PACKAGES: Final = ("site-packages", "dist-packages")


def _forget_in_child() -> None:
    """A forked child has no senders of its own, and another thread of its parent may have held the guard."""
    global _guard
    _guard = threading.Lock()
    for _, process, _ in _started:
        process.returncode = 0  # or it would be waited for, and warned about, here
    _started.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def sender_command(spool_dir: str) -> list[str]:
    """Return the command that starts a sender with the interpreter and the packages of this process. Raises
    NotAnInterpreter."""
    executable = interpreter()
    # Packages before what the program brings itself: its modules may have the names of packages that the sender needs.
    own = str(Path(__file__).absolute().parents[2])
    paths = [_absolute(path) for path in sys.path]
    paths.sort(key=lambda path: path != own and os.path.basename(path) not in _PACKAGES)
    return [executable, "-I", "-c", SENDER_PROGRAM, os.pathsep.join(paths), "--dir", spool_dir]


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError:  # somebody removed the working directory
        return path or "/"


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
        path, now_s = _absolute(str(spool_dir)), time.monotonic()
        starting = any(own == path and now_s - at_s < _STARTING_S for own, _, at_s in _started)
        if starting or sender_lives(spool_dir):
            return
        command = sender_command(path)
        descriptor = open_own(spool_dir / "sender.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with contextlib.closing(os.fdopen(descriptor, "wb")) as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd="/",
                start_new_session=True,
            )
            _started.append((path, process, now_s))
