"""Whatever is logged, in whatever order and between whatever segments, the spool's reader reads exactly that."""

import json
import math
import struct
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.examples import examples
from kit.sending.spool_maker import writer_info
from runstream.clock import SYSTEM_CLOCK
from runstream.notices import Notices
from runstream.spool.format import Acked
from runstream.spool.reader import SpoolReader
from runstream.spool.writer import SpoolWriter

_NAMES = st.sampled_from(["loss", "acc", "train/loss", "é", "n" * 300, "system/cpu"])
_GOOD = st.one_of(st.floats(), st.integers(-(2**60), 2**60), st.booleans())
_BAD = st.sampled_from([None, "text", [1.0], 1j])
_ROWS = st.tuples(
    st.just("row"),
    st.dictionaries(_NAMES, st.one_of(_GOOD, _GOOD, _GOOD, _BAD), max_size=5),
    st.one_of(st.none(), st.integers(-(2**62), 2**62)),
)
_EVENTS = st.tuples(st.just("event"), st.text(max_size=400), st.none())


class _Silent(Notices):
    def warn(self, message: str) -> None:
        return


def _writer(spool: Path, segment_bytes: int) -> SpoolWriter:
    info = writer_info("a" * 32, "http://127.0.0.1:1", run_id="r", mode="offline")
    return SpoolWriter(spool, info, clock=SYSTEM_CLOCK, notices=_Silent(), segment_bytes=segment_bytes)


def _read_all(folder: Path, max_bytes: int) -> list[tuple[int, Any]]:
    """(seq, event or (step, {name: the value's bits})) of everything, in the order of seq."""
    reader, place = SpoolReader(folder), Acked()
    found: dict[int, Any] = {}
    while True:
        window = reader.read(place, max_bytes)
        for event in window.events:
            found[event.seq] = event.fields
        for group in window.groups.values():
            names = group.schema.names.decode().split("\n")
            rows = b"".join(group.pieces)
            seqs = [first + i for first, count in group.spans for i in range(count)]
            for seq, at in zip(seqs, range(0, len(rows), group.schema.width), strict=True):
                _, step, _, *values, _ = struct.unpack_from(f"<Iqq{len(names)}dI", rows, at)
                found[seq] = (step, dict(zip(names, map(_bits, values), strict=True)))
        if not window.seqs:
            reader.close()
            return sorted(found.items())
        place = window.end


def _bits(value: float) -> bytes:
    """Tells -0.0 from 0.0 and finds NaN equal to itself."""
    return b"nan" if math.isnan(value) else struct.pack("<d", value)


def _expected(operations: list[tuple[str, Any, int | None]]) -> list[tuple[int, Any]]:
    found: list[Any] = []
    highest = -1
    for kind, data, step in operations:
        if kind == "event":
            found.append({"type": "x", "text": data})
            continue
        good = {name: _bits(float(value)) for name, value in data.items() if isinstance(value, int | float)}
        if good:
            at_step = highest + 1 if step is None else step
            highest = max(highest, at_step)
            found.append((at_step, good))
    return list(enumerate(found))


@settings(max_examples=examples(120), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    operations=st.lists(st.one_of(_ROWS, _ROWS, _EVENTS), max_size=60),
    segment_bytes=st.sampled_from([128, 300, 1000, 100_000]),
    frame_bytes=st.sampled_from([1, 200, 500_000]),
)
def test_what_is_written_is_read(
    operations: list[tuple[str, Any, int | None]], segment_bytes: int, frame_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        writer = _writer(Path(directory), segment_bytes)
        for kind, data, step in operations:
            if kind == "event":
                assert writer.write_event(json.dumps({"type": "x", "text": data}).encode())
            else:
                writer.log_row(data, step)
        expected = _expected(operations)
        assert writer.next_seq == len(expected)
        assert _read_all(writer.folder, frame_bytes) == expected
        assert writer.close()
        assert _read_all(writer.folder, frame_bytes) == expected
