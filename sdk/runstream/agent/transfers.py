"""Files by URLs that need no key."""

import os
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlsplit

from runstream.api import ServerFailed, ServerUnreachable
from runstream.connections import FAILURES, Connection, Response, Unsendable, readable
from runstream.errors import Invalid
from runstream.plain_files import open_plain

_TIMEOUT_S: Final = 60.0
_PIECE_BYTES: Final = 1 << 18
_OK: Final = 200
#: Refusals that are none: too slow, too much at once.
_LATER: Final = (408, 429)


class TooLarge(Exception):
    """A file is larger than it may be. The message says both."""


def download(url: str, path: Path, limit_bytes: int) -> None:
    """Write what is at a URL to a new file. Raises TooLarge, ServerUnreachable, ServerFailed, Invalid, OSError."""
    connection = _connection(url)
    try:
        response = _requested(connection, "GET", url, None, 0)
        declared = int(response.headers.get("content-length") or 0)
        size = 0
        with path.open("wb") as file:
            while declared <= limit_bytes and (piece := _piece(response, url)):
                size += len(piece)
                if size > limit_bytes:
                    break
                file.write(piece)
        if max(declared, size) > limit_bytes:
            found = max(declared, size)
            raise TooLarge(f"the file {path.name} has {found} bytes or more, at most {limit_bytes} are read")
    finally:
        connection.close()


def upload(url: str, path: Path) -> None:
    """Send a plain file to a URL. Raises ServerUnreachable, ServerFailed, OSError; Invalid for what is no plain file,
    or is refused."""
    connection = _connection(url)
    try:
        with open_plain(path) as file:
            _requested(connection, "PUT", url, file, os.fstat(file.fileno()).st_size).read_all(_PIECE_BYTES)
    finally:
        connection.close()


def _connection(url: str) -> Connection:
    try:
        return Connection(urlsplit(url)._replace(path="", query=""))
    except ValueError as error:
        raise Unsendable(f"the server gave the URL {url[:200]!r}, which is none: {error}") from None


def _requested(connection: Connection, method: str, url: str, body: BinaryIO | None, size: int) -> Response:
    headers = {} if body is None else {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
    try:
        response = connection.request(method, urlsplit(url).path, body, headers, _TIMEOUT_S)
        if response.status == _OK:
            return response
        told = readable(response.read_all(_PIECE_BYTES).decode("utf-8", "replace"))
    except FAILURES as error:
        raise ServerUnreachable(f"{_origin(url)} does not respond: {readable(str(error))}") from error
    refuses = 400 <= response.status < 500 and response.status not in _LATER
    raise (Invalid if refuses else ServerFailed)(f"{_origin(url)} answered {response.status} to {method}: {told}")


def _piece(response: Response, url: str) -> bytes:
    try:
        return response.read(_PIECE_BYTES)
    except FAILURES as error:
        raise ServerUnreachable(f"{_origin(url)} broke off a file: {readable(str(error))}") from error


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
