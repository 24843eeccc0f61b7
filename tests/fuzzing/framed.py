"""Frames as something that can be changed in any place and put together again, so that damage reaches the decoder."""

import functools
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import lz4.block

from fuzzing.events import events_text
from fuzzing.values import damaged
from runstream.events import frame as contract

#: What counts and sizes are replaced by, beside small changes of what they were.
_EXTREMES: Final = (0, 1, 2, 255, 256, 2**16 - 1, 2**16, 2**24, 2**30, 2**31 - 1, 2**31, 2**32 - 1)
_SEQS: Final = (0, 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1)
_KEYS: Final = (
    *(b"f", b"run-1", b"a/b", b"", b"/", b"a/", b"/b", b"a/b/c", b"-x", b"\xff\xfe", b"a\x00b", b"a b/c", b"../x"),
    *(b"x" * 128, b"x" * 129, b"w" * 127 + b"/" + b"p" * 127, "é/ü".encode(), b"a\n/b", "\u202e/x".encode(), b"."),
)
_NAMES: Final = ("loss", "acc", "train/loss", "größe", "m", "sys.cpu.percent.01", "a b", "x" * 500)
_VALUES: Final = (0.0, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 5e-324, -1e308, 1e308)
_STEPS: Final = (-(2**63), -1, 0, 1, 7, 2**31, 2**53, 2**63 - 1)
#: A run that frames of this kind write; the run's id tells in quarantine which case it was.
WRITER_PREFIX: Final = "f0"


@dataclass(slots=True)
class Part:
    """A piece that may be compressed. `raw_size` and `stored_size` are what is claimed, if not the truth."""

    raw: bytes
    packed: bool = False
    stored: bytes | None = None
    codec: int | None = None
    raw_size: int | None = None
    stored_size: int | None = None

    def sizes(self) -> tuple[int, int, int, bytes]:
        """Codec, raw size, stored size, stored bytes."""
        stored = self.stored
        if stored is None:
            stored = lz4.block.compress(self.raw, store_size=False) if self.packed else self.raw
        codec = int(self.packed) if self.codec is None else self.codec
        raw_size = len(self.raw) if self.raw_size is None else self.raw_size
        return (
            codec & 0xFF,
            raw_size & 0xFFFFFFFF,
            (len(stored) if self.stored_size is None else self.stored_size),
            stored,
        )


@dataclass(slots=True)
class EditableGroup:
    layout: int
    rows: int
    seq_base: int
    metrics: int
    names_size: int
    part: Part

    def encoded(self) -> bytes:
        codec, raw_size, stored_size, stored = self.part.sizes()
        head = contract.GROUP.pack(
            codec,
            self.layout & 0xFF,
            self.rows & 0xFFFFFFFF,
            self.seq_base & 0xFFFFFFFF,
            self.metrics & 0xFFFF,
            self.names_size & 0xFFFFFFFF,
            raw_size,
            stored_size & 0xFFFFFFFF,
        )
        return head + stored


@dataclass(slots=True)
class EditableFrame:
    writer: bytes
    key: bytes
    first: int
    end: int
    events: Part
    groups: list[EditableGroup] = field(default_factory=list)
    version: int = contract.VERSION
    flags: int = 0
    reserved: int = 0
    key_size: int | None = None
    group_count: int | None = None
    magic: bytes = contract.MAGIC

    def encoded(self) -> bytes:
        """Size and checksum are right, whatever else is wrong."""
        codec, raw_size, stored_size, stored = self.events.sizes()
        tail = b"".join(
            (
                self.key,
                contract.EVENTS.pack(codec, raw_size, stored_size & 0xFFFFFFFF),
                stored,
                *(group.encoded() for group in self.groups),
            )
        )
        head = contract.HEADER.pack(
            self.magic,
            self.version & 0xFF,
            self.flags & 0xFF,
            contract.HEADER.size + len(tail),
            0,
            self.writer,
            self.first & (2**64 - 1),
            self.end & (2**64 - 1),
            (len(self.key) if self.key_size is None else self.key_size) & 0xFF,
            self.reserved & 0xFF,
            (len(self.groups) if self.group_count is None else self.group_count) & 0xFFFF,
        )
        return repaired(head + tail)


