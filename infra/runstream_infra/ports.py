"""Ports for processes that have to be given one before they start, and that come back to it."""

import random
import socket
from typing import Final

#: Below the ports that Linux gives to outgoing connections (32768 and up): while a process is down between two starts,
#: a client that keeps trying its port could otherwise be given that very port and be connected to itself.
_PORTS: Final = range(20_000, 32_000)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all held at once so that they differ, then let go."""
    held: list[socket.socket] = []
    try:
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(held) == count:
                break
            listener = socket.socket()
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                listener.close()
            else:
                held.append(listener)
        return [int(listener.getsockname()[1]) for listener in held]
    finally:
        for listener in held:
            listener.close()
