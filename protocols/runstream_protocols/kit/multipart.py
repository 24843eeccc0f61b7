"""The parts of a multipart/form-data body (RFC 7578), as they come, within bounds.

aiohttp's own reader has none on how many parts there are and how much stands before the first, takes 65 us a part, and
fails on some of what is malformed.
"""

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from runstream_protocols.kit.errors import Refused
from runstream_service.problems import Problem
from runstream_service.turns import Turns

#: Before the first part and behind the last; clients send nothing there.
_MAX_AROUND_BYTES: Final = 1_000
#: The headers of a part: a file's name has up to 10,000 characters, each of up to 12 bytes in a header.
_MAX_HEADER_BYTES: Final = 131_072
#: The longest boundary that RFC 2046 allows.
_MAX_BOUNDARY_CHARS: Final = 70
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]\Z")
_PARAMETER: Final = re.compile(r';\s*([\w!#$%&+^`|~*.\-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"\s]*))\s*')
_EXTENDED: Final = "utf-8''"
#: What a part may be encoded as, none of which changes its bytes.
_PLAIN_ENCODINGS: Final = frozenset(("binary", "8bit", "7bit", "identity"))


@dataclass(slots=True)
class Part:
    """One part. Its content has to be read before the next part is taken; what was not is passed over. `filename`: as
    its header has it, None if it has none; `content_type`: "" if it has none."""

    name: str
    content: AsyncIterator[bytes] = field(repr=False)
    filename: str | None = None
    content_type: str = ""

    async def small(self, max_bytes: int) -> bytes:
        """All of its content. Raises Problem where it has more bytes."""
        content = bytearray()
        async for chunk in self.content:
            content += chunk
            if len(content) > max_bytes:
                raise Refused(f"the part {self.name!r} has more than {max_bytes} bytes: send it as a file")
        return bytes(content)


def boundary_of(content_type: str) -> bytes:
    """The boundary of a body, by its header Content-Type. Raises Problem where it is no multipart or has none."""
    kind, _, rest = content_type.partition(";")
    if not kind.strip().lower().startswith("multipart/"):
        raise Refused(f"the body is {content_type[:100]!r}: send multipart/form-data with a part `file`")
    boundary = _parameters(f";{rest}").get("boundary", "")
    if not _BOUNDARY.match(boundary):
        detail = f"the boundary of the body is {boundary[: _MAX_BOUNDARY_CHARS + 1]!r}"
        raise malformed(f"{detail}: give 1 to {_MAX_BOUNDARY_CHARS} characters in Content-Type")
    return boundary.encode()


def malformed(detail: str) -> Problem:
    return Refused(f"the body is no multipart: {detail}")


async def parts_of(chunks: AsyncIterator[bytes], boundary: bytes, max_parts: int) -> AsyncIterator[Part]:
    """The parts of a body. Raises Problem (400) where it is malformed, and whatever `chunks` raises."""
    source = _Source(chunks, b"\r\n--" + boundary)
    await source.begin()
    for number in range(max_parts + 1):
        if await source.is_end():
            await source.finish()
            return
        if number == max_parts:
            raise malformed(f"it has more than the {max_parts} parts that are allowed")
        headers = await source.headers(number)
        name, filename = _names_of(headers, number)
        content = source.content(number)
        yield Part(name, content, filename, headers.get("content-type", ""))
        async for _ in content:
            pass


