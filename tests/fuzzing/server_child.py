"""The embedded server with a clock on its event loop: server_child.py DIRECTORY PORT STALLS.

STALLS is a file of SHARED.size bytes: the longest stretch of processor time, in ns, that the loop's thread spent in one
callback since somebody put 0 there; the reference of this process, in ns; the id of the request that the callback
belonged to (X-Request-Id), where it had one.
"""

import asyncio
import mmap
import resource
import struct
import sys
import time
from contextvars import Context
from pathlib import Path

from fuzzing.cases import reference_s
from fuzzing.shared import LONGEST, REFERENCE, REQUEST, SHARED
from runstream_infra.embedded import run_embedded
from runstream_infra.settings import ServerSettings
from runstream_service.logs import REQUEST_ID

#: What the process may map: the engine takes 4 GB for itself without touching it. A bomb gets a MemoryError, and leaves
#: the machine alone.
_MAPPED_BYTES = 9 << 30
#: Stretches below are nobody's stall, and cost one comparison.
_LEAST_NS = 1_000_000


def watch(path: str) -> None:
    """Time every callback of event loops of the thread that calls this."""
    with open(path, "r+b") as file:
        shared = mmap.mmap(file.fileno(), SHARED.size)
    shared[REFERENCE] = struct.pack("<q", int(reference_s() * 1e9))
    run, clock = asyncio.Handle._run, time.thread_time_ns

    def timed(self: asyncio.Handle) -> None:
        context: Context = self._context  # type: ignore[attr-defined]
        before, begin = context.get(REQUEST_ID), clock()
        try:
            run(self)
        finally:
            spent = clock() - begin
            if spent > _LEAST_NS and spent > struct.unpack("<q", shared[LONGEST])[0]:
                name = context.get(REQUEST_ID) or before or ""
                shared[REQUEST] = name.encode()[:32].ljust(32, b"\0")
                shared[LONGEST] = struct.pack("<q", spent)

    asyncio.Handle._run = timed  # type: ignore[method-assign]


if __name__ == "__main__":
    directory, port, stalls = sys.argv[1:]
    watch(stalls)
    resource.setrlimit(resource.RLIMIT_AS, (_MAPPED_BYTES, _MAPPED_BYTES))
    settings = ServerSettings(data_dir=Path(directory), port=int(port))
    sys.exit(run_embedded(settings, lambda url: print("READY", url, flush=True)))
