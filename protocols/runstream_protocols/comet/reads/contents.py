"""The bytes of files for Comet's client, which reads a text by the charset that stands in the header."""

import codecs
from typing import Final

from aiohttp import web

from runstream_query.http.context import Context
from runstream_query.http.files import OCTETS, file_headers, send_file

#: How much of a file of an unknown type is looked at.
_BEGINNING_BYTES: Final = 4_096
_TEXT: Final = "text/plain"


async def send_content(
    context: Context, request: web.Request, name: str, sha256: str, content_type: str
) -> web.StreamResponse:
    """Send the bytes of a file, whole or one range. Raises AssetMissing, Problem (416)."""
    headers = file_headers(name, content_type)
    if headers["Content-Type"] == OCTETS and await _is_foreign_text(context, sha256):
        # The client would guess the encoding.
        headers = file_headers(name, _TEXT)
    return await send_file(context, request, sha256, name, headers)


async def _is_foreign_text(context: Context, sha256: str) -> bool:
    """Return whether a file begins as a text in UTF-8 beyond ASCII. JSON is none: the client reads it as a value only
    from a type that says nothing else."""
    size_bytes = await context.assets.size_of(sha256)
    if not size_bytes:
        return False
    stream = await context.assets.open(sha256, 0, min(size_bytes, _BEGINNING_BYTES))
    beginning = b"".join([chunk async for chunk in stream.chunks])
    return is_foreign_text(beginning)


def is_foreign_text(beginning: bytes) -> bool:
    """Return whether these first bytes of a file are a text in UTF-8, not ASCII alone, and no JSON."""
    if beginning.isascii() or b"\0" in beginning or beginning.lstrip()[:1] in (b"{", b"[", b'"'):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return False
    return True
