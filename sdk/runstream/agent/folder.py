"""The folder of one run: what is known of it, whoever was killed when. Files appear whole or not at all."""

import fcntl
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from runstream.agent.leases import EndStatus, Granted
from runstream.private import is_held, open_own, read_own

_LEASE: Final = "lease.json"
_TRIES: Final = "tries"
_STARTING: Final = "starting"
_END: Final = "end.json"
_LOCK: Final = "lock"
#: Of lease and end. Parameters are 200 kB at most, what is returned is 1 MB: `ending` holds it to this.
MAX_BYTES: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class End:
    """How the code of a run ended. `artifact`, `files`: paths of what is to be uploaded."""

    status: EndStatus
    message: str = ""
    artifact: str | None = None
    files: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    has_result: bool = False

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of_json(cls, data: bytes) -> Self:
        fields = json.loads(data)
        return cls(**{**fields, "files": tuple(fields["files"])})


class RunFolder:
    """`RUNS/RUN-TOKEN`. Methods raise OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @classmethod
    def create(cls, runs: Path, granted: Granted) -> Self:
        """Make the folder of a lease; it is there with all that it says, or not."""
        name = f"{granted.run}-{granted.token}"
        aside = runs / f".{name}.{os.urandom(4).hex()}"
        aside.mkdir(mode=0o700)
        write_whole(aside / _LEASE, granted.to_json())
        path = runs / name
        if path.exists():  # of the same lease, which was given out anew: entities that were deleted begin again
            shutil.rmtree(path)
        aside.rename(path)
        _sync(runs)
        return cls(path)

    @property
    def granted(self) -> Granted:
        """The lease. Raises ValueError for what is none."""
        return Granted.of_json(read_own(self.path / _LEASE, MAX_BYTES))

    @property
    def is_starting(self) -> bool:
        """Whether its code may have begun."""
        return (self.path / _STARTING).exists()

    @property
    def end(self) -> End | None:
        """How its code ended; None if that is not known."""
        try:
            return End.of_json(read_own(self.path / _END, MAX_BYTES))
        except FileNotFoundError:
            return None

    @property
    def tries(self) -> int:
        """How often its preparation was begun. It is 0 where that cannot be read."""
        try:
            return int(read_own(self.path / _TRIES, 20))
        except (FileNotFoundError, ValueError):
            return 0

    def note_tries(self, count: int) -> None:
        """Its preparation was begun so often."""
        write_whole(self.path / _TRIES, b"%d" % count)

    def note_starting(self) -> None:
        """From here on its code may have begun."""
        write_whole(self.path / _STARTING, b"")

    def note_end(self, end: End) -> None:
        """Its code has ended so; what was noted before stays."""
        if self.end is None:
            write_whole(self.path / _END, end.to_json())

    def take(self) -> bool:
        """Lock the folder for this process, until it ends; False if another one has it. Never blocks."""
        descriptor = open_own(self.path / _LOCK, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    @property
    def is_taken(self) -> bool:
        """Whether a supervisor works on it."""
        try:
            descriptor = open_own(self.path / _LOCK, os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # it was removed in this moment
            return True
        return is_held(descriptor)

    def remove(self) -> None:
        """Remove the folder: out of sight first, so that a half of it is never taken for a run."""
        gone = self.path.with_name(f".gone.{self.path.name}.{os.urandom(4).hex()}")
        self.path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def folders_in(runs: Path) -> list[RunFolder]:
    """Return the folders of runs, by name."""
    return [RunFolder(path) for path in sorted(runs.iterdir()) if not path.name.startswith(".")]


def tidy(runs: Path) -> None:
    """Remove what was made or removed in part by an agent that was killed. While no agent makes folders here."""
    for path in runs.glob(".*"):
        shutil.rmtree(path, ignore_errors=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole, and durable, or not at all."""
    aside = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    with os.fdopen(open_own(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
