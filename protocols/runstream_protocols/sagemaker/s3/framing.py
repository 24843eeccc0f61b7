"""Bodies in chunks of their own (`Content-Encoding: aws-chunked`): SIZE[;chunk-signature=HEX] CRLF bytes CRLF ..., and
trailers behind the last one, which is empty. Pure; what it holds is bounded.

Where the body is signed, each chunk has a signature that is made of the one before it, and so have the trailers.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from runstream_protocols.sagemaker.s3.errors import S3Error

SIGNED: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILERS: Final = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILERS: Final = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
#: What bodies in chunks are called in the place of their hash.
FRAMED: Final = frozenset((SIGNED, SIGNED_TRAILERS, UNSIGNED_TRAILERS))
#: No chunk but the last may have less, as at AWS: a signature takes 10 us.
MIN_CHUNK_BYTES: Final = 8_192
_LINE: Final = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?\Z")
_TRAILER: Final = re.compile(rb"([A-Za-z0-9\-]{1,100}):[ \t]*([\x21-\x7e]{0,500})[ \t]*\Z")
_MAX_LINE_BYTES: Final = 700
_MAX_TRAILERS: Final = 10
_SIGNATURE_TRAILER: Final = "x-amz-trailer-signature"
_EMPTY: Final = hashlib.sha256(b"").hexdigest()
_CRLF: Final = b"\r\n"
#: What stands around the chunks of a body: of one of 8 KiB a line of 88 bytes and two line ends.
_AROUND: Final = 128


@dataclass(frozen=True, slots=True)
class ChunkSigner:
    """What signs chunks. `key`: of the signature's scope; `seed`: the signature of the request."""

    key: bytes
    at: str
    scope: str
    seed: str

    def of_chunk(self, before: str, sha256: str) -> str:
        """Return the signature of a chunk behind one with the signature `before`."""
        return self._signed("AWS4-HMAC-SHA256-PAYLOAD", before, f"{_EMPTY}\n{sha256}")

    def of_trailers(self, before: str, trailers: str) -> str:
        """Return the signature of trailers behind the last chunk."""
        return self._signed("AWS4-HMAC-SHA256-TRAILER", before, hashlib.sha256(trailers.encode()).hexdigest())

    def _signed(self, kind: str, before: str, what: str) -> str:
        text = "\n".join((kind, self.at, self.scope, before, what))
        return hmac.digest(self.key, text.encode(), "sha256").hex()


def framed_bytes(content_bytes: int) -> int:
    """Return what a body of so much content takes at most in chunks."""
    return content_bytes + (content_bytes // MIN_CHUNK_BYTES + 3) * _AROUND + _MAX_TRAILERS * _MAX_LINE_BYTES


class Unframing:
    """A body in chunks as it comes. `feed` returns what is in it; `end` says whether it was whole.

    signer: None where nothing is checked. has_trailers: whether something may stand behind the last chunk.
    """

    def __init__(self, *, is_signed: bool, has_trailers: bool, signer: ChunkSigner | None) -> None:
        self.trailers: dict[str, str] = {}
        self._is_signed, self._has_trailers, self._signer = is_signed, has_trailers, signer
        self._before = "" if signer is None else signer.seed
        self._line = bytearray()
        self._left = 0
        self._state = self._read_line
        self._was_short = self._is_over = False
        self._hash = hashlib.sha256()
        self._signature = self._trailer_signature = ""
        self._trailer_text = ""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Return the content of the next bytes of the body. Raises S3Error."""
        view = memoryview(data)
        while view:
            if self._left:
                piece = view[: self._left]
                view = view[len(piece) :]
                self._left -= len(piece)
                if self._signer is not None:
                    self._hash.update(piece)
                yield bytes(piece)
                continue
            view = self._rest_of_line(view)

    def end(self) -> None:
        """Refuse a body that is not whole, or whose trailers are not signed. Raises S3Error."""
        if self._state == self._read_trailer and not self._line:
            # Some clients leave out the empty line at the end.
            self._finish()
        if not self._is_over:
            raise _incomplete("it ends within a chunk or before the last one")

    def _rest_of_line(self, view: memoryview) -> memoryview:
        """Take the rest of a line, or as much of it as is there."""
        piece = bytes(view[:_MAX_LINE_BYTES])
        end = piece.find(b"\n")
        taken = len(piece) if end < 0 else end + 1
        self._line += piece[:taken]
        if len(self._line) > _MAX_LINE_BYTES:
            raise _incomplete(f"a line has more than {_MAX_LINE_BYTES} bytes")
        if end >= 0:
            line = bytes(self._line)
            self._line.clear()
            if not line.endswith(_CRLF):
                raise _incomplete("a line ends without CRLF")
            self._state(line[: -len(_CRLF)])
        return view[taken:]

    def _read_line(self, line: bytes) -> None:
        found = _LINE.match(line)
        if found is None or (found[2] is not None) is not self._is_signed:
            raise _incomplete(f"{line[:40]!r} is no beginning of a chunk")
        size = int(found[1], 16)
        if size and self._was_short:
            raise S3Error("InvalidChunkSizeError", f"a chunk has less than {MIN_CHUNK_BYTES} bytes: only the last may")
        self._was_short = size < MIN_CHUNK_BYTES
        self._signature = (found[2] or b"").decode()
        self._left = size
        if size:
            self._state = self._close_chunk
        else:
            self._check_chunk()
            self._state = self._read_trailer

    def _close_chunk(self, line: bytes) -> None:
        if line:
            raise _incomplete("a chunk is longer than it says")
        self._check_chunk()
        self._state = self._read_line

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            self._finish()
            return
        found = _TRAILER.match(line)
        if found is None or not self._has_trailers or len(self.trailers) >= _MAX_TRAILERS:
            raise _incomplete(f"{line[:40]!r} stands behind its last chunk")
        name, value = found[1].decode().lower(), found[2].decode()
        if name in self.trailers or self._trailer_signature:
            raise _incomplete(f"it has the trailer {name[:40]!r} twice, or behind their signature")
        if name == _SIGNATURE_TRAILER:
            self._trailer_signature = value
            return
        self.trailers[name] = value
        self._trailer_text += f"{name}:{value}\n"

    def _finish(self) -> None:
        if self._signer is not None and self._has_trailers:
            expected = self._signer.of_trailers(self._before, self._trailer_text)
            if not hmac.compare_digest(expected.encode(), self._trailer_signature.encode()):
                raise _wrong_signature("the trailers")
        self._is_over = True
        self._state = self._refuse_more

    def _refuse_more(self, line: bytes) -> None:
        raise _incomplete(f"{line[:40]!r} stands behind its end")

    def _check_chunk(self) -> None:
        if self._signer is None:
            return
        expected = self._signer.of_chunk(self._before, self._hash.hexdigest())
        if not hmac.compare_digest(expected.encode(), self._signature.encode()):
            raise _wrong_signature("a chunk")
        self._before = expected
        self._hash = hashlib.sha256()


def _incomplete(why: str) -> S3Error:
    return S3Error("IncompleteBody", f"the body in chunks cannot be read: {why}; nothing of it was kept")


def _wrong_signature(what: str) -> S3Error:
    return S3Error("SignatureDoesNotMatch", f"the signature of {what} of the body is wrong; nothing of it was kept")
