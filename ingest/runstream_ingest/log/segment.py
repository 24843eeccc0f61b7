"""One segment file: its name, its sparse index, scanning it and reading from it. Nothing here writes records."""

import os
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from runstream.private import private_opener
from runstream_ingest.log.format import (
    RECORD_FIXED_BYTES,
    SEGMENT_HEADER_BYTES,
    Damage,
    RecordHead,
    check_record,
    check_segment_header,
    read_head,
)
from runstream_service.log import Record

#: One entry every 64 KiB: finding a record reads 32 KiB too much on average, and 128 MiB need 2,048 entries.
INDEX_EVERY_BYTES: Final = 1 << 16
_READ_BYTES: Final = 1 << 20

_INDEX_MAGIC: Final = b"RSLI"
#: magic, version, base offset, next offset, size of the segment, first and last at_us, number of entries
_INDEX_HEAD: Final = struct.Struct("<4sIQQQqqI")
_INDEX_ENTRY: Final = struct.Struct("<QQq")


class IndexEntry(NamedTuple):
    """A record of a segment: its offset, its place in the file, its time."""

    offset: int
    position: int
    at_us: int


@dataclass(frozen=True, slots=True)
class Segment:
    """The durable part of a segment file: records [base_offset, next_offset) in its first `size_bytes` bytes."""

    path: Path
    partition: int
    base_offset: int
    next_offset: int
    size_bytes: int
    first_at_us: int
    last_at_us: int


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found: the segment up to the first byte that is no record, and what is wrong there (if anything)."""

    segment: Segment
    index: list[IndexEntry]
    damage: Damage | None


def segment_path(folder: Path, base_offset: int) -> Path:
    return folder / f"{base_offset:020d}.segment"


def index_path(segment: Path) -> Path:
    return segment.with_suffix(".index")


def base_offsets(folder: Path) -> list[int]:
    """The base offsets of the segments that are there, ascending."""
    return sorted(int(path.stem) for path in folder.glob("*.segment") if path.stem.isdigit())


def iterate(
    descriptor: int, start: int, end: int, read_bytes: int, from_offset: int = 0
) -> Iterator[tuple[int, RecordHead, memoryview]]:
    """The records of [start, end) of a file as (place in the file, head, key and value).

    Records below `from_offset` are passed over unchecked, all others are checked. Raises Damage at the first bytes
    that are no whole record. Reads `read_bytes` at once (more where a record is larger).
    """
    chunk = memoryview(b"")
    chunk_at = position = start
    while position < end:
        at = position - chunk_at
        if len(chunk) - at < RECORD_FIXED_BYTES:
            chunk, chunk_at, at = memoryview(_pread(descriptor, read_bytes, position, end)), position, 0
            if len(chunk) < RECORD_FIXED_BYTES:
                raise Damage(position, f"{end - position} bytes are too few for a record")
        head = read_head(chunk, at, position)
        if position + head.size > end:
            raise Damage(position, f"the record is cut: {end - position} of {head.size} bytes are there")
        if head.offset >= from_offset:
            if len(chunk) - at < head.size:
                wanted = max(read_bytes, head.size)
                chunk, chunk_at, at = memoryview(_pread(descriptor, wanted, position, end)), position, 0
                if len(chunk) < head.size:
                    raise Damage(position, f"the file ends inside of the record, which has {head.size} bytes")
            check_record(chunk, at, head, position)
            yield position, head, chunk[at + RECORD_FIXED_BYTES : at + head.size]
        position += head.size


def _pread(descriptor: int, wanted: int, position: int, end: int) -> bytes:
    """Up to `wanted` bytes of [position, end), at least the fixed part of a record where the file has it."""
    return os.pread(descriptor, min(max(wanted, RECORD_FIXED_BYTES), end - position), position)


def scan(path: Path, partition: int, base_offset: int, until_offset: int | None = None) -> Scan:
    """Read a whole segment file and check every record of it, up to `until_offset` if that is given.

    Raises Damage if the file's header is not that of this segment, OSError if it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        check_segment_header(os.pread(descriptor, SEGMENT_HEADER_BYTES, 0), partition, base_offset)
        size = os.fstat(descriptor).st_size
        index: list[IndexEntry] = []
        next_offset, end, first_at, last_at = base_offset, SEGMENT_HEADER_BYTES, 0, 0
        damage = None
        try:
            for position, head, _ in iterate(descriptor, SEGMENT_HEADER_BYTES, size, _READ_BYTES):
                if next_offset == until_offset:
                    break
                if head.offset != next_offset:
                    raise Damage(position, f"offset {head.offset} stands where {next_offset} belongs")
                if not index:
                    first_at = head.at_us
                if not index or position - index[-1].position >= INDEX_EVERY_BYTES:
                    index.append(IndexEntry(head.offset, position, head.at_us))
                next_offset, end, last_at = head.offset + 1, position + head.size, head.at_us
        except Damage as found:
            if next_offset != until_offset:
                damage = found
        return Scan(Segment(path, partition, base_offset, next_offset, end, first_at, last_at), index, damage)
    finally:
        os.close(descriptor)


