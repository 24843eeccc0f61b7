"""Frames of a batch -> groups, unpacked and stacked by shape, and what of them is new.

Numpy calls cost about a microsecond each, whatever their size: here they are made once for each shape of group
that occurs, and the loop over frames does only what cannot be shared (unpacking, looking up the names).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from runstream.events.columns import F64, I64, Ragged, StackedRows, read_group, read_stack
from runstream.events.frame import GROUP, RAGGED, ROWS_EXPLICIT, Frame, Group, InvalidFrame
from runstream_processors.folds.schemas import Schema, schema_of
from runstream_processors.folds.seen import Range

I32 = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A frame of the log at (part, offset). `fresh`: what of its sequence numbers was not folded before."""

    part: int
    offset: int
    frame: Frame
    fresh: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class BadGroup:
    """A group that cannot be read in a frame whose checksum is right: its writer made it so. Its rows are not folded.

    item: the group's number in the frame; raw: its bytes as they stand in the frame, header included.
    """

    part: int
    offset: int
    item: int
    key: str
    detail: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class GroupRef:
    """Where a group comes from, and its metrics."""

    accepted: Accepted
    schema: Schema


@dataclass(frozen=True, slots=True)
class Block:
    """Segments, and their points. A segment is one metric of one group: adjacent values, in the order of the rows.

    values[points]; steps, at_us[rows] (rows are shared by the metrics of a group); and of each segment: its group's
    number, its metric's place in the group's schema, where its values and rows begin, how many they are.
    """

    values: F64
    steps: I64
    at_us: I64
    group: I32
    place: I32
    values_at: I64
    rows_at: I64
    length: I64


@dataclass(slots=True)
class _Pending:
    number: int
    ref: GroupRef
    group: Group
    item: int
    body: bytes


class Unpacked:
    """The groups of `accepted`, in the order given: their segments in blocks, and those that cannot be read."""

    def __init__(self, accepted: Iterable[Accepted]) -> None:
        self.groups: list[GroupRef] = []
        self.blocks: list[Block] = []
        self.failures: list[BadGroup] = []
        stacks: dict[tuple[int, int, bool], list[_Pending]] = {}
        for one in accepted:
            header = one.frame.header
            whole = one.fresh == ((header.first_seq, header.end_seq),)
            for item, group in enumerate(one.frame.groups if one.fresh else ()):
                try:
                    self._unpack(one, item, group, stacks if whole else None)
                except InvalidFrame as error:
                    self._fail(one, item, str(error))
        for (rows, metrics, explicit), pending in stacks.items():
            self._add_stack(rows, metrics, explicit, pending)

    def _unpack(
        self, one: Accepted, item: int, group: Group, stacks: dict[tuple[int, int, bool], list[_Pending]] | None
    ) -> None:
        """Read what has a shape of its own; put the rest to the others of its shape. Raises InvalidFrame."""
        explicit = group.layout == ROWS_EXPLICIT
        header = one.frame.header
        if group.layout == RAGGED or stacks is None:
            self._add_alone(one, group)
            return
        raw = group.raw()
        if len(raw) != group.raw_size:
            raise InvalidFrame(f"a group unpacks to {len(raw)} bytes where its header says {group.raw_size}")
        schema = schema_of(raw[: group.names_size])
        if len(schema.names) != group.metrics:
            raise InvalidFrame(f"a group names {len(schema.names)} metrics, its header says {group.metrics}")
        if not explicit and group.seq_base + group.rows > header.end_seq - header.first_seq:
            raise InvalidFrame(_outside(header.first_seq, header.end_seq))
        ref = GroupRef(one, schema)
        pending = _Pending(len(self.groups), ref, group, item, raw[group.names_size :])
        stacks.setdefault((group.rows, group.metrics, explicit), []).append(pending)
        self.groups.append(ref)

    def _add_stack(self, rows: int, metrics: int, explicit: bool, pending: list[_Pending]) -> None:
        stack = read_stack([one.body for one in pending], rows, metrics, explicit)
        if stack.seqs is not None:
            covered = [one.ref.accepted.frame.header for one in pending]
            spans = np.array([header.end_seq - header.first_seq for header in covered])
            good = stack.seqs.max(axis=1) < spans
            if not good.all():
                for number in np.flatnonzero(~good):
                    bad = pending[number]
                    self._fail(bad.ref.accepted, bad.item, _outside(covered[number].first_seq, covered[number].end_seq))
                pending = [one for one, is_good in zip(pending, good, strict=True) if is_good]
                stack = StackedRows(None, stack.steps[good], stack.at_us[good], stack.values[good])
        if pending:
            self.blocks.append(_stack_block(stack, [one.number for one in pending], [one.ref for one in pending]))

    def _add_alone(self, one: Accepted, group: Group) -> None:
        """A group of which only some rows are new, or a ragged one: read by itself."""
        header = one.frame.header
        read = read_group(group, header.first_seq)
        if len(read.seqs) and not header.first_seq <= int(read.seqs.min()) <= int(read.seqs.max()) < header.end_seq:
            raise InvalidFrame(_outside(header.first_seq, header.end_seq))
        schema = schema_of(group.raw()[: group.names_size])
        fresh = np.zeros(len(read.seqs), bool)
        for begin, end in one.fresh:
            fresh |= (read.seqs >= np.uint64(begin)) & (read.seqs < np.uint64(end))
        number, ref = len(self.groups), GroupRef(one, schema)
        if isinstance(read, Ragged):
            block = _ragged_block(read, fresh, number)
        else:
            values = np.ascontiguousarray(read.values[fresh].T)[np.newaxis]
            stack = StackedRows(None, read.steps[fresh][np.newaxis], read.at_us[fresh][np.newaxis], values)
            block = _stack_block(stack, [number], [ref])
        self.groups.append(ref)
        if len(block.values):
            self.blocks.append(block)

    def _fail(self, one: Accepted, item: int, detail: str) -> None:
        group = one.frame.groups[item]
        head = GROUP.pack(
            group.codec,
            group.layout,
            group.rows,
            group.seq_base,
            group.metrics,
            group.names_size,
            group.raw_size,
            len(group.stored),
        )
        raw = head + bytes(group.stored)
        self.failures.append(BadGroup(one.part, one.offset, item, one.frame.header.key, detail, raw))


