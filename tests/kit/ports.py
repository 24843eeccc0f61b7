"""Ports of this machine for servers of a test that have to come back under the same address."""

import socket


def free_port() -> int:
    """A port that is free at the moment."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
