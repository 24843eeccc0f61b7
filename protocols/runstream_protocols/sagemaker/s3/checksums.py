"""What the bytes of a body are checked against: Content-MD5 and x-amz-checksum-*. Pure."""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from runstream_protocols.sagemaker.s3.crc import crc32c, crc64nvme
from runstream_protocols.sagemaker.s3.errors import S3Error

HEADER: Final = "x-amz-checksum-"
MD5_HEADER: Final = "content-md5"
#: Names of headers that begin like those of checksums.
_NO_CHECKSUMS: Final = frozenset((f"{HEADER}mode", f"{HEADER}type", f"{HEADER}algorithm"))


class Sum(Protocol):
    """A checksum of bytes that are given one after the other."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def md5(data: bytes = b"") -> Sum:
    """Return an MD5, which ETags are."""
    return hashlib.md5(data, usedforsecurity=False)


def _sha1() -> Sum:
    return hashlib.sha1(usedforsecurity=False)


#: By the names that headers end with.
ALGORITHMS: Final[Mapping[str, Callable[[], Sum]]] = {
    "crc32": _Crc32,
    "crc32c": crc32c,
    "crc64nvme": crc64nvme,
    "sha1": _sha1,
    "sha256": hashlib.sha256,
}
#: The algorithm whose checksums of parts make none of the parts' checksums: it is always of all bytes.
ALWAYS_FULL: Final = "crc64nvme"


@dataclass(frozen=True, slots=True)
class Expected:
    """What a body has to have. `checksums`: by algorithm, as base64; None: a trailer tells it."""

    md5: str | None
    checksums: Mapping[str, str | None]


def expected_of(headers: Mapping[str, str]) -> Expected:
    """Return what the headers of a request, with lower-case names, say of its body. Raises S3Error."""
    checksums: dict[str, str | None] = {}
    for name, value in headers.items():
        if name.startswith(HEADER) and name not in _NO_CHECKSUMS:
            checksums[_algorithm(name)] = _checked(name, value)
    for name in headers.get("x-amz-trailer", "").lower().split(","):
        if name.strip().startswith(HEADER):
            checksums[_algorithm(name.strip())] = None
    given = headers.get(MD5_HEADER)
    return Expected(None if given is None else _checked(MD5_HEADER, given), checksums)


def algorithm_of(name: str) -> str:
    """Return the algorithm that a client names, in small letters. Raises S3Error."""
    return _algorithm(f"{HEADER}{name.lower()}")


class Digests:
    """The MD5 of bytes, and further checksums of them."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._md5 = md5()
        self._sums = {name: ALGORITHMS[name]() for name in algorithms}

    def update(self, data: bytes) -> None:
        """Add bytes."""
        self._md5.update(data)
        for one in self._sums.values():
            one.update(data)

    @property
    def etag(self) -> str:
        """The MD5 in hexadecimal digits."""
        return self._md5.digest().hex()

    @property
    def sha256(self) -> str:
        """The SHA-256 in hexadecimal digits, where it was wanted."""
        return self._sums["sha256"].digest().hex()

    def checksums(self) -> dict[str, str]:
        """Return the checksums in base64, by algorithm."""
        return {name: encoded(one.digest()) for name, one in self._sums.items()}

    def check(self, expected: Expected, trailers: Mapping[str, str]) -> None:
        """Refuse bytes that are not those that were announced. Raises S3Error."""
        found = self.checksums()
        for name, value in expected.checksums.items():
            announced = trailers.get(f"{HEADER}{name}") if value is None else value
            if announced != found[name]:
                raise _bad(f"{HEADER}{name}", announced or "missing", found[name])
        if expected.md5 is not None and expected.md5 != encoded(self._md5.digest()):
            raise _bad(MD5_HEADER, expected.md5, encoded(self._md5.digest()))


def encoded(digest: bytes) -> str:
    """Return a digest in base64."""
    return base64.b64encode(digest).decode()


def _algorithm(header: str) -> str:
    name = header.removeprefix(HEADER)
    if name not in ALGORITHMS:
        raise S3Error(
            "InvalidRequest",
            f"the checksum {name[:40]!r} is not known here: use {', '.join(map(str.upper, ALGORITHMS))}, or set "
            "AWS_REQUEST_CHECKSUM_CALCULATION=when_required",
        )
    return name


def _checked(header: str, value: str) -> str:
    size = len(md5().digest()) if header == MD5_HEADER else len(ALGORITHMS[_algorithm(header)]().digest())
    try:
        digest = base64.b64decode(value, validate=True)
    except (ValueError, binascii.Error):
        digest = b""
    if len(digest) != size:
        code = "InvalidDigest" if header == MD5_HEADER else "InvalidRequest"
        raise S3Error(code, f"{header} is {value[:60]!r}: give {size} bytes in base64")
    return value


def _bad(header: str, announced: str, found: str) -> S3Error:
    return S3Error("BadDigest", f"{header} is {announced[:100]!r}, but that of the bytes is {found!r}: send them again")
