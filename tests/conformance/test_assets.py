"""What `runstream_service.assets` promises, held against every storage."""

import asyncio
import fcntl
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from runstream_ingest.assets import LocalAssets, ObjectAssets
from runstream_service.assets import (
    AssetInvalid,
    AssetMismatch,
    AssetMissing,
    AssetStorage,
    AssetTooLarge,
)

#: More than one part of an upload to an object store.
LARGE = bytes(range(256)) * (100_000)


@pytest.fixture(params=["local", "object-memory", "object-local"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> AssetStorage:
    match request.param:
        case "local":
            return LocalAssets(tmp_path / "assets")
        case "object-memory":
            return ObjectAssets(MemoryStore(), "memory")
        case _:
            return ObjectAssets(LocalStore(tmp_path / "objects", mkdir=True), "objects")


def sha_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def pieces(data: bytes, size: int = 60_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def read(storage: AssetStorage, sha256: str, start: int = 0, end: int | None = None) -> bytes:
    stream = await storage.open(sha256, start, end)
    data = b"".join([chunk async for chunk in stream.chunks])
    assert len(data) == stream.end - stream.start
    return data


@pytest.mark.parametrize("data", [b"", b"x", b"some text", LARGE], ids=["empty", "one", "small", "large"])
async def test_what_was_written_is_read_back(storage: AssetStorage, data: bytes) -> None:
    sha256 = sha_of(data)
    assert await storage.size_of(sha256) is None
    with pytest.raises(AssetMissing):
        await storage.open(sha256)
    assert await storage.write(sha256, pieces(data), 1 << 30) == len(data)
    assert await storage.size_of(sha256) == len(data)
    stream = await storage.open(sha256)
    assert (stream.size_bytes, stream.start, stream.end) == (len(data), 0, len(data))
    assert b"".join([chunk async for chunk in stream.chunks]) == data


async def test_ranges(storage: AssetStorage) -> None:
    sha256 = sha_of(LARGE)
    await storage.write(sha256, pieces(LARGE), 1 << 30)
    size = len(LARGE)
    for start, end in [(0, 1), (1, 1), (5, 300), (size - 3, None), (size - 3, size + 50), (size, None), (0, 3_000_000)]:
        assert await read(storage, sha256, start, end) == LARGE[start:end]
    for start, end in [(-1, 5), (size + 1, None), (10, 9)]:
        with pytest.raises(AssetInvalid):
            await storage.open(sha256, start, end)


@pytest.mark.parametrize("data", [b"other bytes", LARGE[:-1]], ids=["small", "large"])
async def test_a_wrong_hash_leaves_nothing(storage: AssetStorage, data: bytes) -> None:
    sha256 = sha_of(LARGE)
    with pytest.raises(AssetMismatch, match=sha_of(data)):
        await storage.write(sha256, pieces(data), 1 << 30)
    assert await storage.size_of(sha256) is None
    assert await storage.size_of(sha_of(data)) is None
    await storage.write(sha256, pieces(LARGE), 1 << 30)
    assert await read(storage, sha256) == LARGE


@pytest.mark.parametrize("limit", [10, len(LARGE) - 1])
async def test_too_much_leaves_nothing(storage: AssetStorage, limit: int) -> None:
    with pytest.raises(AssetTooLarge, match=str(limit)):
        await storage.write(sha_of(LARGE), pieces(LARGE), limit)
    assert await storage.size_of(sha_of(LARGE)) is None


async def test_an_asset_exactly_at_the_limit_is_kept(storage: AssetStorage) -> None:
    assert await storage.write(sha_of(b"12345"), pieces(b"12345"), 5) == 5


async def test_a_giver_that_goes_away_leaves_nothing(storage: AssetStorage) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LARGE[: len(LARGE) // 2]
        raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError):
        await storage.write(sha_of(LARGE), broken(), 1 << 30)
    assert await storage.size_of(sha_of(LARGE)) is None


async def test_writing_again_and_at_once_is_harmless(storage: AssetStorage) -> None:
    data = LARGE[:1_000_000]
    sizes = await asyncio.gather(*(storage.write(sha_of(data), pieces(data), 1 << 30) for _ in range(5)))
    assert sizes == [len(data)] * 5
    assert await storage.write(sha_of(data), pieces(data), 1 << 30) == len(data)
    assert await read(storage, sha_of(data)) == data


async def test_delete(storage: AssetStorage) -> None:
    await storage.write(sha_of(b"gone"), pieces(b"gone"), 100)
    await storage.write(sha_of(b"kept"), pieces(b"kept"), 100)
    await storage.delete(sha_of(b"gone"))
    await storage.delete(sha_of(b"gone"))
    assert await storage.size_of(sha_of(b"gone")) is None
    assert await read(storage, sha_of(b"kept")) == b"kept"


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", "/etc/passwd", "a" * 63, "A" * 64, "a" * 63 + "/", "a" * 64 + "\n", "é" * 64]
)
async def test_no_name_but_a_hash_is_taken(storage: AssetStorage, name: str) -> None:
    with pytest.raises(AssetInvalid):
        await storage.size_of(name)
    with pytest.raises(AssetInvalid):
        await storage.open(name)
    with pytest.raises(AssetInvalid):
        await storage.write(name, pieces(b"x"), 10)
    with pytest.raises(AssetInvalid):
        await storage.delete(name)


@pytest.mark.parametrize("data", [b"", b"some text", LARGE], ids=["empty", "small", "large"])
async def test_bytes_without_a_name_are_seen_when_they_are_kept(storage: AssetStorage, data: bytes) -> None:
    for kept in (False, True):
        staged = await storage.receive(pieces(data), 1 << 30)
        assert (staged.sha256, staged.size_bytes) == (sha_of(data), len(data))
        assert await storage.size_of(sha_of(data)) is None
        if kept:
            await staged.keep()
        for _ in range(2):
            await staged.discard()
    assert await read(storage, sha_of(data)) == data


@pytest.mark.parametrize("limit", [10, len(LARGE) - 1])
async def test_too_much_without_a_name_leaves_nothing(storage: AssetStorage, limit: int, tmp_path: Path) -> None:
    with pytest.raises(AssetTooLarge, match=str(limit)):
        await storage.receive(pieces(LARGE), limit)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_giver_of_nameless_bytes_that_goes_away_leaves_nothing(storage: AssetStorage, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LARGE[: len(LARGE) // 2]
        raise ConnectionResetError("the client went away")

    with pytest.raises(ConnectionResetError):
        await storage.receive(broken(), 1 << 30)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_a_local_directory_holds_only_whole_assets(tmp_path: Path) -> None:
    """What a killed server left half-written goes at a later start; what another process writes stays; failures leave
    no file at all."""
    storage = LocalAssets(tmp_path)
    await storage.write(sha_of(b"kept"), pieces(b"kept"), 100)
    with pytest.raises(AssetMismatch):
        await storage.write(sha_of(b"kept"), pieces(b"other"), 100)
    assert list((tmp_path / "incoming").iterdir()) == []
    for name in ("left-over", "growing"):
        (tmp_path / "incoming" / name).write_bytes(b"half")
    with (tmp_path / "incoming" / "growing").open("rb") as growing:
        fcntl.flock(growing, fcntl.LOCK_EX)
        again = LocalAssets(tmp_path)
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == ["growing"]
    (tmp_path / "incoming" / "growing").unlink()
    assert await read(again, sha_of(b"kept")) == b"kept"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [sha_of(b"kept")]


def test_a_url_that_is_no_store_is_refused() -> None:
    with pytest.raises(AssetInvalid, match="is no object store"):
        ObjectAssets.at("ftp://somewhere/else")
