"""Targets with planted faults, for tests of the harness."""

import hashlib
import os
import random
from typing import Final

from fuzzing.cases import Fault, Target
from fuzzing.contract import make_frames
from runstream.events.frame import GROUP, HEADER


def _make(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(200))


def _raises(data: bytes) -> None:
    """A decoder that trusts the number of groups and reads behind the end."""
    groups = HEADER.unpack_from(data)[-1]
    if groups > len(data) // GROUP.size:
        raise IndexError(f"group {groups} of {len(data)} bytes")


def _takes_memory(data: bytes) -> None:
    if data[:1] == b"\x07":
        bytearray(60_000_000)


def _dies(data: bytes) -> None:
    if data[:1] == b"\x07":
        os.abort()


def _never_ends(data: bytes) -> None:
    if data[:1] == b"\x07":
        while True:
            pass


def _is_slow(data: bytes) -> None:
    if data[:1] == b"\x07":
        for _ in range(40):
            hashlib.sha256(bytes(4_000_000))


def _accepts_wrong(data: bytes) -> None:
    if data[:1] > b"\xf0":
        raise Fault("a wrong value", "7")


PURE: Final = tuple(
    Target(run.__name__, make, run, len, 1)
    for make, run in (
        (make_frames, _raises),
        (_make, _takes_memory),
        (_make, _dies),
        (_make, _never_ends),
        (_make, _is_slow),
        (_make, _accepts_wrong),
    )
)
