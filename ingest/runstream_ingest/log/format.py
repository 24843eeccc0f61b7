"""Bytes of the embedded log on disk (docs/design/log.md). Little-endian, unaligned; pure functions only.

    segment  header "<4sHHQqI": magic, version, partition, base offset, created (us since 1970 UTC), crc32 of what is
             before it; padded to 32 bytes. Then records, one behind the other.
    record   head "<4sII": magic, size of the whole record, crc32 of everything behind the crc;
             body "<QqIH": offset, at_us, group start, size of the key; then the key and the value.
    mark     "<QQQI": base offset of the segment, bytes in it and next offset that are durable, crc32.

The group start is the place in the file where the write began that carried the record. A write only begins when all
before it is synced, so every record is a witness that the bytes before its group start were durable.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

VERSION: Final = 1
SEGMENT_MAGIC: Final = b"RSLG"
RECORD_MAGIC: Final = b"\xd1RS\xe7"  # two bytes that no UTF-8 text has next to these letters
_SEGMENT: Final = struct.Struct("<4sHHQqI")
SEGMENT_HEADER_BYTES: Final = 32
HEAD: Final = struct.Struct("<4sII")
BODY: Final = struct.Struct("<QqIH")
RECORD_FIXED_BYTES: Final = HEAD.size + BODY.size
_MARK: Final = struct.Struct("<QQQI")
MARK_BYTES: Final = _MARK.size

#: Each has files of its own; what names more is damaged.
MAX_PARTITIONS: Final = 64
MAX_KEY_BYTES: Final = 0xFFFF
#: 64 times the largest frame: whatever claims more is damage, not a record.
MAX_VALUE_BYTES: Final = 64_000_000
#: A group start has 32 bits; a segment is at most this plus one group (at most as much again), which is below 4 GiB.
MAX_SEGMENT_BYTES: Final = 1 << 30


class Damage(Exception):
    """Bytes that are no whole record. `position` is where in the file, `reason` what is wrong with them, and
    `maybe_torn` whether a write that was cut short can look like this."""

    def __init__(self, position: int, reason: str, *, maybe_torn: bool = True) -> None:
        super().__init__(f"at byte {position}: {reason}")
        self.position = position
        self.reason = reason
        self.maybe_torn = maybe_torn


class RecordHead(NamedTuple):
    """Everything of a record but its key and value."""

    size: int
    crc: int
    offset: int
    at_us: int
    group_start: int
    key_size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a partition is known to be durable: a lower bound, written after each sync, itself never synced."""

    base_offset: int
    size_bytes: int
    next_offset: int

    def pack(self) -> bytes:
        body = _MARK.pack(self.base_offset, self.size_bytes, self.next_offset, 0)[:-4]
        return body + zlib.crc32(body).to_bytes(4, "little")

    @classmethod
    def unpack(cls, data: bytes) -> Self | None:
        """The mark, or None where the bytes are none (never written, or cut by a power failure)."""
        if len(data) != MARK_BYTES or zlib.crc32(data[:-4]).to_bytes(4, "little") != data[-4:]:
            return None
        base_offset, size_bytes, next_offset, _ = _MARK.unpack(data)
        return cls(base_offset, size_bytes, next_offset)


def segment_header(partition: int, base_offset: int, created_us: int) -> bytes:
    """The first 32 bytes of a segment."""
    body = _SEGMENT.pack(SEGMENT_MAGIC, VERSION, partition, base_offset, created_us, 0)[:-4]
    return (body + zlib.crc32(body).to_bytes(4, "little")).ljust(SEGMENT_HEADER_BYTES, b"\0")


