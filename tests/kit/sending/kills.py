"""Trainers and senders on one spool, to be killed at any moment."""

import os
import signal
import subprocess
from pathlib import Path

from kit import children
from kit.waiting import wait_until
from runstream.sender.lock import sender_lives
from runstream.sender.start import ensure_sender

#: Three trainers at a time, so that a kill of the sender always meets several writers.
LIVING = 3


class Trainers:
    """Starts and kills trainers on one spool."""

    def __init__(self, spool: Path, url: str, progress: Path) -> None:
        self.spool = spool
        self.progress = progress
        self.count = 0
        self.living: dict[int, int] = {}
        self._process = subprocess.Popen(
            children.command("children.killed_trainers", spool, url, progress),
            env=children.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(progress / "stderr").open("wb"),
            text=True,
        )

    def start(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(self.count, file=self._process.stdin, flush=True)
        self.living[self.count] = int(self._process.stdout.readline())
        self.count += 1

    def refill(self) -> None:
        """As many as there should be, in place of those that finished."""
        for trainer, pid in list(self.living.items()):
            if not Path(f"/proc/{pid}").exists():
                del self.living[trainer]
        while len(self.living) < LIVING:
            self.start()

    def kill(self, trainer: int) -> bool:
        """False if it had ended by itself."""
        try:
            os.kill(self.living.pop(trainer), signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def close(self) -> None:
        for trainer in list(self.living):
            self.kill(trainer)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(120)


def await_sender(spool: Path) -> None:
    """The trainers would start one within some seconds; here it is asked for at once."""

    def lives() -> bool:
        if sender_lives(spool):
            return True
        ensure_sender(spool)
        return False

    wait_until(lives)


def kill_sender(spool: Path) -> bool:
    """SIGKILL the living sender of this spool; False if there is none."""
    if not (spool / "sender.lock").exists() or not sender_lives(spool):
        return False
    try:
        pid = int((spool / "sender.lock").read_text())
        os.kill(pid, signal.SIGKILL)
    except (ValueError, ProcessLookupError):
        return False  # it is just starting, or just gone
    wait_until(lambda: is_gone(pid))
    return True


def is_gone(pid: int) -> bool:
    """Whether a process has ended; its parent may not have buried it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True
