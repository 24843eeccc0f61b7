"""Frames whose lengths lie."""

import struct
import zlib

import lz4.block

from runstream.events.frame import EVENTS, GROUP, HEADER, LZ4, RAGGED, RAGGED_EPOCHS, ROWS_CONTIGUOUS, STORED

WRITER = "ab" * 16
NO_EVENTS = EVENTS.pack(STORED, 0, 0)


def hand_made(first: int, end: int, body: bytes, groups: int, key: bytes = b"bad") -> bytes:
    size = HEADER.size + len(key) + len(body)
    head = HEADER.pack(b"RS", 1, 0, size, 0, bytes.fromhex(WRITER), first, end, len(key), 0, groups)
    data = head + key + body
    return data[:8] + struct.pack("<I", zlib.crc32(data[12:])) + data[12:]


def ragged(layout: int, lengths: list[int], values: int, codec: int = STORED) -> bytes:
    rows = len(lengths)
    raw = b"a" + struct.pack(f"<{rows}I{rows}q{rows}q{rows}I", *[0] * rows, *[0] * rows, *[0] * rows, *lengths)
    raw += bytes(8 * rows if layout == RAGGED_EPOCHS else 0) + bytes(12 * values)
    stored = lz4.block.compress(raw, store_size=False) if codec == LZ4 else raw
    return NO_EVENTS + GROUP.pack(codec, layout, rows, 0, 1, 1, len(raw), len(stored)) + stored


def claiming(events: int, raw: int) -> bytes:
    body = EVENTS.pack(LZ4, events, 4) + bytes(4)
    return body + GROUP.pack(LZ4, ROWS_CONTIGUOUS, 1, 0, 1, max(raw - 24, 0), raw, 4) + bytes(4)


HOSTILE = {
    "the issue's frame": hand_made(0, 1, ragged(RAGGED_EPOCHS, [2**30], 0), 1),
    "without epochs": hand_made(0, 1, ragged(RAGGED, [2**30], 0), 1),
    "lengths that overflow 32 bits": hand_made(0, 2, ragged(RAGGED, [2**31, 2**31], 0), 1),
    "packed": hand_made(0, 400, ragged(RAGGED_EPOCHS, [2**32 - 1] * 400, 0, LZ4), 1),
    "at the end of numbers": hand_made(2**64 - 2, 2**64 - 1, ragged(RAGGED_EPOCHS, [2**32 - 1], 1), 1),
    "events that cannot unpack": hand_made(0, 1, claiming(4_000_000, 25), 1),
    "too many events": hand_made(0, 1, claiming(15_000_000, 25), 1),
    "rows that cannot unpack": hand_made(0, 1, claiming(0, 15_000_000), 1),
    "more rows than numbers": hand_made(0, 1, 1 * ragged(RAGGED, [0, 0], 0), 1),
}


def of_writer(number: int, data: bytes) -> bytes:
    changed = data[:12] + number.to_bytes(16, "big") + data[28:]
    return changed[:8] + struct.pack("<I", zlib.crc32(changed[12:])) + changed[12:]
