"""Identities that are made by the client: run ids, writer ids, asset ids."""

import os
import time
from typing import Final

#: 74 random bits are what a version 7 UUID has besides its time, version and variant.
RANDOM_BYTES: Final = 10


def uuid7_hex(unix_ms: int, randomness: bytes) -> str:
    """A version 7 UUID as 32 hexadecimal characters: 48 bits of time first, so that ids sort by when they were made.

    `randomness` has RANDOM_BYTES bytes; six of its bits give way to the version and the variant.
    """
    rest = int.from_bytes(randomness[:RANDOM_BYTES], "big")
    value = (unix_ms & ((1 << 48) - 1)) << 80 | rest
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return f"{value:032x}"


def new_id() -> str:
    """A fresh id from the system's clock and randomness."""
    return uuid7_hex(time.time_ns() // 1_000_000, os.urandom(RANDOM_BYTES))