def _outside(first_seq: int, end_seq: int) -> str:
    return f"a group has rows outside of the sequence numbers [{first_seq}, {end_seq}) that its frame covers"


def _stack_block(stack: StackedRows, numbers: Sequence[int], refs: Sequence[GroupRef]) -> Block:
    count, metrics, rows = stack.values.shape
    orders = np.concatenate([ref.schema.order for ref in refs])
    frames = np.repeat(np.arange(count), metrics)
    return Block(
        values=stack.values.reshape(-1),
        steps=np.ascontiguousarray(stack.steps).reshape(-1),
        at_us=np.ascontiguousarray(stack.at_us).reshape(-1),
        group=np.repeat(np.array(numbers, np.int32), metrics),
        place=orders,
        values_at=(frames * metrics + orders) * rows,
        rows_at=frames * rows,
        length=np.full(count * metrics, rows, np.int64),
    )


def _ragged_block(read: Ragged, fresh: npt.NDArray[np.bool_], number: int) -> Block:
    index = read.index[fresh]
    by_metric = np.argsort(index, kind="stable")
    metrics, begins, lengths = np.unique(index[by_metric], return_index=True, return_counts=True)
    return Block(
        values=read.values[fresh][by_metric],
        steps=read.steps[fresh][by_metric],
        at_us=read.at_us[fresh][by_metric],
        group=np.full(len(metrics), number, np.int32),
        place=metrics.astype(np.int32),
        values_at=begins.astype(np.int64),
        rows_at=begins.astype(np.int64),
        length=lengths.astype(np.int64),
    )


def joined(blocks: Sequence[Block]) -> Block:
    """All blocks as one. An empty sequence gives an empty block."""
    if len(blocks) == 1:
        return blocks[0]
    ints, floats = np.empty(0, np.int64), np.empty(0)
    if not blocks:
        return Block(floats, ints, ints, ints.astype(np.int32), ints.astype(np.int32), ints, ints, ints)
    moved = []
    values_at = rows_at = 0
    for block in blocks:
        moved.append(replace(block, values_at=block.values_at + values_at, rows_at=block.rows_at + rows_at))
        values_at += len(block.values)
        rows_at += len(block.steps)
    return Block(
        *(
            np.concatenate([getattr(block, name) for block in moved])
            for name in ("values", "steps", "at_us", "group", "place", "values_at", "rows_at", "length")
        )
    )
