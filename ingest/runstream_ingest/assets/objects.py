"""Assets in an object store (S3, GCS, Azure, and whatever speaks like them), through obstore."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any, Final, Self

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import from_url

from runstream.service.assets import (
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

#: One part of a multipart upload. S3 allows 10,000 parts, and 100 GiB (the largest asset) / 10,000 = 10.7 MB.
_PART_BYTES: Final = 12 * 1024 * 1024
_READ_BYTES: Final = 1 << 20
#: An upload holds this many parts in memory at most: 4 * 12 MiB = 48 MiB.
_PARTS_AT_ONCE: Final = 4


class ObjectAssets:
    """AssetStorage over a store of obstore. An upload is a multipart upload, which shows nothing until it is completed
    and is aborted when the hash is wrong or the giver goes away."""

    def __init__(self, store: Any, name: str) -> None:
        """`store` is any store of `obstore.store`, `name` what errors call it."""
        self._store = store
        self._name = name

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
        return AssetStream(size, first, last, self._pieces_of(sha256, first, last))

    async def write(self, sha256: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        upload = _Upload(sha256, chunks, max_bytes)
        try:
            await obstore.put_async(
                self._store,
                _path(sha256),
                upload.pieces(),
                use_multipart=True,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
        except BaseException as error:
            if upload.failure is not None:
                raise upload.failure from None
            if isinstance(error, BaseError | OSError):
                raise self._unavailable(sha256, error) from error
            raise
        return upload.size_bytes

    async def delete(self, sha256: str) -> None:
        try:
            await obstore.delete_async(self._store, _path(sha256))
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            raise self._unavailable(sha256, error) from error

    async def _pieces_of(self, sha256: str, start: int, end: int) -> AsyncIterator[bytes]:
        if start == end:
            return
        try:
            result = await obstore.get_async(self._store, _path(sha256), options={"range": (start, end)})
            async for piece in result.stream(min_chunk_size=_READ_BYTES):
                yield bytes(piece)
        except (BaseError, OSError) as error:
            raise self._unavailable(sha256, error) from error

    def _unavailable(self, sha256: str, error: Exception) -> AssetError:
        return AssetUnavailable(f"asset {sha256} in {self._name}: {error}; check the store and its credentials")


class _Upload:
    """What goes into the store, checked on its way. A failure is kept here, because the store's client wraps what
    its source raises."""

    def __init__(self, sha256: str, chunks: AsyncIterator[bytes], max_bytes: int) -> None:
        self._sha256 = sha256
        self._chunks = chunks
        self._max_bytes = max_bytes
        self.size_bytes = 0
        self.failure: BaseException | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        digest = hashlib.sha256()
        try:
            async for chunk in self._chunks:
                self.size_bytes += len(chunk)
                if self.size_bytes > self._max_bytes:
                    raise AssetTooLarge(
                        f"asset {self._sha256} has more than the {self._max_bytes} bytes that are allowed"
                    )
                digest.update(chunk)
                yield chunk
            if digest.hexdigest() != self._sha256:
                raise AssetMismatch(
                    f"{self.size_bytes} bytes came for asset {self._sha256}, but their SHA-256 is "
                    f"{digest.hexdigest()}: send the file again"
                )
        except BaseException as error:
            self.failure = error
            raise


def _path(sha256: str) -> str:
    check_sha256(sha256)
    return f"{sha256[:2]}/{sha256}"