class _Source:
    """The body, with what was received of it and is not given yet."""

    def __init__(self, chunks: AsyncIterator[bytes], delimiter: bytes) -> None:
        self._chunks = chunks
        self._delimiter = delimiter
        # The first delimiter may stand at the very beginning.
        self._held = bytearray(b"\r\n")
        self._turns = Turns()

    async def begin(self) -> None:
        """Pass over what stands before the first part."""
        while (at := self._held.find(self._delimiter)) < 0:
            if len(self._held) > _MAX_AROUND_BYTES:
                raise malformed(f"its boundary does not stand within its first {_MAX_AROUND_BYTES} bytes")
            if not await self._more():
                raise malformed("its boundary, as Content-Type names it, does not stand in it")
        if at > _MAX_AROUND_BYTES:
            raise malformed(f"its boundary does not stand within its first {_MAX_AROUND_BYTES} bytes")
        del self._held[: at + len(self._delimiter)]

    async def is_end(self) -> bool:
        """Whether the delimiter that was just passed is the last."""
        while len(self._held) < 2:
            if not await self._more():
                raise malformed("it ends within a boundary")
        if self._held.startswith(b"--"):
            return True
        end = await self._find(b"\r\n", 100, "the line of a boundary")
        if self._held[:end].strip(b" \t"):
            raise malformed("something stands behind a boundary on its line")
        # The line's end stays: it is the one before the first header.
        del self._held[:end]
        return False

    async def headers(self, number: int) -> Mapping[str, str]:
        """The headers of part `number`, by lower-case name."""
        end = await self._find(b"\r\n\r\n", _MAX_HEADER_BYTES, f"the headers of part {number}")
        lines = bytes(self._held[2:end]).decode("utf-8", "replace").split("\r\n") if end >= 2 else []
        del self._held[: end + 4]
        found: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name.strip() or "\0" in line:
                raise malformed(f"part {number} has the header {line[:100]!r}, which is none")
            found[name.strip().lower()] = value.strip()
        return found

    async def content(self, number: int) -> AsyncIterator[bytes]:
        """The content of part `number` in pieces; it ends behind the delimiter."""
        while (at := self._held.find(self._delimiter)) < 0:
            given = len(self._held) - len(self._delimiter) + 1
            if given > 0:
                piece = bytes(self._held[:given])
                del self._held[:given]
                yield piece
            if not await self._more():
                raise malformed(f"part {number} does not end with the boundary")
        piece = bytes(self._held[:at])
        del self._held[: at + len(self._delimiter)]
        if piece:
            yield piece

    async def finish(self) -> None:
        """Pass over what stands behind the last part."""
        size = len(self._held)
        while await self._more():
            size = len(self._held)
            if size > _MAX_AROUND_BYTES:
                break
        if size > _MAX_AROUND_BYTES:
            raise malformed(f"more than {_MAX_AROUND_BYTES} bytes stand behind its end")

    async def _find(self, what: bytes, max_bytes: int, name: str) -> int:
        begin = 0
        while (at := self._held.find(what, begin)) < 0:
            if len(self._held) > max_bytes:
                raise malformed(f"{name} have more than {max_bytes} bytes")
            begin = max(0, len(self._held) - len(what) + 1)
            if not await self._more():
                raise malformed(f"it ends within {name}")
        if at > max_bytes:
            raise malformed(f"{name} have more than {max_bytes} bytes")
        return at

    async def _more(self) -> bool:
        await self._turns.rest()
        chunk = await anext(self._chunks, b"")
        self._held += chunk
        return bool(chunk)


def _names_of(headers: Mapping[str, str], number: int) -> tuple[str, str | None]:
    """The name of a part, which has to be one that can be read as it stands, and that of its file."""
    kind, _, rest = headers.get("content-disposition", "").partition(";")
    if kind.strip().lower() != "form-data":
        raise malformed(f"part {number} has no Content-Disposition: form-data")
    parameters = _parameters(f";{rest}" if rest else "")
    name = parameters.get("name", "")
    if not name:
        raise malformed(f"part {number} has no name in Content-Disposition")
    if headers.get("content-type", "").lower().startswith("multipart/"):
        raise malformed(f"part {name[:100]!r} has parts of its own")
    for header in ("content-transfer-encoding", "content-encoding"):
        coding = headers.get(header, "binary").lower()
        if coding not in _PLAIN_ENCODINGS:
            raise malformed(f"part {name[:100]!r} has the {header} {coding[:100]!r}: send its bytes as they are")
    return name, _filename_of(parameters)


def _filename_of(parameters: Mapping[str, str]) -> str | None:
    """The name of a part's file; some programs send one that is not ASCII as RFC 5987 has it."""
    extended = parameters.get("filename*", "")
    if extended.lower().startswith(_EXTENDED):
        return unquote(extended[len(_EXTENDED) :], errors="replace")
    return parameters.get("filename")


def _parameters(text: str) -> dict[str, str]:
    """The parameters behind a header's value: `; name="a"; filename="b"`. Empty where they cannot be read."""
    return dict(_parameters_of(text))


def _parameters_of(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    text = text.strip()
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            return
        quoted = match[2]
        yield match[1].lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match[3]
        at = match.end()
