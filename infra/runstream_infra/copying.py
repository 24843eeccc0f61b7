"""Assets from a server's directory into a cluster's storage."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runstream.events import limits
from runstream_ingest.assets.local import LocalAssets
from runstream_service.assets import AssetError, AssetInvalid, AssetMismatch, AssetStorage, check_sha256

#: Beside each other: an object store answers a small upload in some 50 ms, most of which is waiting.
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class CopiedAssets:
    """Of `found` assets `copied` were written; the others were there already."""

    found: int
    copied: int
    copied_bytes: int


async def copy_assets(
    directory: Path, target: AssetStorage, on_asset: Callable[[int, int], None] = lambda done, total: None
) -> CopiedAssets:
    """Write every asset in `directory` into `target` unless it is there. May be repeated after it was cut off.

    A storage shows an asset only when all of its bytes came and had its hash, so what `target` has in the right size is
    not read again. `on_asset` is called with how many are done, of how many. Raises what `target` raises;
    AssetMismatch, naming the file, for one whose bytes changed since it was stored.
    """
    names = sorted(_assets_in(directory))
    on_asset(0, len(names))
    if not names or (isinstance(target, LocalAssets) and target.is_at(directory)):
        return CopiedAssets(len(names), 0, 0)
    source = LocalAssets(directory)
    waiting = iter(names)
    done = copied = copied_bytes = 0

    async def copy_waiting() -> None:
        nonlocal done, copied, copied_bytes
        for sha256 in waiting:
            size = await _copy(source, target, directory, sha256)
            done, copied, copied_bytes = done + 1, copied + (size is not None), copied_bytes + (size or 0)
            on_asset(done, len(names))

    tasks = [asyncio.create_task(copy_waiting()) for _ in range(_AT_ONCE)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return CopiedAssets(len(names), copied, copied_bytes)


async def _copy(source: LocalAssets, target: AssetStorage, directory: Path, sha256: str) -> int | None:
    """How many bytes were written; None if `target` has it."""
    stream = await source.open(sha256)
    if await target.size_of(sha256) == stream.size_bytes:
        return None
    try:
        return await target.write(sha256, stream.chunks, limits.MAX_ASSET_BYTES)
    except AssetMismatch as error:
        path = directory / sha256[:2] / sha256
        raise AssetMismatch(
            f"{path} is damaged: {error}. Restore it from a copy; or move it away, then that one asset is missing in "
            "the cluster"
        ) from error
    except AssetError as error:
        raise type(error)(f"asset {sha256} cannot be copied: {error}") from error


def _assets_in(directory: Path) -> Iterator[str]:
    """The names of all assets: DIRECTORY/ab/SHA256."""
    if not directory.is_dir():
        return
    for folder in os.scandir(directory):
        if not folder.is_dir() or len(folder.name) != 2:
            continue
        for entry in os.scandir(folder):
            try:
                yield check_sha256(entry.name)
            except AssetInvalid:
                continue  # not ours
