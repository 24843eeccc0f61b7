"""What can be chosen about a server's connections, and how many the process's file limit allows."""

import resource
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

#: The largest file limit that is set: some systems allow 2^30, and what looks at each possible file takes minutes then.
_MAX_FILES: Final = 1 << 20


class ConnectionSettings(BaseModel):
    """Bounds of the connections of a process. Times in seconds, sizes in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: 5,000 training nodes with 3 connections each, and a tenth more for readers and probes. One that is idle takes
    #: about 20 kB, so all of them 330 MB. The process's file limit may allow fewer.
    max_connections: int = Field(default=16_384, ge=1)
    #: Files that are kept for the log, the store and assets: chDB has some 200 open, a merge a few hundred more.
    reserved_files: int = Field(default=1_024, ge=0)
    #: Of all connections, the percentage that one address may have. Many nodes stand behind one address (NAT, a reverse
    #: proxy), so it is large: it keeps a tenth for everybody else. An IPv6 network of 64 bits counts as one address.
    max_address_percent: int = Field(default=90, ge=1, le=100)
    #: From the connection, or the first byte of a further request, until the request's headers are there. More bytes of
    #: them do not extend it.
    head_s: float = Field(default=15.0, gt=0)
    #: A connection without a request is closed after it. Longer than the 60 s that proxies keep theirs (nginx, AWS);
    #: behind Google's load balancers it has to be 620.
    idle_s: float = Field(default=75.0, gt=0)
    #: Of a body at least so many bytes have to come in each such time, while the server reads: 16 MB over the slowest
    #: mobile network (100 kbit/s) come 12 times as fast.
    min_body_bytes_per_s: int = Field(default=1_000, ge=1)
    body_window_s: float = Field(default=10.0, gt=0)
    #: A client that takes nothing of its response for so long is cut off.
    reader_silence_s: float = Field(default=60.0, gt=0)
    #: Request line and headers of one request: the longest line is 128 KiB.
    max_head_bytes: int = Field(default=262_144, ge=8_192)
    #: Of all requests whose headers are not complete: 250 of the largest.
    max_heads_bytes: int = Field(default=64_000_000, ge=8_192)
    #: Requests of one connection that wait for the one before them.
    max_pipelined: int = Field(default=8, ge=1)
    #: Responses that are finished and not taken yet, together. Further large ones get a 503.
    max_untaken_bytes: int = Field(default=512_000_000, ge=1_000_000)
    #: Of each connection in the kernel's buffer and not sent. Linux keeps up to 4 MB for who does not read.
    kernel_unsent_bytes: int = Field(default=131_072, ge=16_384)


def raise_file_limit() -> int:
    """Let this process open as many files as its hard limit allows; returns how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS has a lower one of its own
            return soft
        return wanted
    return _MAX_FILES if soft == resource.RLIM_INFINITY else soft


def connection_bound(settings: ConnectionSettings, files: int, files_each: int = 1) -> int:
    """How many connections there may be with a limit of so many files. files_each: those that one connection needs.

    Where few files are allowed, half of them are for connections."""
    usable = max(files - settings.reserved_files, files // 2)
    return max(1, min(settings.max_connections, usable // files_each))
