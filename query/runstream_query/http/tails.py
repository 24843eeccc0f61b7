"""The ends of curves that a live stream follows: what a curve has behind a position, in the buckets of charts.

What a reader is told takes the place of what it holds from a place on, so that it may be told twice. That place is
where the earliest of the new points is: the reader need not say how far its curve goes, and points that come late or
out of order are told like all others.
"""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Self

import pyarrow as pa

from runstream.events.positions import Positions
from runstream_query.http.context import Context
from runstream_query.http.curves import values_of
from runstream_query.http.packing import flags_of
from runstream_query.live_responses import Tail
from runstream_query.repositories.arguments import SeriesFrom, TailAxis
from runstream_query.repositories.buckets import bucket_start
from runstream_query.repositories.statements.tails import TailPart, tail_parts
from runstream_query.repositories.tails import NewPoints
from runstream_service.store import QueryClass, QueryLimitExceeded

#: A statement of so many takes the engine 10 ms to plan.
_PARTS: Final = 8
#: What a message has at most, but for one curve that has more.
_MESSAGE_BUCKETS: Final = 2_000
#: What a look costs, and each new point in it.
_LOOK_S: Final = 0.01
_POINT_S: Final = 1e-7
_FORGIVEN_S: Final = 0.25
_LISTS: Final = ("x", "count", "min", "max", "mean", "nan_count")


@dataclass(frozen=True, slots=True)
class Followed:
    """A curve that a stream follows: buckets of a width on an axis, from a place on (None: all)."""

    run: str
    metric: str
    axis: TailAxis
    width: int
    low: int | None = None


@dataclass(frozen=True, slots=True)
class _Grown:
    """A curve that got points, of which `wanted` has to be told."""

    wanted: SeriesFrom
    points: int
    earlier: bool
    #: Whether there are so many new points, so far apart, that reading them is in vain.
    too_many: bool