def repaired(data: bytes) -> bytes:
    """The bytes as a frame whose size and checksum are right; too few bytes stay as they are."""
    if len(data) < contract.HEADER.size:
        return data
    data = data[:4] + struct.pack("<I", len(data)) + data[8:]
    return data[:8] + struct.pack("<I", zlib.crc32(data[12:])) + data[12:]


def valid_frame(rng: random.Random, run: str, writer: bytes, first: int = 0) -> EditableFrame:
    """A frame that the contract allows: any layouts, events among them or alone."""
    groups: list[EditableGroup] = []
    at = 0
    events = b""
    if rng.random() < 0.6:
        count = rng.choice((1, 1, 2, 5))
        events = events_text(rng, run, first, count, changes=0)
        at += count
    for _ in range(rng.choice((0, 1, 1, 1, 2, 4))):
        group, used = _group(rng, at)
        groups.append(group)
        at += used
    packed = len(events) > 40 and rng.random() < 0.3
    return EditableFrame(writer, run.encode(), first, first + at, Part(events, packed), groups)


#: Valid frames to begin with: making one takes ten times as long as changing one.
_TEMPLATES: Final = 400


@functools.cache
def _templates() -> tuple[EditableFrame, ...]:
    rng = random.Random("templates of frames")
    return tuple(valid_frame(rng, "run-1", bytes(16)) for _ in range(_TEMPLATES))


def a_frame(rng: random.Random, run: str, writer: bytes, first: int) -> EditableFrame:
    """One of the templates, for that writer; its own to change."""
    template = rng.choice(_templates())
    return replace(
        template,
        writer=writer,
        key=run.encode(),
        first=first,
        end=first + template.end,
        events=replace(template.events),
        groups=[replace(group, part=replace(group.part)) for group in template.groups],
    )


def _group(rng: random.Random, base: int) -> tuple[EditableGroup, int]:
    """A group whose rows begin at `base`, and how many sequence numbers it covers."""
    rows = rng.choice((1, 2, 3, 8, 40))
    names = rng.sample(_NAMES, rng.choice((1, 1, 2, 3)))
    if rng.random() < 0.03:
        names = [f"m{number}" for number in range(rng.choice((100, 2000)))]
    joined = "\n".join(names).encode()
    layout = rng.randrange(4)
    spread = rng.choice((1, 1, 2)) if layout else 1
    seqs = [base + number * spread for number in range(rows)]
    steps = [rng.choice(_STEPS) if rng.random() < 0.3 else number for number in range(rows)]
    times = [rng.choice((-1, 0, 1_750_000_000 * 10**9 + number, 2**63 - 1, -(2**63))) for number in range(rows)]
    if layout < 2:
        words = [*steps, *times]
        packed = struct.pack(f"<{len(words)}q", *words)
        values = struct.pack(f"<{rows * len(names)}d", *(rng.choice(_VALUES) for _ in range(rows * len(names))))
        raw = _planes(packed + values, rows)
        raw = (struct.pack(f"<{rows}I", *seqs) if layout == contract.ROWS_EXPLICIT else b"") + raw
    else:
        lengths = [rng.randrange(min(len(names), 9) + 1) for _ in range(rows)]
        points = sum(lengths)
        raw = b"".join(
            (
                struct.pack(f"<{rows}I", *seqs),
                struct.pack(f"<{rows}q", *steps),
                struct.pack(f"<{rows}q", *times),
                struct.pack(f"<{rows}I", *lengths),
                struct.pack(f"<{rows}q", *steps) if layout == contract.RAGGED_EPOCHS else b"",
                struct.pack(f"<{points}I", *(rng.randrange(len(names)) for _ in range(points))),
                struct.pack(f"<{points}d", *(rng.choice(_VALUES) for _ in range(points))),
            )
        )
    part = Part(joined + raw, packed=rng.random() < 0.3)
    return EditableGroup(layout, rows, base, len(names), len(joined), part), rows * spread


