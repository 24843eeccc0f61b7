"""Asset storage: files of runs, each under the SHA-256 of its bytes. The gateway writes, the query API reads.

Two implementations stand behind `AssetStorage` (a local directory, an object store); both pass
tests/conformance/test_assets.py. Content has one name, so writing it again is harmless and nothing is ever changed.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Protocol

_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")


class AssetError(Exception):
    """The storage cannot do what was asked."""


class AssetInvalid(AssetError, ValueError):
    """The request can never work: a name that is no SHA-256, a byte range that is none."""


class AssetMissing(AssetError):
    """There is no such asset."""


class AssetMismatch(AssetError):
    """The bytes that came do not have the SHA-256 that the request names. Nothing was kept."""


class AssetTooLarge(AssetError):
    """More bytes came than are allowed. Nothing was kept."""


class AssetUnavailable(AssetError):
    """Not now: the disk is full, the object store does not answer. Nothing was kept; try again."""


def check_sha256(text: str) -> str:
    """Return `text` if it is a SHA-256 in 64 lower-case hexadecimal digits. Raises AssetInvalid.

    Implementations call it before they make a path of it: no name can leave their root.
    """
    if not _SHA256.match(text):
        raise AssetInvalid(f"{text[:80]!r} is no SHA-256: give 64 digits of 0-9 a-f")
    return text


@dataclass(frozen=True, slots=True)
class AssetStream:
    """Bytes [start, end) of an asset of `size_bytes` bytes. `chunks` gives them once, in pieces of any size; it may
    raise AssetUnavailable."""

    size_bytes: int
    start: int
    end: int
    chunks: AsyncIterator[bytes]


class AssetReader(Protocol):
    """The reading side. Coroutines may be called from one event loop; calls may overlap."""

    async def size_of(self, sha256: str) -> int | None:
        """How many bytes the asset has; None if it does not exist. Raises AssetInvalid, AssetUnavailable."""

    async def open(self, sha256: str, start: int = 0, end: int | None = None) -> AssetStream:
        """The bytes [start, end) of an asset; `end` None or beyond it means its end.

        Raises AssetMissing, AssetInvalid (also for a range that begins behind the asset or ends before it begins),
        AssetUnavailable.
        """


class StagedAsset(Protocol):
    """Bytes that are in the storage and have no name yet: nobody sees them."""

    @property
    def sha256(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    async def keep(self) -> None:
        """Give them their name, durably. Once. Raises AssetUnavailable."""

    async def discard(self) -> None:
        """Remove them if they were not kept. Any number of times; raises nothing."""


class AssetStorage(AssetReader, Protocol):
    """Reading and writing."""

    async def receive(self, chunks: AsyncIterator[bytes], max_bytes: int) -> StagedAsset:
        """Take in bytes whose SHA-256 nobody knows before their end. The caller keeps or discards them; what a process
        that was killed did neither with goes at a later start. Raises AssetTooLarge, AssetUnavailable, and whatever
        `chunks` raises; then nothing is left.
        """

    async def write(self, sha256: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        """Store what `chunks` gives and return its size, once it is durable.

        All or nothing: until the last byte came and the hash was right, nobody sees anything under that name, and
        whatever is raised (also by `chunks`) leaves nothing. Overlapping writes of the same asset are harmless.
        Raises AssetMismatch, AssetTooLarge, AssetInvalid, AssetUnavailable.
        """

    async def delete(self, sha256: str) -> None:
        """Remove an asset; none is no error. Raises AssetInvalid, AssetUnavailable."""


def check_range(size_bytes: int, start: int, end: int | None) -> tuple[int, int]:
    """The range [start, end) clipped to an asset's size. Raises AssetInvalid."""
    last = size_bytes if end is None else min(end, size_bytes)
    if not 0 <= start <= last:
        raise AssetInvalid(f"bytes {start} to {last if end is None else end} are no range of {size_bytes} bytes")
    return start, last
