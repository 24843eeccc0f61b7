"""Whose program sent a request to a loopback port. Linux tells it; elsewhere nobody does."""

import os
import socket
import sys
from pathlib import Path
from typing import Final

_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
_MAX_LINES: Final = 200_000


def is_own_user(peer: tuple[str, int] | None) -> bool:
    """Return whether the program at the other end of a connection from this machine is one of this process's user (or
    of root). Where the system does not tell, it is taken for one. Blocks for some milliseconds."""
    if not sys.platform.startswith("linux") or peer is None:
        return not sys.platform.startswith("linux")
    uid = uid_of(peer[0], peer[1])
    return uid in (os.getuid(), 0)


def uid_of(address: str, port: int) -> int | None:
    """Return the user of the socket that is bound to an address of this machine; None if there is none."""
    wanted = {_in_table(address, port)}
    if "." in address and ":" not in address:
        wanted.add(f"0000000000000000FFFF0000{_in_table(address, port)}")
    for table in _TABLES:
        try:
            with Path(table).open() as file:
                for _, line in zip(range(_MAX_LINES), file, strict=False):
                    parts = line.split()
                    if len(parts) > 7 and parts[1] in wanted:
                        return int(parts[7])
        except OSError:
            continue
    return None


def _in_table(address: str, port: int) -> str:
    """The address as the kernel's table has it: words of four bytes in the machine's order."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address.partition("%")[0])
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
