"""CRC-32C and CRC-64/NVME, which clients send by default and Python's library lacks. Pure.

A CRC is linear over bits: that of a long text follows from those of its lanes, pieces of equal length, and from what
zero bytes make of a state. So numpy computes thousands of lanes at once, some 500 MB a second.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

#: Both are reflected: the lowest bit comes first.
_CRC32C: Final = 0x82F63B78
_CRC64NVME: Final = 0x9A6C9329AC4BC9B5
_LANE_BYTES: Final = 256
#: What is done at once: its lanes fit into a core's cache, and nobody waits for long behind it.
_PIECE_BYTES: Final = 1 << 20
_BYTE: Final = np.uint64(0xFF)
_EIGHT: Final = np.uint64(8)
_SIXTEEN: Final = np.uint64(16)

States = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class _Polynomial:
    bits: int
    value: int

    @property
    def ones(self) -> int:
        """What a state begins with, and what is added to it at the end."""
        return (1 << self.bits) - 1


class Crc:
    """A CRC of bytes that are given one after the other."""

    def __init__(self, polynomial: _Polynomial) -> None:
        self._polynomial = polynomial
        self._state = polynomial.ones

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        for first in range(0, len(data), _PIECE_BYTES):
            piece = data[first : first + _PIECE_BYTES]
            self._state = _behind_zeros(self._polynomial, self._state, len(piece)) ^ _alone(self._polynomial, piece)

    def digest(self) -> bytes:
        """Return the CRC, the highest byte first."""
        return (self._state ^ self._polynomial.ones).to_bytes(self._polynomial.bits // 8, "big")


def crc32c() -> Crc:
    """Return a CRC-32C (Castagnoli) of nothing yet."""
    return Crc(_Polynomial(32, _CRC32C))


def crc64nvme() -> Crc:
    """Return a CRC-64/NVME of nothing yet."""
    return Crc(_Polynomial(64, _CRC64NVME))


def _alone(polynomial: _Polynomial, piece: bytes) -> int:
    """The state behind the piece, of a state that is zero before it. Zeros in front of it change nothing."""
    lanes = max(-(-len(piece) // _LANE_BYTES), 1)
    padded = np.zeros(lanes * _LANE_BYTES, np.uint8)
    padded[len(padded) - len(piece) :] = np.frombuffer(piece, np.uint8)
    # One row for each pair of bytes within a lane.
    pairs = np.ascontiguousarray(padded.view("<u2").reshape(lanes, _LANE_BYTES // 2).T)
    states, table = np.zeros(lanes, np.uint64), _table(polynomial, 16)
    for pair in pairs:
        states = table.take(states.astype(np.uint16) ^ pair, mode="wrap") ^ (states >> _SIXTEEN)
    return _joined(polynomial, states)


def _joined(polynomial: _Polynomial, states: States) -> int:
    """The state behind lanes that stand one behind the other."""
    exponent = _LANE_BYTES.bit_length() - 1
    while len(states) > 1:
        if len(states) % 2:
            states = np.concatenate((np.zeros(1, np.uint64), states))
        states = _applied(_zeros(polynomial, exponent), states[::2]) ^ states[1::2]
        exponent += 1
    return int(states[0])


def _behind_zeros(polynomial: _Polynomial, state: int, count: int) -> int:
    """What so many zero bytes make of a state."""
    states = np.array([state], np.uint64)
    for exponent in _exponents(count):
        states = _applied(_zeros(polynomial, exponent), states)
    return int(states[0])


def _exponents(count: int) -> Iterator[int]:
    return (exponent for exponent in range(count.bit_length()) if count >> exponent & 1)


def _applied(tables: States, states: States) -> States:
    """The states behind a linear map, given by what it makes of each value of each of their bytes."""
    found = np.zeros(len(states), np.uint64)
    for place, table in enumerate(tables):
        found ^= table[(states >> np.uint64(8 * place)) & _BYTE]
    return found


@lru_cache(maxsize=4)
def _table(polynomial: _Polynomial, bits: int) -> States:
    """What each value of so many bits makes of a state that is zero."""
    table = np.arange(1 << bits, dtype=np.uint64)
    one = np.uint64(1)
    for _ in range(bits):
        table = np.where(table & one, np.uint64(polynomial.value) ^ (table >> one), table >> one)
    return table


@lru_cache(maxsize=128)
def _zeros(polynomial: _Polynomial, exponent: int) -> States:
    """What 2 ** exponent zero bytes make of each value of each byte of a state."""
    if exponent == 0:
        states = np.arange(256, dtype=np.uint64) << (np.arange(0, polynomial.bits, 8, dtype=np.uint64)[:, None])
        behind: States = _table(polynomial, 8)[states & _BYTE] ^ (states >> _EIGHT)
        return behind
    half = _zeros(polynomial, exponent - 1)
    return np.stack([_applied(half, row) for row in half])
