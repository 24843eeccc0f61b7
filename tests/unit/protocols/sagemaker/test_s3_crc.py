"""CRC-32C and CRC-64/NVME against a bit by bit form, in any pieces."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstream_protocols.sagemaker.s3 import crc
from runstream_protocols.sagemaker.s3.checksums import Digests

KINDS = [(crc.crc32c, 32, 0x82F63B78), (crc.crc64nvme, 64, 0x9A6C9329AC4BC9B5)]


def plain(data: bytes, bits: int, polynomial: int) -> bytes:
    """As the definition has it."""
    state = (1 << bits) - 1
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (polynomial if state & 1 else 0)
    return (state ^ ((1 << bits) - 1)).to_bytes(bits // 8, "big")


def of(made: Callable[[], crc.Crc], *pieces: bytes) -> bytes:
    one = made()
    for piece in pieces:
        one.update(piece)
    return one.digest()


def test_they_are_those_of_the_catalogues() -> None:
    assert of(crc.crc32c, b"123456789").hex() == "e3069283"
    assert of(crc.crc64nvme, b"123456789").hex() == "ae8b14860a799888"
    digests = Digests(("crc32c", "crc64nvme"))
    digests.update(b"hello world")
    assert digests.checksums()["crc32c"] == "yZRlqg=="


@pytest.mark.parametrize(("made", "bits", "polynomial"), KINDS)
@settings(deadline=None)
@given(st.lists(st.binary(max_size=1_500), max_size=4))
def test_any_pieces_give_that_of_the_whole(
    made: Callable[[], crc.Crc], bits: int, polynomial: int, pieces: list[bytes]
) -> None:
    assert of(made, *pieces) == plain(b"".join(pieces), bits, polynomial)


@pytest.mark.parametrize(("made", "bits", "polynomial"), KINDS)
@pytest.mark.parametrize("size", [255, 256, 257, 70_001, (1 << 20) + 3])
def test_long_ones_do_not_depend_on_their_pieces(
    made: Callable[[], crc.Crc], bits: int, polynomial: int, size: int
) -> None:
    data = random.Random(size).randbytes(size)
    whole = of(made, data)
    assert whole == of(made, data[:100], data[100:999], data[999:])
    if size < 100_000:
        assert whole == plain(data, bits, polynomial)
