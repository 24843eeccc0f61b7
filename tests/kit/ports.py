"""Ports of this machine for servers of a test that have to come back under the same address."""

from runstream_infra.ports import free_ports


def free_port() -> int:
    """A port that is free at the moment."""
    return free_ports(1)[0]