class TailChanges:
    """The tails of some curves, for all streams that follow the same ones. Raises what the store raises."""

    def __init__(self, context: Context, followed: Sequence[Followed]) -> None:
        """`context`: of any request within the scope. `followed`: each run, metric, axis and width once."""
        self._context = context.for_request(QueryClass.TAIL, context.scope)
        self._series = sorted({(one.run, one.metric) for one in followed})
        self._times = any(one.axis != "step" for one in followed)
        self._followed: dict[tuple[str, str], list[Followed]] = {}
        for one in followed:
            self._followed.setdefault((one.run, one.metric), []).append(one)
        #: What the last look cost, in seconds of a core: by what it read, because the time that it took depends on what
        #: else goes on; but what takes very long reads much that is not new.
        self.cost_s = 0.0

    async def behind(self, seen: Positions) -> list[list[Tail]]:
        """Return the tails of what got points behind a position, in parts for a message each."""
        if not self._series:
            return []
        began_s = time.monotonic()
        try:
            return await self._behind(seen)
        finally:
            self.cost_s = max(self.cost_s, time.monotonic() - began_s - _FORGIVEN_S)

    async def _behind(self, seen: Positions) -> list[list[Tail]]:
        repositories, scope = self._context.repositories, self._context.scope
        changed = await repositories.tails.new_points(scope, self._series, seen, self._times)
        self.cost_s = _LOOK_S + _POINT_S * sum(one.new for one in changed)
        starts_us = await self._starts_us(changed)
        grown = {one.wanted: one for new in changed for one in self._grown(new, starts_us)}
        parts = tail_parts([wanted for wanted, one in grown.items() if not one.too_many], _PARTS)
        tails = [_tail_of_too_many(one) for one in grown.values() if one.too_many]
        left = self._context.settings.live_tick_buckets
        for begin in range(0, len(parts), _PARTS):
            some = parts[begin : begin + _PARTS]
            table = await self._buckets(some, left)
            tails += await asyncio.to_thread(_tails, table, left, some, grown, self._most)
            left -= min(left, 0 if table is None else table.num_rows)
        return list(_messages(tails, self._context.settings.live_rows))

    @property
    def _most(self) -> int:
        return self._context.settings.live_tail_buckets

    async def _starts_us(self, changed: Sequence[NewPoints]) -> dict[str, int]:
        """When the runs of curves by relative time began."""
        runs = {one.run for one in changed for curve in self._followed[one.run, one.metric] if curve.axis == "relative"}
        if not runs:
            return {}
        return await self._context.repositories.runs.started_us(self._context.scope, sorted(runs))

    def _grown(self, changed: NewPoints, starts_us: dict[str, int]) -> Iterator[_Grown]:
        for curve in self._followed[changed.run, changed.metric]:
            start_us = starts_us.get(curve.run, 0) if curve.axis == "relative" else 0
            by_step = curve.axis == "step"
            first, last = (changed.low, changed.high) if by_step else (changed.low_us, changed.high_us)
            if first is None or last is None:
                continue  # it has no place on this axis
            start = bucket_start(first - start_us, curve.width)
            least = start if curve.low is None else bucket_start(curve.low, curve.width)
            low = max(start, least)
            wanted = SeriesFrom(curve.run, curve.metric, curve.axis, curve.width, low, start_us)
            too_many = min(changed.new, (last - first) // curve.width) > self._most
            yield _Grown(wanted, changed.count, start < least, too_many)

    async def _buckets(self, parts: Sequence[TailPart], limit: int) -> pa.Table | None:
        """Return the buckets of some parts; None if that is too much to read."""
        if not limit:
            return None
        try:
            return await self._context.repositories.tails.buckets(self._context.scope, parts, self._most + 1, limit + 1)
        except QueryLimitExceeded:
            return None


def _tails(
    table: pa.Table | None, limit: int, parts: Sequence[TailPart], grown: Mapping[SeriesFrom, _Grown], most: int
) -> list[Tail]:
    """Return the tails of the series of some parts. `table` has at most `limit` + 1 of their buckets: what it lacks
    then are too many, and so are more than `most` of one series."""
    rows = _Rows.of(table) if table is not None else None
    found = {} if rows is None else rows.series
    is_cut = table is None or table.num_rows > limit
    if is_cut and found:
        found.popitem()
    tails = []
    for number, part in enumerate(parts):
        for wanted in part.series:
            begin, end = found.get((number, wanted.run, wanted.metric), (0, 0))
            if rows is not None and 0 < end - begin <= most:
                tails.append(_tail(grown[wanted], rows, begin, end))
            elif end or is_cut:
                tails.append(_tail_of_too_many(grown[wanted]))
    return tails


@dataclass(frozen=True, slots=True)
class _Rows:
    """A table of buckets as lists, and where each series begins and ends, by part, run and metric, in their order."""

    lists: Mapping[str, list[Any]]
    series: dict[tuple[int, str, str], tuple[int, int]]

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        names = (values_of(table.column(name)) for name in ("part", "run", "metric"))
        series: dict[tuple[int, str, str], tuple[int, int]] = {}
        end = 0
        for key, some in groupby(zip(*names, strict=True)):
            begin, end = end, end + sum(1 for _ in some)
            series[key] = (begin, end)
        lists = {name: values_of(table.column(name)) for name in _LISTS} | {"flags": flags_of(table).tolist()}
        return cls(lists, series)


def _tail(grown: _Grown, rows: _Rows, begin: int, end: int) -> Tail:
    # Another metric of the run may be wanted from an earlier place.
    begin = bisect_left(rows.lists["x"], grown.wanted.low, begin, end)
    lists = {name: values[begin:end] for name, values in rows.lists.items()}
    return Tail.model_validate(_about(grown) | lists | {"too_many": False})


def _tail_of_too_many(grown: _Grown) -> Tail:
    return Tail.model_validate(_about(grown) | {name: [] for name in (*_LISTS, "flags")} | {"too_many": True})


def _about(grown: _Grown) -> dict[str, Any]:
    wanted = grown.wanted
    about = {"run": wanted.run, "metric": wanted.metric, "axis": wanted.axis, "width": wanted.width}
    return about | {"start": wanted.low, "points": grown.points, "earlier": grown.earlier}


def _messages(tails: Sequence[Tail], most: int) -> Iterator[list[Tail]]:
    """Divide tails into parts for a message each, of at most `most`."""
    part: list[Tail] = []
    buckets = 0
    for tail in tails:
        if part and (len(part) == most or buckets + len(tail.x) > _MESSAGE_BUCKETS):
            yield part
            part, buckets = [], 0
        part.append(tail)
        buckets += len(tail.x)
    if part:
        yield part
