"""Curves in buckets that are as wide as each run needs them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from runstream.api.values import Row, number
from runstream.api.views.drawn import DrawnCurve


@dataclass(frozen=True, slots=True)
class ChartCurve(DrawnCurve):
    """One metric of one run in n buckets, ordered; all sequences have the shape [n]. `minimum`, `maximum` and `mean`
    leave NaN out and are NaN where a bucket holds nothing else."""

    run: str
    metric: str
    #: Of a bucket, on the axis. A power of two; of another metric's values it may be a fraction, and 0 says that each
    #: place is a bucket.
    width: float
    #: Points of the series in all, those outside of the range and those without a place on the axis included.
    total: int
    #: The place of each bucket's first point: its step, its microseconds, its epoch, or the other metric's value.
    x: Sequence[float]
    count: Sequence[int]
    nan_count: Sequence[int]
    minimum: Sequence[float]
    maximum: Sequence[float]
    mean: Sequence[float]
    #: With `by="writer"`: the first 64 bits of the writer's id, its rank where its framework gave one, and in which
    #: attempt of the run it wrote, from 1; None where it never started.
    writer: str | None = None
    rank: int | None = None
    attempt: int | None = None

    @property
    def exact(self) -> bool:
        """Whether each bucket is a single point."""
        return all(count == 1 for count in self.count)

    def __len__(self) -> int:
        return len(self.x)

    def __iter__(self) -> Iterator[tuple[float, float, float, float]]:
        """Iterate over (place, minimum, mean, maximum) of each bucket."""
        return zip(self.x, self.minimum, self.mean, self.maximum, strict=True)

    def extremes(self) -> tuple[str, str, Sequence[float], Sequence[float]]:
        """Return run, metric, and the lowest and highest value at each of its places."""
        return self.run, self.metric, self.minimum, self.maximum

    def with_tail(self, tail: Row) -> Self:
        """Return the curve with the buckets of a live message in the place of its end."""
        kept = bisect_left(self.x, tail["from"])

        def joined(mine: Sequence[Any], other: Iterable[Any]) -> Sequence[Any]:
            return [*mine[:kept], *other]

        return replace(
            self,
            total=tail["points"],
            x=joined(self.x, tail["x"]),
            count=joined(self.count, tail["count"]),
            nan_count=joined(self.nan_count, tail["nan_count"]),
            minimum=joined(self.minimum, map(number, tail["min"])),
            maximum=joined(self.maximum, map(number, tail["max"])),
            mean=joined(self.mean, map(number, tail["mean"])),
        )

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a curve of a response."""
        return cls(
            run=row["run"],
            metric=row["metric"],
            width=row["width"],
            total=row["total"],
            x=row["x"],
            count=row["count"],
            nan_count=row["nan_count"],
            minimum=[number(value) for value in row["min"]],
            maximum=[number(value) for value in row["max"]],
            mean=[number(value) for value in row["mean"]],
            writer=row.get("writer"),
            rank=row.get("rank"),
            attempt=row.get("attempt"),
        )


@dataclass(frozen=True, slots=True)
class GroupedCurve(DrawnCurve):
    """One metric of a group of runs in n buckets, ordered; all sequences have the shape [n]. `mean`, `sd` (of a sample:
    divided by one less than there are runs) and `median` are those of the runs' means in the bucket, `minimum` and
    `maximum` those of all points. NaN is left out, and stands for what cannot be told."""

    #: The value of each field that the runs are grouped by; None where they have none.
    group: Mapping[str, Any]
    #: How many runs are in the group.
    size: int
    metric: str
    #: The place of each bucket's first point: its step, its microseconds, its epoch, or another metric's value.
    x: Sequence[float]
    #: Of how many runs the bucket has a mean.
    runs: Sequence[int]
    mean: Sequence[float]
    sd: Sequence[float]
    median: Sequence[float]
    minimum: Sequence[float]
    maximum: Sequence[float]

    def __len__(self) -> int:
        return len(self.x)

    def extremes(self) -> tuple[str, str, Sequence[float], Sequence[float]]:
        """Return the group, the metric, and the lowest and highest value at each of its places."""
        group = ", ".join(f"{name} = {value}" for name, value in self.group.items())
        return group, self.metric, self.minimum, self.maximum

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a curve of a response."""
        return cls(
            group=row["group"],
            size=row["size"],
            metric=row["metric"],
            x=row["x"],
            runs=row["runs"],
            mean=[number(value) for value in row["mean"]],
            sd=[number(value) for value in row["sd"]],
            median=[number(value) for value in row["median"]],
            minimum=[number(value) for value in row["min"]],
            maximum=[number(value) for value in row["max"]],
        )
