"""Assets in an object store (S3, GCS, Azure, and whatever speaks like them), through obstore.

Bytes whose name is not known before their end go under `incoming/ID` first, if they are more than a few, and are copied
from there within the store.
"""

import hashlib
import logging
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import from_url

from runstream_service.assets import (
    AssetError,
    AssetInvalid,
    AssetMismatch,
    AssetMissing,
    AssetStream,
    AssetTooLarge,
    AssetUnavailable,
    check_range,
    check_sha256,
)

logger = logging.getLogger(__name__)

#: One part of a multipart upload. S3 allows 10,000 parts, and 100 GiB (the largest asset) / 10,000 = 10.7 MB.
_PART_BYTES: Final = 12 * 1024 * 1024
_READ_BYTES: Final = 1 << 20
#: What has fewer bytes waits in memory for its name.
_IN_MEMORY_BYTES: Final = 1 << 18
_INCOMING: Final = "incoming"
#: No upload takes so long: what is older under `incoming/` is left over.
_ABANDONED_S: Final = 24 * 3600.0
#: What S3 copies at once has at most 5 GiB. Larger ones are read and written again.
_MAX_COPY_BYTES: Final = 5 * 1024**3
#: An upload holds this many parts in memory at most: 2 * 12 MiB = 24 MiB. With 0.1 s a part that is 240 MB/s.
_PARTS_AT_ONCE: Final = 2


