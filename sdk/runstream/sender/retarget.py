"""Offline runs and where they go: to the server that is set when they are sent, not the one of their start."""

from dataclasses import replace
from pathlib import Path

from runstream.spool.format import Acked, SpoolCorrupt, WriterInfo


def retarget_offline(spool_dir: Path, url: str, api_key: str | None) -> int:
    """Let the offline writers of a spool send to `url` from now on; how many there are.

    One that a server has begun to acknowledge stays with it: the rest of its run is there. Damaged folders are passed
    over, `sync` reports them. Raises OSError if a folder cannot be written.
    """
    moved = 0
    for folder in sorted((spool_dir / "writers").glob("*/")):
        try:
            info = WriterInfo.read(folder)
        except (FileNotFoundError, SpoolCorrupt):
            continue
        if info.mode != "offline" or Acked.read(folder) != Acked() or (info.url, info.api_key) == (url, api_key):
            continue
        replace(info, url=url, api_key=api_key).write(folder)
        moved += 1
    return moved