def _planes(columns: bytes, rows: int) -> bytes:
    """Columns of words, each with `rows` of them, as planes of bytes: what the layouts of rows have."""
    return b"".join(
        columns[at + byte : at + 8 * rows : 8] for at in range(0, len(columns), 8 * rows) for byte in range(8)
    )


def _number(rng: random.Random, now: int) -> int:
    return rng.choice((now + 1, now - 1, now * 2, now ^ 1 << rng.randrange(32), rng.choice(_EXTREMES)))


def change(rng: random.Random, frame: EditableFrame) -> None:
    """One change: of a field of the header, of the events, of a group's header or of what is in it."""
    choice = rng.random()
    if choice < 0.25:
        _change_header(rng, frame)
    elif choice < 0.4 or not frame.groups:
        frame.events = _changed_part(rng, frame.events)
    else:
        _change_group(rng, frame)


def _change_header(rng: random.Random, frame: EditableFrame) -> None:
    match rng.randrange(10):
        case 0:
            frame.first = rng.choice((_number(rng, frame.first), *_SEQS))
        case 1 | 2:
            frame.end = rng.choice((_number(rng, frame.end), *_SEQS))
        case 3:
            top = rng.choice(_SEQS)
            frame.first, frame.end = top, min(2**64 - 1, top + frame.end - frame.first)
        case 4 | 5:
            frame.key = rng.choice(_KEYS)
        case 6:
            frame.key_size = _number(rng, len(frame.key))
        case 7:
            frame.group_count = _number(rng, len(frame.groups))
        case 8:
            frame.version, frame.flags, frame.reserved = rng.choice(((2, 0, 0), (1, 1, 0), (1, 0, 7), (0, 0, 0)))
        case _:
            frame.writer = rng.choice((bytes(16), b"\xff" * 16, rng.randbytes(16)))


def _change_group(rng: random.Random, frame: EditableFrame) -> None:
    at = rng.randrange(len(frame.groups))
    group = frame.groups[at]
    match rng.randrange(12):
        case 0:
            group.layout = rng.choice((0, 1, 2, 3, 4, 255))
        case 1 | 2:
            group.rows = _number(rng, group.rows)
        case 3:
            group.seq_base = _number(rng, group.seq_base)
        case 4:
            group.metrics = _number(rng, group.metrics)
        case 5:
            group.names_size = _number(rng, group.names_size)
        case 6:
            frame.groups.insert(at, group)
            frame.end += rng.choice((0, group.rows))
        case 7:
            frame.end = frame.first + rng.choice((0, 1, group.rows, 2**20, 2**32))
        case 8:
            _change_names(rng, group)
        case 9 | 10:
            _change_table(rng, group)
        case _:
            group.part = _changed_part(rng, group.part)


def _change_names(rng: random.Random, group: EditableGroup) -> None:
    names = rng.choice(
        (
            *(b"a\na", b"", b"\n", b"a\n", b"a\x00", b"\xff\xfe", b" a", b"x" * 501, b"\xed\xa0\x80", b"a\tb"),
            b"\n".join(b"%d" % number for number in range(20_001 if rng.random() < 0.01 else 30)),
        )
    )
    raw = group.part.raw
    group.part.raw = names + raw[group.names_size & 0xFFFFFFFF :]
    group.names_size = len(names)
    if rng.random() < 0.7:
        group.metrics = names.count(b"\n") + 1


