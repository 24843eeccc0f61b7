"""A window of a writer's spool as one frame."""

import struct
from array import array
from collections.abc import Sequence
from typing import Final

from runstream.events import limits
from runstream.events.control import PointsDropped, encode_event
from runstream.events.encoding import encode_frame, encode_ragged, encode_rows, transposed
from runstream.events.frame import Group
from runstream.spool.format import ROW_HEAD_BYTES, ROW_TAIL_BYTES
from runstream.spool.reader import EventRecord, RowGroup, Window

#: A group of its own costs a header, its names and, at the worker, a few array calls. Rows whose set of metrics occurs
#: less often than this in a window travel together in the ragged form, if there are more than so many such sets.
_FEW_ROWS: Final = 4
_MANY_SETS: Final = 4

_RaggedRow = tuple[int, int, int, Sequence[int], Sequence[float]]


def frame_from_window(writer_id: str, key: str, window: Window) -> bytes:
    """The frame that covers exactly `window`. Raises InvalidFrame if it is larger than a frame may be."""
    first = window.start.next_seq
    with_values = [group for group in window.groups.values() if group.schema.metrics]
    rare = [group for group in with_values if group.rows < _FEW_ROWS]
    if len(rare) <= _MANY_SETS:
        rare = []
    rare_names = {group.schema.names for group in rare}
    groups = [_rows(group, first) for group in with_values if group.schema.names not in rare_names]
    groups += _ragged(rare, first)
    return encode_frame(writer_id, key, first, window.end.next_seq, events_json(window.events), groups)


def events_json(events: Sequence[EventRecord]) -> bytes:
    """`[[seq, event], ...]` as a frame has it, the events as their writer wrote them."""
    return b"[%s]" % b",".join(b"[%d,%s]" % (event.seq, event.data) for event in events) if events else b""


def dropped_frame(writer_id: str, key: str, window: Window, reason: str, at_us: int) -> bytes:
    """A frame that covers `window` and says, instead of what is in it, that it was set aside.

    A writer's numbers have no gaps, so what a gateway refuses for ever needs something in its place.
    """
    first = window.start.next_seq
    told = PointsDropped(at_us=at_us, count=max(window.seqs, 1), reason=reason)
    events = events_json([EventRecord(first, encode_event(told), {})])
    return encode_frame(writer_id, key, first, window.end.next_seq, events)


def _rows(group: RowGroup, frame_first: int) -> Group:
    """Rows of one schema, in the form that has a seq a row only if they do not follow each other."""
    schema, rows = group.schema, group.rows
    records = group.pieces[0] if len(group.pieces) == 1 else b"".join(group.pieces)
    columns = transposed(records, schema.width, ROW_HEAD_BYTES, ROW_TAIL_BYTES)
    seqs = b""
    if len(group.spans) > 1:
        numbers = array("I")
        for seq, count in group.spans:
            numbers.extend(range(seq - frame_first, seq - frame_first + count))
        seqs = _little_endian(numbers)
    return encode_rows(schema.names, rows, columns, group.spans[0][0] - frame_first, seqs)


def _ragged(rare: Sequence[RowGroup], frame_first: int) -> list[Group]:
    """Rows of many schemas, in as few groups as the limit of names in a group allows."""
    made: list[Group] = []
    index: dict[str, int] = {}
    rows: list[_RaggedRow] = []
    for group in rare:
        names = group.schema.names.decode().split("\n")
        if rows and len(index.keys() | names) > limits.MAX_METRICS_PER_ROW:
            made.append(encode_ragged(list(index), sorted(rows)))
            index, rows = {}, []
        places = [index.setdefault(name, len(index)) for name in names]
        rows += _unpacked(group, places, frame_first)
    if rows:
        made.append(encode_ragged(list(index), sorted(rows)))
    return made


def _unpacked(group: RowGroup, places: Sequence[int], frame_first: int) -> list[_RaggedRow]:
    seqs = [seq for first, count in group.spans for seq in range(first - frame_first, first - frame_first + count)]
    record = struct.Struct(f"<Iqq{group.schema.metrics}dI")
    fields = record.iter_unpack(b"".join(group.pieces))
    return [(seq, step, ns, places, values) for seq, (_, step, ns, *values, _) in zip(seqs, fields, strict=True)]


def _little_endian(numbers: "array[int]") -> bytes:
    """As uint32, which `array("I")` is on every platform that CPython supports today."""
    return struct.pack(f"<{len(numbers)}I", *numbers) if numbers.itemsize != 4 else numbers.tobytes()
