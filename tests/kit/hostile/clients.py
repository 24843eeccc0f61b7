"""Clients that keep a server waiting, by raw sockets; and the good client beside them."""

import http.client
import json
import re
import resource
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

#: No server on the slowest machine takes so long for what it does within a few seconds.
GENEROUS_S = 120.0


def allow_files(count: int) -> bool:
    """Let this process open so many files; whether it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= count


def opened(url: str, first: bytes = b"", *, source: str = "127.0.0.1") -> socket.socket:
    parts = urlsplit(url)
    made = socket.create_connection((parts.hostname or "", parts.port or 0), GENEROUS_S, source_address=(source, 0))
    if first:
        made.sendall(first)
    return made


@contextmanager
def crowd(url: str, count: int, first: bytes = b"", *, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """So many connections, each with these first bytes."""
    made: list[socket.socket] = []
    try:
        for _ in range(count):
            try:
                made.append(opened(url, first, source=source))
            except (ConnectionResetError, BrokenPipeError):
                continue  # refused at once
        yield made
    finally:
        for each in made:
            each.close()


def has_come(client: socket.socket, timeout_s: float = 0.0) -> bool:
    """Whether there is something to be read, or the end."""
    # Not `select`, which knows no descriptors beyond 1,023.
    waiting = select.poll()
    waiting.register(client, select.POLLIN)
    return bool(waiting.poll(timeout_s * 1000))


def is_closed(client: socket.socket) -> bool:
    """Whether the server closed it. What it sent before is read and dropped."""
    while has_come(client):
        try:
            if not client.recv(65_536):
                return True
        except OSError:
            return True
    return False


def received(client: socket.socket, timeout_s: float = GENEROUS_S) -> bytes:
    """Everything until the server closes the connection."""
    client.settimeout(timeout_s)
    found = bytearray()
    try:
        while chunk := client.recv(65_536):
            found += chunk
    except ConnectionError:
        pass
    return bytes(found)


def until(holds: Callable[[], bool], what: str, pause_s: float = 0.1) -> None:
    deadline_s = time.monotonic() + GENEROUS_S
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {GENEROUS_S:.0f} s: {what}"
        time.sleep(pause_s)


def trickled_until_closed(client: socket.socket, pieces: Iterator[bytes], pause_s: float) -> bytes:
    """Send a piece now and then until the server closes the connection; what it sent before."""
    deadline_s = time.monotonic() + GENEROUS_S
    found = bytearray()
    for piece in pieces:
        assert time.monotonic() < deadline_s, "the server waits for ever"
        try:
            client.sendall(piece)
            if has_come(client, pause_s):
                chunk = client.recv(65_536)
                if not chunk:
                    return bytes(found)
                found += chunk
        except OSError:
            return bytes(found)
    raise AssertionError("more pieces are needed")


def trickled_until_all_closed(clients: dict[str, socket.socket], piece: bytes, pause_s: float) -> dict[str, bytes]:
    """Send all of them a piece now and then until the server has closed them all; what it sent to each before."""
    deadline_s = time.monotonic() + GENEROUS_S
    found = {name: bytearray() for name in clients}
    left = dict(clients)
    while left:
        assert time.monotonic() < deadline_s, f"the server waits for ever: {sorted(left)}"
        for name, client in list(left.items()):
            try:
                # First what came: bytes that are sent behind the server's end make the kernel drop it.
                while has_come(client):
                    if not (chunk := client.recv(65_536)):
                        raise ConnectionResetError
                    found[name] += chunk
                client.sendall(piece)
            except OSError:
                left.pop(name).close()
        time.sleep(pause_s)
    return {name: bytes(response) for name, response in found.items()}


class GoodClient:
    """One that asks as it should: every request has to be served, over however many connections."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self.served = 0

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=GENEROUS_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        self.served += 1
        return response.status, body

    def post(self, path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=GENEROUS_S)
        try:
            connection.request("POST", path, body, {"Content-Type": content_type})
            response = connection.getresponse()
            found = response.read()
        finally:
            connection.close()
        self.served += 1
        return response.status, found

    def metric(self, name: str) -> float:
        """The value of a metric, with its labels as they stand there."""
        status, body = self.get("/metrics")
        assert status == 200
        found = re.search(rf"^{re.escape(name)} (\S+)$", body.decode(), re.MULTILINE)
        assert found, f"no metric {name}"
        return float(found[1])

    def closed(self, cause: str) -> float:
        return self.metric(f'runstream_connections_closed_total{{cause="{cause}"}}')


def problem_in(response: bytes) -> dict[str, object]:
    """The problem that a raw response is."""
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, response[:500]
    found: dict[str, object] = json.loads(body)
    return found


def rss_bytes(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024