def write_index(segment: Segment, index: list[IndexEntry]) -> None:
    """Keep the index of a sealed segment beside it. Not synced: a bad one is made again. Raises OSError."""
    head = _INDEX_HEAD.pack(
        _INDEX_MAGIC,
        1,
        segment.base_offset,
        segment.next_offset,
        segment.size_bytes,
        segment.first_at_us,
        segment.last_at_us,
        len(index),
    )
    data = head + b"".join(_INDEX_ENTRY.pack(*entry) for entry in index)
    temporary = segment.path.with_suffix(".index.tmp")
    with open(temporary, "wb", opener=private_opener) as file:
        file.write(data + zlib.crc32(data).to_bytes(4, "little"))
    temporary.replace(index_path(segment.path))


def load_index(path: Path, partition: int, base_offset: int) -> Scan | None:
    """What `write_index` kept for the segment at `path`; None where it is absent or does not check out."""
    try:
        data = index_path(path).read_bytes()
    except OSError:
        return None
    if len(data) < _INDEX_HEAD.size + 4 or zlib.crc32(data[:-4]).to_bytes(4, "little") != data[-4:]:
        return None
    magic, version, base, next_offset, size, first_at, last_at, count = _INDEX_HEAD.unpack_from(data)
    if (magic, version, base, len(data)) != (
        _INDEX_MAGIC,
        1,
        base_offset,
        _INDEX_HEAD.size + count * _INDEX_ENTRY.size + 4,
    ):
        return None
    index = [IndexEntry(*entry) for entry in _INDEX_ENTRY.iter_unpack(data[_INDEX_HEAD.size : -4])]
    return Scan(Segment(path, partition, base_offset, next_offset, size, first_at, last_at), index, None)


def read_segment(segment: Segment, index: list[IndexEntry], next_offset: int, max_bytes: int) -> list[Record]:
    """Records of one segment from `next_offset` on: at most `max_bytes` of values, but at least one record.

    Raises Damage, and OSError where the file is gone or cannot be read.
    """
    start = _entry_at(index, next_offset).position
    found: list[Record] = []
    left = max_bytes
    read_bytes = min(max_bytes + INDEX_EVERY_BYTES, 8 * _READ_BYTES)
    descriptor = os.open(segment.path, os.O_RDONLY)
    try:
        for _, head, data in iterate(descriptor, start, segment.size_bytes, read_bytes, next_offset):
            value_size = len(data) - head.key_size
            if found and value_size > left:
                break
            key, value = bytes(data[: head.key_size]), bytes(data[head.key_size :])
            found.append(Record(segment.partition, head.offset, head.at_us, key, value))
            left -= value_size
            if left <= 0:
                break
    finally:
        os.close(descriptor)
    return found


def offset_behind(segment: Segment, index: list[IndexEntry], at_us: int) -> int | None:
    """The offset behind the segment's last record that is not younger than `at_us`; None if all are younger."""
    entry = bisect_right(index, at_us, key=lambda item: item.at_us)
    if entry == 0:
        return None
    next_offset = index[entry - 1].offset + 1
    descriptor = os.open(segment.path, os.O_RDONLY)
    try:
        for _, head, _ in iterate(descriptor, index[entry - 1].position, segment.size_bytes, _READ_BYTES):
            if head.at_us > at_us:
                break
            next_offset = head.offset + 1
    finally:
        os.close(descriptor)
    return next_offset


def _entry_at(index: list[IndexEntry], offset: int) -> IndexEntry:
    return index[bisect_right(index, offset, key=lambda item: item.offset) - 1]
