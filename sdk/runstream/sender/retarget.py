"""Where a spool's writers send, when that changes: offline runs, and a server that moved."""

import contextlib
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from runstream.private import NotPrivate, check_inside, check_root
from runstream.sender.lock import sender_lives
from runstream.sender.status import read_status
from runstream.spool.format import Acked, SpoolCorrupt, WriterInfo


def retarget_offline(spool_dir: Path, url: str, api_key: str | None, ingest: str = "") -> int:
    """Let the offline writers of a spool send to `url` (and their frames to `ingest`, if it is set) from now on; how
    many there are.

    One that a server has begun to acknowledge stays with it: the rest of its run is there. Damaged folders are passed
    over, `sync` reports them. Raises OSError if a folder cannot be written.
    """
    return _retarget(
        spool_dir, (url, api_key, ingest), lambda folder, info: info.mode == "offline" and Acked.read(folder) == Acked()
    )


def retarget_moved(spool_dir: Path, moved_from: str, url: str, api_key: str | None, ingest: str = "") -> int:
    """Let every writer that sends to `moved_from` send to `url` from now on, also where a part of it is acknowledged:
    the server at `url` has everything that the one at `moved_from` had, so each goes on where it was. Returns how many
    there are.

    A sender that lives is asked to end, because it knows the old address; it finishes the requests under way, and
    whoever needs one starts another. Damaged folders are passed over, `sync` reports them. Raises OSError.
    """
    old = moved_from.rstrip("/")
    moved = _retarget(spool_dir, (url, api_key, ingest), lambda folder, info: info.url.rstrip("/") == old)
    status = read_status(spool_dir)
    if moved and status is not None and status.pid != os.getpid() and sender_lives(spool_dir):
        try:
            os.kill(status.pid, signal.SIGTERM)
        except ProcessLookupError:
            return moved  # it has ended by itself
    return moved


def online_elsewhere(spool_dir: Path, url: str) -> dict[str, int]:
    """Count the online writers of a spool that send to another server than `url`, by its address."""
    servers: Counter[str] = Counter()
    for folder in (spool_dir / "writers").glob("*/"):
        with contextlib.suppress(OSError, SpoolCorrupt):
            info = WriterInfo.read(folder)
            if info.mode == "online" and info.url.rstrip("/") != url.rstrip("/"):
                servers[info.url] += 1
    return dict(servers)


def _retarget(
    spool_dir: Path, target: tuple[str, str | None, str], concerns: Callable[[Path, WriterInfo], bool]
) -> int:
    url, api_key, ingest = target
    moved = 0
    if (spool_dir / "writers").exists():
        check_root(spool_dir)
        check_inside(spool_dir / "writers")
    for folder in sorted((spool_dir / "writers").glob("*/")):
        try:
            check_inside(folder)  # what is written there may hold a key
            info = WriterInfo.read(folder)
        except (FileNotFoundError, NotPrivate, SpoolCorrupt):
            continue
        if (info.url, info.api_key, info.ingest) == target or not concerns(folder, info):
            continue
        replace(info, url=url, api_key=api_key, ingest=ingest).write(folder)
        moved += 1
    return moved