def _change_table(rng: random.Random, group: EditableGroup) -> None:
    """A word of the tables within: the numbers of the rows, how many values each has, which metric each is of."""
    raw = bytearray(group.part.raw)
    at = group.names_size
    rows = group.rows
    if group.layout >= contract.RAGGED and rng.random() < 0.6:
        at += 20 * rows  # how many values each row has
        at += rng.randrange(rows) * 4 if 0 < rows < 10_000 else 0
    elif len(raw) > at + 4:
        at += rng.randrange((len(raw) - at) // 4) * 4
    if 0 <= at <= len(raw) - 4:
        raw[at : at + 4] = struct.pack("<I", rng.choice((*_EXTREMES, rng.randrange(2**32))))
        group.part.raw = bytes(raw)


def _changed_part(rng: random.Random, part: Part) -> Part:
    _, raw_size, _, stored = part.sizes()
    match rng.randrange(9):
        case 0:
            part.raw_size = _number(rng, raw_size)
        case 1:
            part.stored_size = _number(rng, len(stored))
        case 2:
            part.codec = rng.choice((0, 1, 2, 255))
        case 3:
            part.stored = damaged(rng, stored)
        case 4:
            part.packed = not part.packed
        case 5:
            part.raw = damaged(rng, part.raw)
        case 6:
            # Zeros: lz4 makes 1/255 of them.
            part.raw, part.packed = part.raw + bytes(rng.choice((10, 1000, 1000, 50_000))), True
        case 7 if rng.random() < 0.02:
            size = rng.choice((1_000_000, 15_900_000, 16_000_001))
            part.raw, part.packed = part.raw + bytes(size), True
        case _:
            part.raw = rng.choice((b"", part.raw[: len(part.raw) // 2], part.raw * 2))
    return part


def frames_body(rng: random.Random, run: str, writer: bytes) -> bytes:
    """The body of a request: one frame or several, most of them changed; sometimes their bytes are damaged too."""
    count = rng.choice((1, 1, 1, 1, 2, 3, 12))
    parts = []
    first = 0
    for _ in range(count):
        frame = a_frame(rng, run, writer, first)
        first = frame.end
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            change(rng, frame)
        data = frame.encoded()
        if rng.random() < 0.08:
            data = damaged(rng, data)
            if rng.random() < 0.7:
                data = repaired(data)
        parts.append(data)
        if rng.random() < 0.05:
            writer = rng.randbytes(16)
    if rng.random() < 0.05:
        parts.append(parts[0])
    if rng.random() < 0.01:
        parts.append(struct.pack("<2sB", b"RS", 1) + rng.randbytes(60))
    return b"".join(parts)


def writer_of(rng: random.Random) -> bytes:
    """A writer that no other case has."""
    return bytes.fromhex(WRITER_PREFIX) + rng.randbytes(15)


def simpler(body: bytes) -> Iterator[bytes]:
    """Smaller bodies that are as right as this one: each frame alone, and a lone frame without one of its parts."""
    frames = _cut(body)
    if len(frames) > 1:
        yield from frames
        return
    head = contract.HEADER.size
    if len(body) < head:
        return
    *front, key_size, reserved, groups = contract.HEADER.unpack_from(body)
    at = head + key_size
    if len(body) < at + contract.EVENTS.size:
        return
    stored = contract.EVENTS.unpack_from(body, at)[2]
    begin = at + contract.EVENTS.size
    if stored:
        yield repaired(body[:at] + contract.EVENTS.pack(0, 0, 0) + body[begin + stored :])
    begin += stored
    counted = contract.HEADER.pack(*front, key_size, reserved, max(groups - 1, 0)) + body[head:]
    while begin + contract.GROUP.size <= len(body):
        end = begin + contract.GROUP.size + contract.GROUP.unpack_from(body, begin)[7]
        yield repaired(counted[:begin] + counted[end:])
        begin = end


def _cut(body: bytes) -> list[bytes]:
    """The frames of a body by the sizes that they claim."""
    found, at = [], 0
    while at + contract.HEADER.size <= len(body):
        size = max(contract.HEADER.unpack_from(body, at)[3], contract.HEADER.size)
        found.append(body[at : at + size])
        at += size
    return found