def check_segment_header(data: bytes, partition: int, base_offset: int) -> None:
    """Raises Damage unless `data` begins as the segment of that partition and base offset."""
    if len(data) < SEGMENT_HEADER_BYTES:
        raise Damage(0, f"the segment's header is cut: {len(data)} of {SEGMENT_HEADER_BYTES} bytes are there")
    magic, version, part, base, _, crc = _SEGMENT.unpack_from(data)
    if magic != SEGMENT_MAGIC or zlib.crc32(data[: _SEGMENT.size - 4]) != crc:
        raise Damage(0, "the segment's header is damaged")
    if version != VERSION:
        raise Damage(0, f"the segment has version {version}, this build reads {VERSION}: upgrade it", maybe_torn=False)
    if (part, base) != (partition, base_offset):
        reason = f"the segment says it is partition {part} from offset {base}: it was renamed or moved here"
        raise Damage(0, reason, maybe_torn=False)


def group_size(records: Sequence[tuple[bytes, bytes]]) -> int:
    """The bytes that these records take in a segment."""
    return sum(RECORD_FIXED_BYTES + len(key) + len(value) for key, value in records)


def encode_group(
    records: Sequence[tuple[bytes, bytes]], first_offset: int, at_us: int, group_start: int
) -> tuple[bytes, list[int]]:
    """The bytes of records that are written by one write at `group_start`, and where in them each record begins."""
    parts: list[bytes] = []
    starts: list[int] = []
    at = 0
    for offset, (key, value) in enumerate(records, first_offset):
        body = BODY.pack(offset, at_us, group_start, len(key)) + key
        size = HEAD.size + len(body) + len(value)
        parts += (HEAD.pack(RECORD_MAGIC, size, zlib.crc32(value, zlib.crc32(body))), body, value)
        starts.append(at)
        at += size
    return b"".join(parts), starts


def read_head(view: memoryview, at: int, position: int) -> RecordHead:
    """The head of the record at `at` of `view`, which lies at `position` of the file. Raises Damage.

    Needs RECORD_FIXED_BYTES bytes in the view; the record itself may reach beyond it.
    """
    magic, size, crc = HEAD.unpack_from(view, at)
    if magic != RECORD_MAGIC:
        raise Damage(position, f"no record begins here ({bytes(magic)!r} instead of {RECORD_MAGIC!r})")
    offset, at_us, group_start, key_size = BODY.unpack_from(view, at + HEAD.size)
    if not RECORD_FIXED_BYTES + key_size <= size <= RECORD_FIXED_BYTES + MAX_KEY_BYTES + MAX_VALUE_BYTES:
        raise Damage(position, f"the record says it has {size} bytes, which none can have")
    return RecordHead(size, crc, offset, at_us, group_start, key_size)


def check_record(view: memoryview, at: int, head: RecordHead, position: int) -> None:
    """Raises Damage unless the whole record at `at` of `view` has the checksum that its head says."""
    if zlib.crc32(view[at + HEAD.size : at + head.size]) != head.crc:
        raise Damage(position, f"the checksum of the record with offset {head.offset} does not match")


def later_group_start(data: bytes, base_position: int, damaged_at: int, next_offset: int) -> int | None:
    """Where the first whole record behind the damage stands whose write began behind the damage; None if none does.

    Such a record proves that the damaged bytes had been synced. `data` are the bytes of the file from `base_position`,
    `next_offset` the offset of the record that was to stand at the damage. Values are what clients sent, so a record
    that stands in the value of another one, or tells a place or an offset that cannot be, is none.
    """
    view = memoryview(data)
    at = data.find(RECORD_MAGIC)
    while at != -1 and at + RECORD_FIXED_BYTES <= len(data):
        position = base_position + at
        following = at + 1
        try:
            head = read_head(view, at, position)
            if at + head.size <= len(data):
                check_record(view, at, head, position)
                if damaged_at < head.group_start <= position and _may_follow(head, position, damaged_at, next_offset):
                    return position
                following = at + head.size
        except Damage:
            pass  # the four bytes of the magic inside of something else
        at = data.find(RECORD_MAGIC, following)
    return None


def _may_follow(head: RecordHead, position: int, damaged_at: int, next_offset: int) -> bool:
    """Whether a record at `position` can have that offset, as many records as fit between it and the damage."""
    return next_offset < head.offset <= next_offset + (position - damaged_at) // RECORD_FIXED_BYTES
