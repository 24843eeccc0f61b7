"""The frame: one message with everything that one writer sent for a stretch of its sequence.

A frame covers the writer's sequence numbers [first_seq, end_seq), each of which is one row of points (one call of
`log()`) or one control event. It is a record of the log as it stands: the sender makes it, nobody re-encodes it.
A frame that covers nothing (first_seq == end_seq) is a heartbeat.

    header   "<2sBBII16sQQBBH"  magic "RS", version, flags 0, size, crc32 of all bytes after the crc,
                                writer id, first_seq, end_seq, length of key, 0, number of groups
                                (up to the crc the same in every version, so that a reader can tell a frame of a
                                later version from a damaged one)
    key      UTF-8: the run id, or "workspace/project" for events about a project
    events   "<BII" codec, raw size, stored size; JSON array [[seq, event], ...] (NaN and Infinity as constants)
    groups   each "<BBIIHIII" codec, layout, rows, first row's seq - first_seq, metrics, size of the names, raw size,
             stored size; then the stored bytes

A group holds rows that have the same metrics, in this raw form (`ROWS`):

    names    metric names joined by "\\n"
    seqs     nothing (`CONTIGUOUS`: row i has the first row's seq + i), or uint32[rows]: seq - first_seq (`EXPLICIT`)
    rows     byte-transposed: all first bytes of the rows, then all second bytes, ... A row is
             int64 step, int64 time in ns since 1970 UTC, float64 value of each metric; little-endian

or, where rows rarely repeat their set of metrics, in the ragged form (`RAGGED`):

    names    all metric names joined by "\\n"
    rows     uint32[rows] seq - first_seq, int64[rows] step, int64[rows] time in ns, uint32[rows] values in the row
    values   uint32[n] index of the metric, float64[n] value; n = sum of the values in the rows

or, where the client says of some rows in which epoch they were logged, in the ragged form with epochs
(`RAGGED_EPOCHS`), which has behind `rows`, and before `values`:

    epochs   int64[rows], `NO_EPOCH` for a row that has none

Of 1,000 rows lz4 makes 1.2 to 3 times less if their bytes are transposed (docs/design/frame.md).

Here is the form, and reading with every size checked; `runstream.events.encoding` makes frames. Neither needs numpy;
reading points as columns is `runstream.events.columns`.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import lz4.block

from runstream.events import limits
from runstream.events.names import InvalidName, check_key

VERSION: Final = 1
MAGIC: Final = b"RS"
HEADER: Final = struct.Struct("<2sBBII16sQQBBH")
EVENTS: Final = struct.Struct("<BII")
GROUP: Final = struct.Struct("<BBIIHIII")
CRC_FROM: Final = 12  # magic, version, flags, size and the crc itself are checked by their values

#: What a frame has behind its key if it has no events and one group.
_ONLY_ROWS: Final = struct.Struct(EVENTS.format + GROUP.format[1:])

STORED: Final = 0
LZ4: Final = 1

ROWS_CONTIGUOUS: Final = 0
ROWS_EXPLICIT: Final = 1
RAGGED: Final = 2
RAGGED_EPOCHS: Final = 3

ROW_FIXED_BYTES: Final = 16  # step and time
RAGGED_ROW_BYTES: Final = 24  # seq, step, time and number of values
EPOCH_BYTES: Final = 8
RAGGED_VALUE_BYTES: Final = 12  # index of the metric and the value
_LAYOUTS: Final = (ROWS_CONTIGUOUS, ROWS_EXPLICIT, RAGGED, RAGGED_EPOCHS)
#: What a byte of lz4 can unpack to at the most: the length of a match grows by 255 with each further byte. A frame that
#: claims more is refused before so much memory is taken.
_MAX_LZ4_RATIO: Final = 255


class InvalidFrame(ValueError):
    """Bytes that are no valid frame; the message says what is wrong and where. Sending them again will not help."""


class UnsupportedFrame(InvalidFrame):
    """A frame of a version that this build does not know: upgrade the reader, then `runstream quarantine retry`."""


class Group(NamedTuple):
    """Rows that travel together, still packed. See the module for the layouts and `columns` for reading them."""

    layout: int
    rows: int
    seq_base: int
    metrics: int
    names_size: int
    codec: int
    raw_size: int
    stored: bytes | memoryview

    def raw(self) -> bytes:
        """The unpacked bytes, of exactly `raw_size`. Raises InvalidFrame."""
        return _unpacked(f"a group of {self.rows} rows", self.codec, self.raw_size, self.stored)


class FrameHeader(NamedTuple):
    """What a gateway looks at: who sent what, for which key, and how long it is."""

    size: int
    writer_id: str
    key: str
    first_seq: int
    end_seq: int


class Frame(NamedTuple):
    """A checked frame. `events` is the JSON text `[[seq, event], ...]`, empty when there are none."""

    header: FrameHeader
    events: bytes
    groups: tuple[Group, ...]


def read_header(data: bytes | memoryview, at: int = 0) -> FrameHeader:
    """The header of the frame that begins at `at`, its checksum checked. Raises InvalidFrame, UnsupportedFrame."""
    return _read_header(memoryview(data), at)[0]


def read_checked(body: memoryview, at: int) -> tuple[FrameHeader, Sequence[Group]]:
    """The header of the frame that begins at `at`, and those of its groups that have lengths inside of their packed
    bytes, which are for `runstream.events.columns.check_lengths`; nothing is unpacked.

    Every size outside of packed bytes is checked as `decode_frame` does. A frame that claims a codec or a layout of a
    later version is good as far as its header goes: a decoder reads nothing of it. Raises InvalidFrame,
    UnsupportedFrame.
    """
    header, begin, group_count = _read_header(body, at)
    if group_count == 1 and _is_plain(body, at, begin, header):
        return header, ()
    try:
        groups = _claims(body[at : at + header.size], header, begin - at, group_count)[1]
    except UnsupportedFrame:
        return header, ()
    return header, [group for group in groups if group.layout in (RAGGED, RAGGED_EPOCHS)]


def _is_plain(body: memoryview, at: int, begin: int, header: FrameHeader) -> bool:
    """Whether the frame at `at` has no events, one group of plain rows, and only sizes that `_claims` takes as well.
    Most frames are like this, and this is four times as fast."""
    if begin + _ONLY_ROWS.size > at + header.size:
        return False
    _, events_size, events_stored, codec, layout, rows, seq_base, metrics, names_size, raw_size, stored_size = (
        _ONLY_ROWS.unpack_from(body, begin)
    )
    return (
        layout <= ROWS_EXPLICIT
        and not events_size
        and not events_stored
        and begin + _ONLY_ROWS.size + stored_size == at + header.size
        and 0 < rows <= header.end_seq - header.first_seq - seq_base
        and 0 < metrics <= limits.MAX_METRICS_PER_ROW
        and raw_size == names_size + rows * (ROW_FIXED_BYTES + 4 * layout + 8 * metrics)
        and raw_size <= limits.MAX_FRAME_RAW_BYTES
        and (raw_size <= _MAX_LZ4_RATIO * stored_size if codec == LZ4 else raw_size == stored_size and codec == STORED)
    )


def _read_header(body: memoryview, at: int) -> tuple[FrameHeader, int, int]:
    """The header of the frame at `at`, where in `body` its events begin, and how many groups it says it has."""
    left = len(body) - at
    if left < HEADER.size:
        raise InvalidFrame(f"{left} bytes at {at} are too few for a frame's header ({HEADER.size})")
    magic, version, flags, size, crc, writer, first, end, key_size, reserved, group_count = HEADER.unpack_from(body, at)
    if magic != MAGIC:
        raise InvalidFrame(f"bytes at {at} are no frame: they begin with {magic!r}, not {MAGIC!r}")
    if not HEADER.size <= size <= limits.MAX_FRAME_BYTES:
        raise InvalidFrame(f"the frame at {at} says it has {size} bytes: at most {limits.MAX_FRAME_BYTES} are allowed")
    if left < size:
        raise InvalidFrame(f"the frame at {at} is cut: {left} of {size} bytes are there")
    if zlib.crc32(body[at + CRC_FROM : at + size]) != crc:
        raise InvalidFrame(f"the frame at {at} is damaged: its checksum does not match its {size} bytes")
    if version != VERSION or flags or reserved:
        raise UnsupportedFrame(
            f"the frame at {at} has version {version} (flags {flags}, {reserved}); this build reads version {VERSION} "
            "(flags 0, 0): upgrade it"
        )
    if HEADER.size + key_size + EVENTS.size > size:
        raise InvalidFrame(f"the frame at {at} has {size} bytes, too few for a key of {key_size} bytes and events")
    if end < first:
        raise InvalidFrame(f"the frame at {at} covers [{first}, {end}), which ends before it begins")
    begin = at + HEADER.size + key_size
    try:
        key = _key(bytes(body[begin - key_size : begin]))
    except (UnicodeDecodeError, InvalidName) as error:
        raise InvalidFrame(f"the key of the frame at {at} is no run id and no workspace/project: {error}") from None
    return FrameHeader(size, writer.hex(), key, first, end), begin, group_count


def split_frames(body: bytes | memoryview) -> Iterator[tuple[FrameHeader, memoryview]]:
    """The frames of a request, one behind the other. Raises InvalidFrame at the first bad one."""
    view = memoryview(body)
    at = 0
    while at < len(view):
        header = read_header(view, at)
        yield header, view[at : at + header.size]
        at += header.size


def decode_frame(data: bytes | memoryview) -> Frame:
    """The one frame in `data`, every size in it checked; groups stay packed. Raises InvalidFrame, UnsupportedFrame.

    Takes memory for the unpacked events, at most 255 bytes for each byte of the frame and MAX_FRAME_EVENTS_BYTES, and
    about 400 bytes for each group, which takes at least 25 bytes of the frame.
    """
    view = memoryview(data)
    header, begin, group_count = _read_header(view, 0)
    if len(view) != header.size:
        raise InvalidFrame(f"the frame has {header.size} bytes, but {len(view)} were given as one frame")
    (codec, raw_size, stored), groups = _claims(view, header, begin, group_count)
    return Frame(header, _unpacked("the frame's events", codec, raw_size, stored), tuple(groups))


def _claims(
    view: memoryview, header: FrameHeader, at: int, group_count: int
) -> tuple[tuple[int, int, memoryview], list[Group]]:
    """Codec, claimed size and bytes of the events, which begin at `at`, and the groups of the frame that is `view`; all
    sizes checked."""
    size = header.size
    codec, events_size, stored_size = EVENTS.unpack_from(view, at)
    at += EVENTS.size
    if at + stored_size > size:
        raise InvalidFrame(f"the frame's events claim {stored_size} bytes, {size - at} are left")
    if codec not in (STORED, LZ4):
        raise UnsupportedFrame(f"the frame's events have codec {codec}: upgrade the reader")
    if events_size > limits.MAX_FRAME_EVENTS_BYTES:
        raise InvalidFrame(f"the frame's events claim {events_size} bytes, {limits.MAX_FRAME_EVENTS_BYTES} are allowed")
    if not _may_unpack_to(codec, events_size, stored_size):
        raise InvalidFrame(f"the frame's events have {stored_size} bytes, which cannot unpack to {events_size}")
    events = codec, events_size, view[at : at + stored_size]
    at += stored_size
    groups: list[Group] = []
    covered = header.end_seq - header.first_seq
    rows, raw_size = 0, events_size
    for number in range(group_count):
        if at + GROUP.size > size:
            raise InvalidFrame(f"group {number} of {group_count} begins behind the end of the frame")
        *claimed, stored_size = GROUP.unpack_from(view, at)
        at += GROUP.size
        if at + stored_size > size:
            raise InvalidFrame(f"group {number} claims {stored_size} bytes, {size - at} are left")
        codec, layout, group_rows, seq_base, metrics, names_size, group_size = claimed
        group = Group(layout, group_rows, seq_base, metrics, names_size, codec, group_size, view[at : at + stored_size])
        _check_group(number, group, covered)
        groups.append(group)
        at += stored_size
        rows += group_rows
        raw_size += group_size
    if at != size:
        raise InvalidFrame(f"the frame has {size - at} bytes behind its last group")
    if rows > covered:
        raise InvalidFrame(f"the frame's groups have {rows} rows, but it covers {covered} sequence numbers")
    if raw_size > limits.MAX_FRAME_RAW_BYTES:
        raise InvalidFrame(f"the frame unpacks to {raw_size} bytes: at most {limits.MAX_FRAME_RAW_BYTES} are allowed")
    return events, groups


def _may_unpack_to(codec: int, raw_size: int, stored_size: int) -> bool:
    return raw_size == stored_size if codec == STORED else raw_size <= _MAX_LZ4_RATIO * stored_size


def _check_group(number: int, group: Group, covered: int) -> None:
    layout, rows, seq_base, metrics, names_size, codec, raw_size, stored = group
    if codec not in (STORED, LZ4) or layout not in _LAYOUTS:
        raise UnsupportedFrame(f"group {number} has codec {codec} and layout {layout}: upgrade the reader")
    if not (0 < rows <= covered - seq_base and 0 < metrics <= limits.MAX_METRICS_PER_ROW):
        raise InvalidFrame(
            f"group {number} has {rows} rows of {metrics} metrics from number {seq_base} of the "
            f"{covered} that the frame covers; a row can have {limits.MAX_METRICS_PER_ROW} metrics"
        )
    if raw_size > limits.MAX_FRAME_RAW_BYTES or not _may_unpack_to(codec, raw_size, len(stored)):
        raise InvalidFrame(
            f"group {number} has {len(stored)} bytes and unpacks to {raw_size}: at most "
            f"{limits.MAX_FRAME_RAW_BYTES} are allowed, stored as they are the two are equal, and lz4 makes at most "
            f"{_MAX_LZ4_RATIO} bytes of one"
        )
    if layout == ROWS_CONTIGUOUS:
        fits = raw_size == names_size + rows * (ROW_FIXED_BYTES + 8 * metrics)
    elif layout == ROWS_EXPLICIT:
        fits = raw_size == names_size + rows * (4 + ROW_FIXED_BYTES + 8 * metrics)
    else:
        epoch = EPOCH_BYTES if layout == RAGGED_EPOCHS else 0
        least = names_size + (RAGGED_ROW_BYTES + epoch) * rows
        fits = raw_size >= least and (raw_size - least) % RAGGED_VALUE_BYTES == 0
    if not fits:
        raise InvalidFrame(f"group {number}: {raw_size} bytes do not fit {rows} rows, {metrics} metrics")


@lru_cache(10_000)
def _key(key: bytes) -> str:
    """A writer's frames repeat its key. Raises UnicodeDecodeError, InvalidName."""
    return check_key(key.decode())


def _unpacked(what: str, codec: int, raw_size: int, stored: bytes | memoryview) -> bytes:
    """`raw_size` is checked against the limits before: so much memory is taken at once."""
    if codec == STORED:
        raw = bytes(stored)
    else:
        try:
            raw = bytes(lz4.block.decompress(stored, uncompressed_size=raw_size))
        except lz4.block.LZ4BlockError as error:
            raise InvalidFrame(f"{what}: the {len(stored)} bytes do not unpack ({error})") from None
    if len(raw) != raw_size:
        raise InvalidFrame(f"{what}: {len(raw)} bytes unpacked, where {raw_size} were claimed")
    return raw
