"""Something that answers under a gateway's address and is none: it reads a request and says what it is told to."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from runstream.events.frame import split_frames


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def writers(self) -> list[str]:
        return [head.writer_id for head, _ in split_frames(self.body)]


Face = Callable[[Request], bytes]
#: How much an endless response has, at most: more than anybody reads in the seconds that a request may take.
_ENDLESS_BYTES = 8_000_000_000


def response(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@dataclass
class HostileServer:
    """Serves on 127.0.0.1 at a free port while the `with` block runs. `face` may be exchanged at any time. A response
    that ends in `endless` is followed by bytes for as long as somebody reads them."""

    face: Face
    endless: bytes = b""
    trickle_s: float | None = None
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    def __enter__(self) -> Self:
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as file:
                while (request := _read(file)) is not None:
                    self.requests.append(request)
                    response = self.face(request)
                    connection.sendall(response)
                    if b"Connection: close" in response:
                        return
                    if self.endless or self.trickle_s is not None:
                        self._go_on(connection)
                        return
        except (OSError, ValueError):
            return

    def _go_on(self, connection: socket.socket) -> None:
        piece = self.endless or b" "
        if self.trickle_s is not None:
            while not self._stopping.wait(self.trickle_s):
                connection.sendall(piece)
            return
        piece *= max(1 << 16, len(piece)) // len(piece)
        sent = 0
        while sent < _ENDLESS_BYTES and not self._stopping.is_set():
            connection.sendall(piece)
            sent += len(piece)


def _read(file: "object") -> Request | None:
    first = file.readline()  # type: ignore[attr-defined]
    if not first:
        return None
    method, path, _ = first.decode("latin-1").split(" ", 2)
    headers = {}
    while (line := file.readline().decode("latin-1").strip()) != "":  # type: ignore[attr-defined]
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = file.read(int(headers.get("content-length", 0)))  # type: ignore[attr-defined]
    return Request(method, path, headers, body)
