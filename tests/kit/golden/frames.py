"""The frames whose bytes are kept: every layout and codec, for points and for events."""

import math
import struct
from collections.abc import Sequence
from typing import Any, Final

from kit.golden.events import EVENTS
from runstream.events.columns import Ragged, read_group
from runstream.events.control import encode_event
from runstream.events.encoding import encode_events, encode_frame, encode_ragged, encode_rows, heartbeat, transposed
from runstream.events.frame import Group, decode_frame

WRITER: Final = "00112233445566778899aabbccddeeff"
AT_NS: Final = 1_750_000_000_123_456_789
VALUES: Final = (0.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 5e-324, -1e308)


def rows_group(names: Sequence[str], rows: int, seq_base: int, seqs: Sequence[int] = ()) -> Group:
    """Rows of changing steps, times and values, among them every special one."""
    packed = b"".join(
        struct.pack(
            f"<qq{len(names)}d",
            -(2**63) if row == 0 else 7 * row,
            -1 if row == 0 else AT_NS + 1_000_000 * row,
            *(VALUES[(row + column) % len(VALUES)] for column in range(len(names))),
        )
        for row in range(rows)
    )
    columns = transposed(packed, 16 + 8 * len(names))
    return encode_rows("\n".join(names).encode(), rows, columns, seq_base, struct.pack(f"<{len(seqs)}I", *seqs))


def _ragged(rows: int, epochs: Sequence[int | None] | None = None) -> Group:
    return encode_ragged(
        ["loss", "val/acc", "größe"],
        [(2 * row, row, AT_NS + row, [row % 3], [VALUES[row % len(VALUES)]]) for row in range(1, rows + 1)]
        + [(2 * rows + 2, 9, AT_NS, [], []), (2 * rows + 3, 10, AT_NS, [2, 0, 1], [1.0, 2.0, 3.0])],
        epochs,
    )


def _events(*names: str, first: int = 0) -> bytes:
    return encode_events([(first + number, encode_event(EVENTS[name])) for number, name in enumerate(names)])


def frames() -> dict[str, bytes]:
    """By name of the file. A name that ends in "-lz4" has a part that is compressed."""
    two = ["loss", "val/acc"]
    return {
        "heartbeat": heartbeat(WRITER, "run-1", 17),
        "events": encode_frame(WRITER, "run-1", 0, 1, _events("run_archived.v1")),
        "events-lz4": encode_frame(
            WRITER, "run-1", 0, 4, _events("run_started.v1", "parameters_logged.v1", "tags_added.v1", "run_finished.v1")
        ),
        "events-of-a-project": encode_frame(WRITER, "research/digits", 5, 6, _events("project_deleted.v1", first=5)),
        "contiguous": encode_frame(WRITER, "run-1", 2**40, 2**40 + 2, groups=[rows_group(two, 2, 0)]),
        "contiguous-lz4": encode_frame(WRITER, "run-1", 0, 200, groups=[rows_group(two, 200, 0)]),
        "explicit": encode_frame(WRITER, "run-1", 100, 110, groups=[rows_group(two, 2, 3, [3, 9])]),
        "explicit-lz4": encode_frame(
            WRITER, "run-1", 100, 500, groups=[rows_group(two, 150, 1, [2 * row + 1 for row in range(150)])]
        ),
        "ragged": encode_frame(WRITER, "run-1", 7, 20, groups=[_ragged(0)]),
        "ragged-lz4": encode_frame(WRITER, "run-1", 7, 1_000, groups=[_ragged(150)]),
        "ragged-epochs": encode_frame(WRITER, "run-1", 7, 20, groups=[_ragged(0, [None, 2**40])]),
        "ragged-epochs-lz4": encode_frame(
            WRITER, "run-1", 7, 1_000, groups=[_ragged(150, [row // 10 for row in range(150)] + [None, 0])]
        ),
        "mixed-lz4": encode_frame(
            WRITER,
            "run-1",
            10,
            400,
            _events("tags_added.v1", first=10),
            [rows_group(["loss"], 2, 1), rows_group(two, 3, 3, [3, 5, 7]), _ragged(100)],
        ),
    }


def contents(data: bytes) -> dict[str, Any]:
    """What a frame holds, as JSON can: values as the 16 hex digits of their bits."""
    frame = decode_frame(data)
    header = frame.header
    return {
        "writer_id": header.writer_id,
        "key": header.key,
        "first_seq": header.first_seq,
        "end_seq": header.end_seq,
        "events": frame.events.decode(),
        "groups": [_group_contents(group, header.first_seq) for group in frame.groups],
    }


def _group_contents(group: Group, first_seq: int) -> dict[str, Any]:
    read = read_group(group, first_seq)
    shape: dict[str, Any] = {"index": read.index.tolist()} if isinstance(read, Ragged) else {}
    if isinstance(read, Ragged) and read.epochs is not None:
        shape["epochs"] = read.epochs.tolist()
    return shape | {
        "layout": group.layout,
        "codec": group.codec,
        "metrics": list(read.metrics),
        "seqs": read.seqs.tolist(),
        "steps": read.steps.tolist(),
        "at_us": read.at_us.tolist(),
        "values": [struct.pack(">d", value).hex() for value in read.values.ravel().tolist()],
    }
