"""The transport of the reading API: what counts as the server's silence, and what does not."""

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runstream.api import API, Asset, ServerUnreachable
from runstream.api.transport import Transport
from runstream.api.values import moment

pytestmark = pytest.mark.sockets

SIZE_BYTES = 5_000_000


@contextmanager
def answering(response: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request, answers it as told and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while b"\r\n\r\n" not in connection.recv(65_536):
                pass
            try:
                response(connection)
            except OSError:
                return  # the client has gone: that is its good right

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join(120)
        listener.close()


def whole(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE_BYTES + bytes(SIZE_BYTES))


def cut(connection: socket.socket) -> None:
    """A chunk, and the line hung up in the middle of the next."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\nff\r\nx")


def asset(size_bytes: int) -> Asset:
    return Asset("r", "a", "m.bin", "model", "0" * 64, size_bytes, "x/y", None, {}, moment("2026-01-02T03:04:05Z"))


def read(url: str, *sizes: int, then: Exception | None = None) -> None:
    """Read the response in pieces of these sizes (-1: the rest), then fail for a reason of one's own."""
    with Transport(url, None).open("GET", "/") as body:
        for size in sizes:
            assert body.read(size)
        if then is not None:
            raise then


def test_an_error_of_the_block_is_the_blocks_own() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with answering(whole) as url, pytest.raises(OSError, match="No space left") as raised:
        read(url, 1000, then=full)
    assert raised.value is full


def test_a_full_disk_under_a_download_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "m.bin"
    with monkeypatch.context() as patched, answering(whole) as url:
        patched.setattr(
            "runstream.api.parts.saving._new_file", lambda path: os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb")
        )
        with pytest.raises(OSError, match="No space left") as raised:
            API(url=url).download(asset(SIZE_BYTES), target)
    assert (raised.value.errno, [*tmp_path.glob(".*"), *tmp_path.glob("m.bin*")]) == (errno.ENOSPC, [])
    with answering(whole) as url:
        assert API(url=url).download(asset(SIZE_BYTES), target).stat().st_size == SIZE_BYTES


def test_a_download_into_a_missing_folder_names_it(tmp_path: Path) -> None:
    with answering(whole) as url, pytest.raises(FileNotFoundError, match="missing"):
        API(url=url).download(asset(SIZE_BYTES), tmp_path / "missing" / "m.bin")


def test_a_response_that_breaks_off_is_the_servers() -> None:
    broke_off = r"the response of http://127\.0\.0\.1:\d+ broke off .*: ask again"
    with answering(cut) as url, pytest.raises(ServerUnreachable, match=broke_off):
        read(url, 4, -1)


def test_lines_that_break_off_are_the_servers() -> None:
    with (
        answering(cut) as url,
        pytest.raises(ServerUnreachable, match="broke off"),
        Transport(url, None).open("GET", "/") as body,
    ):
        list(body)


def test_a_port_where_nobody_listens_names_the_address_and_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(ServerUnreachable, match=rf"no response from {url} .*runstream up.*RUNSTREAM_URL"):
        Transport(url, None).get("/api/v1/runs")
