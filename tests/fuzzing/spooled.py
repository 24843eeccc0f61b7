"""Targets: what a sender reads of the spools on its machine, which any process of its user may have written."""

import contextlib
import functools
import json
import random
import struct
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fuzzing.cases import Fault, Target
from fuzzing.folders import on_disk, packed_folder, unpacked_folder
from fuzzing.values import damaged, json_bytes
from kit.sending.spool_maker import SpoolMaker, writer_info
from runstream.events import limits
from runstream.events.frame import InvalidFrame, decode_frame
from runstream.sender.frames import frame_from_window
from runstream.spool.format import COMMIT_BYTES, SEGMENT_HEADER_BYTES, Acked, SpoolCorrupt, WriterInfo
from runstream.spool.reader import SpoolReader

_WRITER: Final = "ab" * 16
_SEGMENT_BYTES: Final = 2048
_WORDS: Final = (0, 1, 2, 3, 0xFFFF, 0x10000, 0x10001, 0x10002, 2**31, 2**32 - 1, 0x5AC0FFEE, 2**24)
#: Windows of a spool of some kB; more are a reader that never comes to the end.
_MOST_WINDOWS: Final = 3000


@functools.cache
def spools() -> tuple[Mapping[str, bytes], ...]:
    """Folders of writers, as a writer leaves them: with rows of some schemas, events, several segments, an end."""
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(6):
            maker = SpoolMaker(Path(scratch) / str(number), writer_info(_WRITER, "http://127.0.0.1:1"), _SEGMENT_BYTES)
            maker.event(type="run_started.v1", at_us=1, workspace="w", project="p")
            for row in range(4 + 25 * number):
                names = ("loss", "acc", "x")[: 1 + row % 3] if number % 2 else ("loss",)
                maker.row(names, row, [0.5] * len(names), ns=row)
                if row % 9 == 8:
                    maker.event(type="parameters_logged.v1", at_us=1, values={"lr": row})
            maker.row(("loss",), 1, [1.0], commit=number % 2 == 0)
            maker.event(type="run_finished.v1", at_us=1, status="finished")
            maker.die()
            files = {path.name: path.read_bytes() for path in sorted(maker.folder.iterdir()) if path.is_file()}
            files["acked"] = Acked().pack()
            found.append(files)
    return tuple(found)


def make_spool(rng: random.Random) -> bytes:
    files = dict(rng.choice(spools()))
    for _ in range(rng.choice((1, 1, 2, 4))):
        name = rng.choice([*files, *[segment for segment in files if segment.endswith(".rows")] * 3])
        files[name] = _changed(rng, name, files[name])
        if rng.random() < 0.03:
            files[rng.choice(("00000001.rows", "00000007.rows", "99999999.rows", "-1.rows", "²³.rows", "x.rows"))] = (
                files[name]
            )
        if rng.random() < 0.03 and len(files) > 1:
            del files[name]
    return packed_folder(files)


def _changed(rng: random.Random, name: str, data: bytes) -> bytes:
    if name == "writer.json" and rng.random() < 0.8:
        try:
            fields: Any = json.loads(data)
        except (ValueError, RecursionError):
            return damaged(rng, data)
        return json_bytes(rng, fields, rng.choice((1, 2)))
    if name == "acked" and rng.random() < 0.8:
        place = Acked(
            rng.choice((0, 1, 5, 30, 2**63, 2**64 - 1)),
            rng.choice((0, 1, 2, 2**32 - 1)),
            rng.choice((0, 63, 64, 65, 100, 2000, 2**63)),
        )
        return place.pack()
    if name.endswith(".rows") and len(data) > SEGMENT_HEADER_BYTES + 8 and rng.random() < 0.8:
        return _changed_segment(rng, data)
    return damaged(rng, data)


def _changed_segment(rng: random.Random, data: bytes) -> bytes:
    if rng.random() < 0.15:
        # The header, with its checksum made right.
        first = rng.choice((0, 1, 7, 2**32, 2**63, 2**64 - 1))
        body = data[:8] + struct.pack("<Q", first) + data[16:40]
        return body + struct.pack("<I", zlib.crc32(body)) + data[44:]
    end = len(data.rstrip(b"\0")) or len(data)
    at = rng.randrange(SEGMENT_HEADER_BYTES, max(end, SEGMENT_HEADER_BYTES + 1))
    if rng.random() < 0.6:
        # Where a record begins: behind a mark.
        marks = [place + 4 for place in _places(data, COMMIT_BYTES)] or [SEGMENT_HEADER_BYTES]
        at = rng.choice(marks) + rng.choice((0, 0, 4, 4, 8))
    at = min(at, len(data))
    match rng.randrange(6):
        case 0:
            return data[:at] + rng.choice((b"", bytes(64), COMMIT_BYTES)) + data[at:]
        case 1:
            return data[:at]
        case 2:
            return data[:at] + bytes(len(data) - at)
        case 3:
            return data[:at] + rng.randbytes(4) + data[at + 4 :]
        case _:
            return data[:at] + struct.pack("<I", rng.choice(_WORDS)) + data[at + 4 :]


def _places(data: bytes, wanted: bytes) -> list[int]:
    found, at = [], data.find(wanted)
    while at != -1:
        found.append(at)
        at = data.find(wanted, at + 1)
    return found


def run_spool(data: bytes) -> None:
    """Everything that is committed is read, up to the first damage, in frames that a gateway takes."""
    with on_disk(unpacked_folder(data)) as folder:
        with contextlib.suppress(SpoolCorrupt, OSError):
            WriterInfo.read(folder)
        reader = SpoolReader(folder)
        try:
            _read(reader, Acked.read(folder))
        except (SpoolCorrupt, OSError):
            pass
        finally:
            reader.close()


def _read(reader: SpoolReader, acked: Acked) -> None:
    place = acked
    if place == Acked() and (first := reader.first()) is not None:
        place = first
    reader.backlog(place)
    for _ in range(_MOST_WINDOWS):
        window = reader.read(place, 1000)
        if not window.seqs:
            if not reader.unsure and not reader.moved_on(place):
                return
            window = reader.read(place, 1000)
            if not window.seqs:
                return
        if window.end.next_seq <= place.next_seq:
            raise Fault("a window goes back", f"from {place} to {window.end}")
        try:
            frame = frame_from_window(_WRITER, "run-1", window)
        except InvalidFrame:
            frame = b""
        if frame:
            decode_frame(frame)
        place = window.end
    raise Fault("a spool without an end", f"{_MOST_WINDOWS} windows of {acked}")


TARGETS: Final = (
    Target("spool", make_spool, run_spool, lambda data: 40 * len(data) + limits.TARGET_FRAME_RAW_BYTES, 30),
)
