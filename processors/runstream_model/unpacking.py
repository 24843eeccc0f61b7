"""Frames of a batch -> groups, unpacked and stacked by shape, and what of them is new.

Numpy calls cost about a microsecond each, whatever their size: here they are made once for each shape of group
that occurs, and the loop over frames does only what cannot be shared (unpacking, looking up the names).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from runstream.events.columns import F64, I64, U64, Ragged, StackedRows, read_group, read_stack
from runstream.events.frame import GROUP, RAGGED, RAGGED_EPOCHS, ROWS_EXPLICIT, Frame, FrameHeader, Group, InvalidFrame
from runstream.events.names import NO_EPOCH
from runstream_model.schemas import Schema, schema_of
from runstream_model.seen import Range

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
class Block:
    """Segments, and their points. A segment is one metric of one group: adjacent values, in the order of the rows.

    values[points]; seqs, steps, at_us[rows] (rows are shared by the metrics of a group); and of each segment: its
    group's number, its metric's place in the group's schema, where its values and rows begin, how many they are.
    epochs[rows], `NO_EPOCH` for rows without one; None if no row has one.
    """

    values: F64
    seqs: U64
    steps: I64
    at_us: I64
    group: I32
    place: I32
    values_at: I64
    rows_at: I64
    length: I64
    epochs: I64 | None = None


#: A group that waits for the others of its shape: its number, its item number in the frame, the sequence number that
#: its rows count from, its bytes behind the names.
_Pending = tuple[int, int, int, bytes]
_Stacks = dict[tuple[int, int, bool], list[_Pending]]


class Unpacked:
    """The groups of `accepted`, in the order given: where each comes from, its schema, and all segments in blocks;
    and those that cannot be read."""

    def __init__(self, accepted: Iterable[Accepted]) -> None:
        # Two lists instead of one of objects: making an object costs as much as unpacking a small group.
        self.accepted: list[Accepted] = []
        self.schemas: list[Schema] = []
        self.blocks: list[Block] = []
        self.failures: list[BadGroup] = []
        stacks: _Stacks = {}
        for one in accepted:
            if not one.fresh:
                continue
            header = one.frame.header
            whole = one.fresh == ((header.first_seq, header.end_seq),)
            for item, group in enumerate(one.frame.groups):
                try:
                    if whole and group.layout not in (RAGGED, RAGGED_EPOCHS):
                        self._unpack(one, item, group, stacks)
                    else:
                        self._add_alone(one, group)
                except InvalidFrame as error:
                    self._fail(one, item, str(error))
        for (rows, metrics, explicit), pending in stacks.items():
            self._add_stack(rows, metrics, explicit, pending)

    def _unpack(self, one: Accepted, item: int, group: Group, stacks: _Stacks) -> None:
        """Unpack a group and put it to the others of its shape. Raises InvalidFrame."""
        raw = group.raw()
        names_size, rows, metrics = group.names_size, group.rows, group.metrics
        explicit = group.layout == ROWS_EXPLICIT  # contiguous rows were checked with the frame
        schema = schema_of(raw[:names_size])
        if len(schema.names) != metrics:
            raise InvalidFrame(f"a group names {len(schema.names)} metrics where its header says {metrics}")
        counted_from = one.frame.header.first_seq + (0 if explicit else group.seq_base)
        pending = (len(self.schemas), item, counted_from, raw[names_size:])
        stacks.setdefault((rows, metrics, explicit), []).append(pending)
        self._take(one, schema)

    def _take(self, one: Accepted, schema: Schema) -> None:
        self.accepted.append(one)
        self.schemas.append(schema)

    def _add_stack(self, rows: int, metrics: int, explicit: bool, pending: list[_Pending]) -> None:
        stack = read_stack([body for _, _, _, body in pending], rows, metrics, explicit)
        counted = np.arange(rows, dtype=np.uint64) if stack.seqs is None else stack.seqs
        seqs = np.array([[first] for _, _, first, _ in pending], np.uint64) + counted
        if stack.seqs is not None:
            headers = [self.accepted[number].frame.header for number, _, _, _ in pending]
            good = stack.seqs.max(axis=1) < np.array([header.end_seq - header.first_seq for header in headers])
            if not good.all():
                for at in np.flatnonzero(~good):
                    number, item, _, _ = pending[at]
                    self._fail(self.accepted[number], item, _outside(headers[at]))
                pending = [one for one, is_good in zip(pending, good, strict=True) if is_good]
                stack = StackedRows(None, stack.steps[good], stack.at_us[good], stack.values[good])
                seqs = seqs[good]
        if pending:
            numbers = [number for number, _, _, _ in pending]
            self.blocks.append(_stack_block(stack, seqs, numbers, [self.schemas[number] for number in numbers]))

    def _add_alone(self, one: Accepted, group: Group) -> None:
        """A group of which only some rows are new, or a ragged one: read by itself. Raises InvalidFrame."""
        header = one.frame.header
        read = read_group(group, header.first_seq)
        if len(read.seqs) and not header.first_seq <= int(read.seqs.min()) <= int(read.seqs.max()) < header.end_seq:
            raise InvalidFrame(_outside(header))
        fresh = np.zeros(len(read.seqs), bool)
        for begin, end in one.fresh:
            fresh |= (read.seqs >= np.uint64(begin)) & (read.seqs < np.uint64(end))
        number, schema = len(self.schemas), schema_of(group.raw()[: group.names_size])
        self._take(one, schema)
        if not fresh.any():
            return
        if isinstance(read, Ragged):
            self.blocks.append(_ragged_block(read, fresh, number))
        else:
            values = np.ascontiguousarray(read.values[fresh].T)[np.newaxis]
            stack = StackedRows(None, read.steps[fresh][np.newaxis], read.at_us[fresh][np.newaxis], values)
            self.blocks.append(_stack_block(stack, read.seqs[fresh], [number], [schema]))

    def _fail(self, one: Accepted, item: int, detail: str) -> None:
        group = one.frame.groups[item]
        sizes = (group.metrics, group.names_size, group.raw_size, len(group.stored))
        raw = GROUP.pack(group.codec, group.layout, group.rows, group.seq_base, *sizes) + bytes(group.stored)
        self.failures.append(BadGroup(one.part, one.offset, item, one.frame.header.key, detail, raw))


def _outside(header: FrameHeader) -> str:
    return f"a group has rows outside of [{header.first_seq}, {header.end_seq}), which is what its frame covers"


def _stack_block(stack: StackedRows, seqs: U64, numbers: Sequence[int], schemas: Sequence[Schema]) -> Block:
    count, metrics, rows = stack.values.shape
    orders = np.concatenate([schema.order for schema in schemas])
    frames = np.repeat(np.arange(count), metrics)
    return Block(
        values=stack.values.reshape(-1),
        seqs=seqs.reshape(-1),
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
        seqs=read.seqs[fresh][by_metric],
        steps=read.steps[fresh][by_metric],
        at_us=read.at_us[fresh][by_metric],
        group=np.full(len(metrics), number, np.int32),
        place=metrics.astype(np.int32),
        values_at=begins.astype(np.int64),
        rows_at=begins.astype(np.int64),
        length=lengths.astype(np.int64),
        epochs=None if read.epochs is None else read.epochs[fresh][by_metric],
    )


def joined(blocks: Sequence[Block]) -> Block:
    """All blocks as one. An empty sequence gives an empty block."""
    if len(blocks) == 1:
        return blocks[0]
    if not blocks:
        ints, codes = np.empty(0, np.int64), np.empty(0, np.int32)
        return Block(np.empty(0), ints.astype(np.uint64), ints, ints, codes, codes, ints, ints, ints)
    moved = []
    values_at = rows_at = 0
    for block in blocks:
        moved.append(replace(block, values_at=block.values_at + values_at, rows_at=block.rows_at + rows_at))
        values_at += len(block.values)
        rows_at += len(block.steps)
    names = ("values", "seqs", "steps", "at_us", "group", "place", "values_at", "rows_at", "length")
    columns = {name: np.concatenate([getattr(block, name) for block in moved]) for name in names}
    return Block(**columns, epochs=_joined_epochs(blocks))


def _joined_epochs(blocks: Sequence[Block]) -> I64 | None:
    if all(block.epochs is None for block in blocks):
        return None
    return np.concatenate(
        [np.full(len(block.steps), NO_EPOCH) if block.epochs is None else block.epochs for block in blocks]
    )