class ObjectAssets:
    """AssetStorage over a store of obstore. An upload is a multipart upload, which shows nothing until it is completed
    and is aborted when the hash is wrong or the giver goes away."""

    def __init__(self, store: Any, name: str) -> None:
        """`store` is any store of `obstore.store`, `name` what errors call it."""
        self._store = store
        self._name = name
        self._looked_for_leftovers = False

    @classmethod
    def at(cls, url: str, **options: Any) -> Self:
        """The store at `s3://bucket/prefix`, `gs://...`, `az://...`; credentials come from the environment as each
        provider's own tools read them, or from `options` (see `obstore.store.from_url`). Raises AssetInvalid."""
        try:
            return cls(from_url(url, **options), url)
        except (BaseError, ValueError) as error:
            raise AssetInvalid(
                f"{url!r} is no object store: {error}; give s3://, gs:// or az://BUCKET/PREFIX"
            ) from None

    async def size_of(self, sha256: str) -> int | None:
        path = _path(sha256)
        try:
            return int((await obstore.head_async(self._store, path))["size"])
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise self._unavailable(sha256, error) from error

    async def open(self, sha256: str, start: int = 0, end: int | None = None) -> AssetStream:
        size = await self.size_of(sha256)
        if size is None:
            raise AssetMissing(f"there is no asset {sha256}")
        first, last = check_range(size, start, end)
        return AssetStream(size, first, last, self._stream(_path(sha256), first, last))

    async def write(self, sha256: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        return (await self._put(_path(sha256), _Upload(chunks, max_bytes, sha256))).size_bytes

    async def receive(self, chunks: AsyncIterator[bytes], max_bytes: int) -> "_Staged":
        await self._remove_leftovers()
        begin = bytearray()
        async for chunk in chunks:
            begin += chunk
            if len(begin) > min(_IN_MEMORY_BYTES, max_bytes):
                break
        else:
            return _Staged(self, hashlib.sha256(begin).hexdigest(), len(begin), bytes(begin))
        path = f"{_INCOMING}/{uuid.uuid4().hex}"
        upload = await self._put(path, _Upload(_joined(bytes(begin), chunks), max_bytes))
        return _Staged(self, upload.digest.hexdigest(), upload.size_bytes, path)

    async def _put(self, path: str, upload: "_Upload") -> "_Upload":
        try:
            await obstore.put_async(
                self._store,
                path,
                upload.pieces(),
                use_multipart=True,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
        except BaseException as error:
            if upload.failure is not None:
                raise upload.failure from None
            if isinstance(error, BaseError | OSError):
                raise self._unavailable(path, error) from error
            raise
        return upload

    async def _publish(self, sha256: str, size_bytes: int, content: bytes | str) -> None:
        """Give staged bytes, or those at a path, their name."""
        try:
            if isinstance(content, bytes):
                await obstore.put_async(self._store, _path(sha256), content)
            elif size_bytes <= _MAX_COPY_BYTES:
                await obstore.copy_async(self._store, content, _path(sha256))
            else:
                await self.write(sha256, self._stream(content, 0, size_bytes), size_bytes)
        except (BaseError, OSError) as error:
            raise self._unavailable(sha256, error) from error

    async def _remove(self, path: str) -> None:
        try:
            await obstore.delete_async(self._store, path)
        except (BaseError, OSError) as error:
            logger.debug("%s in %s is left over: %s", path, self._name, error)

    async def _remove_leftovers(self) -> None:
        """What processes that were killed left; once in the life of this one."""
        if self._looked_for_leftovers:
            return
        self._looked_for_leftovers = True
        old = datetime.now(UTC) - timedelta(seconds=_ABANDONED_S)
        try:
            async for batch in obstore.list(self._store, f"{_INCOMING}/"):
                for one in batch:
                    if one["last_modified"] < old:
                        await self._remove(one["path"])
        except (BaseError, OSError) as error:
            logger.warning("leftovers in %s cannot be listed: %s", self._name, error)

    async def delete(self, sha256: str) -> None:
        try:
            await obstore.delete_async(self._store, _path(sha256))
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            raise self._unavailable(sha256, error) from error

    async def _stream(self, path: str, start: int, end: int) -> AsyncIterator[bytes]:
        if start == end:
            return
        try:
            result = await obstore.get_async(self._store, path, options={"range": (start, end)})
            async for piece in result.stream(min_chunk_size=_READ_BYTES):
                yield bytes(piece)
        except (BaseError, OSError) as error:
            raise self._unavailable(path, error) from error

    def _unavailable(self, what: str, error: Exception) -> AssetError:
        return AssetUnavailable(f"asset {what} in {self._name}: {error}; check the store and its credentials")


class _Staged:
    """Bytes in memory, or at a path of the store that is no asset's."""

    def __init__(self, storage: ObjectAssets, sha256: str, size_bytes: int, content: bytes | str) -> None:
        self._storage, self._content = storage, content
        self.sha256 = sha256
        self.size_bytes = size_bytes

    async def keep(self) -> None:
        await self._storage._publish(self.sha256, self.size_bytes, self._content)

    async def discard(self) -> None:
        if isinstance(self._content, str):
            await self._storage._remove(self._content)
        self._content = b""


class _Upload:
    """What goes into the store, checked on its way. A failure is kept here, because the store's client wraps what
    its source raises."""

    def __init__(self, chunks: AsyncIterator[bytes], max_bytes: int, sha256: str | None = None) -> None:
        """`sha256`: that of the bytes, if it is known before they come."""
        self._chunks = chunks
        self._max_bytes = max_bytes
        self._sha256 = sha256
        self.digest = hashlib.sha256()
        self.size_bytes = 0
        self.failure: BaseException | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._chunks:
                self.size_bytes += len(chunk)
                if self.size_bytes > self._max_bytes:
                    raise AssetTooLarge(f"the asset has more than the {self._max_bytes} bytes that are allowed")
                self.digest.update(chunk)
                yield chunk
            found = self.digest.hexdigest()
            if self._sha256 not in (None, found):
                raise AssetMismatch(
                    f"{self.size_bytes} bytes came for asset {self._sha256}, but their SHA-256 is {found}: send the "
                    "file again"
                )
        except BaseException as error:
            self.failure = error
            raise


async def _joined(begin: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begin
    async for chunk in rest:
        yield chunk


def _path(sha256: str) -> str:
    check_sha256(sha256)
    return f"{sha256[:2]}/{sha256}"
