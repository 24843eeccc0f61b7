"""What everyone shares who has ClickHouse's engine in the process (chDB): its lock, its bounds, its priorities.

chDB holds one directory a process and one process a directory; any number of connections, each with settings of its
own, may be open at once.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from runstream_service.store import StoreBusy

#: Merges take as much CPU as inserts, and nobody waits for them: beside one other thread a quarter of a core is theirs
#: (the kernel weighs 335 against 1,024), which still keeps up with inserts, and all of an idle one.
MERGE_NICENESS: Final = 5
#: More would only compete with the inserts.
MERGE_THREADS: Final = 2

#: How many writes to files failed since the engine is in this process. The engine counts them and goes on as if they
#: had not: an insert says that its rows are written, a merge gives up its sources, and the files are empty (chDB 26.9,
#: with ENOSPC and EFBIG). So whoever has the engine in the process looks here.
LOST_WRITES: Final = (
    "SELECT sum(value) AS n FROM system.events WHERE event = 'WriteBufferFromFileDescriptorWriteFailed'"
)


def engine_options(memory_bytes: int) -> dict[str, str]:
    """The engine's own options on a machine with so much memory, which it shares with a training process.

    Half of the memory at most for everything; caches of at most 1/32 each (mark and index caches hold what is
    hot, and refill from the page cache).
    """
    cache_bytes = str(memory_bytes // 32)
    return {
        "max_server_memory_usage": str(memory_bytes // 2),
        "mark_cache_size": cache_bytes,
        "index_mark_cache_size": cache_bytes,
        "primary_index_cache_size": cache_bytes,
        "background_pool_size": str(MERGE_THREADS),
        "background_schedule_pool_size": "2",
        "background_common_pool_size": "1",
        "log-level": "none",
    }


def query_limits(memory_bytes: int) -> dict[str, str]:
    """What one read may use: a quarter of the memory, of which half before it sorts and groups on disk."""
    return {
        "max_memory_usage": str(memory_bytes // 4),
        "max_bytes_before_external_group_by": str(memory_bytes // 8),
        "max_bytes_before_external_sort": str(memory_bytes // 8),
    }


def connection_string(path: Path, options: Mapping[str, str]) -> str:
    """What chDB's `connect` takes."""
    return f"{path}?{'&'.join(f'{name}={value}' for name, value in options.items())}"


def quoted(value: str) -> str:
    """`value` as a text in a statement."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@contextmanager
def memory_file(pieces: Iterable[bytes | memoryview]) -> Iterator[str]:
    """A path under which the engine reads `pieces`, one behind the other: in memory, so that a full disk cannot be in
    the way, where the system has such files, else in the temporary folder."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile(suffix=".native") as file:
            file.writelines(pieces)
            file.flush()
            yield file.name
        return
    with os.fdopen(os.memfd_create("runstream-block"), "wb") as file:
        file.writelines(pieces)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def locked(directory: Path) -> int:
    """A descriptor that holds the lock of `directory`; any death gives the lock back. Raises StoreBusy."""
    path = directory / "LOCK"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        whose = "this process" if holder == str(os.getpid()) else f"process {holder}"
        raise StoreBusy(
            f"the data directory {directory} is open in {whose}: stop that server, or give another directory"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def own_niceness() -> int:
    """This process's own priority."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def set_priority_of_merges(niceness: int) -> int:
    """Give the engine's merging threads another priority than inserts, reads and a training process beside them;
    returns how many were found. Without privileges it can only become lower: then nothing changes.

    On Linux every thread has a priority of its own; elsewhere nothing changes. The engine's setting for it
    (os_threads_nice_value_merge_mutate) does nothing without CAP_SYS_NICE.
    """
    found = 0
    for comm in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # it has ended meanwhile
            if comm.read_text().startswith("MergeMutate"):
                found += 1
                os.setpriority(os.PRIO_PROCESS, int(comm.parent.name), niceness)
    return found
