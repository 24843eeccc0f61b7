"""The embedded server with a clock on its event loop: server_child.py DIRECTORY PORT STALLS.

STALLS is a file of 16 bytes: the longest stretch of processor time, in ns, that the loop's thread spent in one callback
since somebody put 0 there, and the reference of this process, in ns.
"""

import asyncio
import mmap
import struct
import sys
import time
from pathlib import Path

from fuzzing.cases import reference_s
from runstream_infra.embedded import run_embedded
from runstream_infra.settings import ServerSettings


def watch(path: str) -> None:
    """Time every callback of event loops of the thread that calls this."""
    with open(path, "r+b") as file:
        shared = mmap.mmap(file.fileno(), 16)
    shared[8:16] = struct.pack("<q", int(reference_s() * 1e9))
    run, clock, pack, unpack = asyncio.Handle._run, time.thread_time_ns, struct.pack, struct.unpack

    def timed(self: asyncio.Handle) -> None:
        begin = clock()
        try:
            run(self)
        finally:
            spent = clock() - begin
            if spent > 1_000_000 and spent > unpack("<q", shared[:8])[0]:
                shared[:8] = pack("<q", spent)

    asyncio.Handle._run = timed  # type: ignore[method-assign]


if __name__ == "__main__":
    directory, port, stalls = sys.argv[1:]
    watch(stalls)
    settings = ServerSettings(data_dir=Path(directory), port=int(port))
    sys.exit(run_embedded(settings, lambda url: print("READY", url, flush=True)))
