"""Which slot of the state arrays belongs to which (run, metric)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from runstream_model.columns import Coded
from runstream_model.points import PointBatch
from runstream_model.schemas import Schema

I64 = npt.NDArray[np.int64]

#: Slots of a schema that a run remembers (so that a frame costs one lookup, not one a metric). A run that changes its
#: metrics more often than this starts over.
_SCHEMAS_PER_RUN: Final = 16
#: Names of metrics that nobody uses any more are given up when there are this many more of them than used ones.
_UNUSED_NAMES: Final = 10_000
_LEAST_CAPACITY: Final = 1024


@dataclass(slots=True)
class RunSlots:
    """A run: its number, and the slot of each of its metrics."""

    number: int
    slots: dict[str, int] = field(default_factory=dict)
    by_schema: dict[Schema, I64] = field(default_factory=dict)


class SeriesSlots:
    """Slots of the series in memory, given out ascending and used again when their run is dropped."""

    def __init__(self) -> None:
        self.runs: dict[str, RunSlots] = {}
        #: Every slot that may be in use is below this.
        self.capacity = 0
        self._next_slot = 0
        self._free_slots: list[int] = []
        self._run_names: list[str] = []
        self._free_runs: list[int] = []
        self._metric_codes: dict[str, int] = {}
        self._metric_names: list[str] = []
        self._run_of = np.zeros(0, np.int32)
        self._metric_of = np.zeros(0, np.int32)

    @property
    def used(self) -> int:
        """How many slots belong to a series."""
        return self._next_slot - len(self._free_slots)

    def add_run(self, run: str) -> None:
        """Know a run, as yet without metrics."""
        if self._free_runs:
            number = self._free_runs.pop()
            self._run_names[number] = run
        else:
            number = len(self._run_names)
            self._run_names.append(run)
        self.runs[run] = RunSlots(number)

    def drop_run(self, run: str) -> None:
        """Give the run's slots to others."""
        dropped = self.runs.pop(run)
        self._free_runs.append(dropped.number)
        # The lowest is given out first: slots of the next run ascend as these did.
        self._free_slots.extend(sorted(dropped.slots.values(), reverse=True))
        if len(self._metric_names) > 2 * self.used + _UNUSED_NAMES:
            self._forget_unused_names()

    def slot(self, run: str, metric: str) -> int:
        """The slot of a series of a known run, new if need be."""
        known = self.runs[run]
        found = known.slots.get(metric)
        return self._new_slot(known, metric) if found is None else found

    def of_segments(self, batch: PointBatch) -> I64:
        """The slot of each segment's series. All runs of the batch are known."""
        groups, segments = batch.groups, batch.segments
        used = batch.groups_used()
        begin_of = np.zeros(len(groups.run), np.int64)
        pieces = []
        size = 0
        for number, run in zip(used.tolist(), groups.run[used].tolist(), strict=True):
            schema = groups.schemas[number]
            known = self.runs[batch.run_names[run]]
            slots = known.by_schema.get(schema)
            if slots is None:
                slots = self._slots_of_schema(known, schema)
            begin_of[number] = size
            size += len(slots)
            pieces.append(slots)
        found: I64 = np.concatenate(pieces)[begin_of[segments.group] + segments.place]
        return found

    def named(self, slots: I64) -> tuple[I64, Coded, Coded]:
        """The slots ordered by run and metric, and these as columns."""
        run_names, run_codes = _sorted_names(self._run_of[slots], self._run_names)
        metric_names, metric_codes = _sorted_names(self._metric_of[slots], self._metric_names)
        key = run_codes * max(len(metric_names), 1) + metric_codes
        if not (key[1:] > key[:-1]).all():
            order = np.argsort(key)
            slots, run_codes, metric_codes = slots[order], run_codes[order], metric_codes[order]
        return slots, Coded(run_names, run_codes), Coded(metric_names, metric_codes)

    def _slots_of_schema(self, known: RunSlots, schema: Schema) -> I64:
        # In the order of the names: then slots ascend as segments do.
        for place in schema.order.tolist():
            if schema.names[place] not in known.slots:
                self._new_slot(known, schema.names[place])
        slots = np.array([known.slots[name] for name in schema.names], np.int64)
        if len(known.by_schema) >= _SCHEMAS_PER_RUN:
            known.by_schema.clear()
        known.by_schema[schema] = slots
        return slots

    def _new_slot(self, known: RunSlots, metric: str) -> int:
        if self._free_slots:
            slot = self._free_slots.pop()
        else:
            slot = self._next_slot
            self._next_slot += 1
            self._grow(slot)
        code = self._metric_codes.setdefault(metric, len(self._metric_names))
        if code == len(self._metric_names):
            self._metric_names.append(metric)
        known.slots[self._metric_names[code]] = slot
        self._run_of[slot] = known.number
        self._metric_of[slot] = code
        return slot

    def _grow(self, slot: int) -> None:
        if slot >= self.capacity:
            more = max(self.capacity, _LEAST_CAPACITY)
            self.capacity += more
            self._run_of = np.concatenate((self._run_of, np.zeros(more, np.int32)))
            self._metric_of = np.concatenate((self._metric_of, np.zeros(more, np.int32)))

    def _forget_unused_names(self) -> None:
        names = {metric for run in self.runs.values() for metric in run.slots}
        self._metric_names = sorted(names)
        self._metric_codes = {name: code for code, name in enumerate(self._metric_names)}
        for run in self.runs.values():
            for metric, slot in run.slots.items():
                self._metric_of[slot] = self._metric_codes[metric]


def _sorted_names(codes: npt.NDArray[np.int32], names: list[str]) -> tuple[list[str], I64]:
    """The names in use, sorted, and the codes into them."""
    used = np.flatnonzero(np.bincount(codes, minlength=1)) if len(codes) else np.zeros(0, np.int64)
    ordered: Iterable[int] = sorted(used.tolist(), key=names.__getitem__)
    code_of = np.zeros(len(names), np.int64)
    found = []
    for new, old in enumerate(ordered):
        code_of[old] = new
        found.append(names[old])
    return found, code_of[codes]
