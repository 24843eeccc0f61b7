"""Curves: every point, or buckets with their extremes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from runstream.api.optional import pandas
from runstream.api.values import Row, moment, number
from runstream.api.views import notebook
from runstream.api.views.drawn import DrawnCurve

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


#: Points name their writer by so many characters of its id.
_WRITER_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class Curve(DrawnCurve):
    """All points of one metric of one run, in order: by step, then time, then writer, then its own numbers. Shapes:
    steps[n], at[n], values[n]; epochs[n] (None for a point without one) if they were requested."""

    run: str
    metric: str
    steps: Sequence[int]
    #: UTC, microseconds.
    at: Sequence[datetime]
    values: Sequence[float]
    epochs: Sequence[int | None] | None = None
    #: Of curves that were read by writer: whose points these are, and which of the run's processes that is.
    writer: str | None = None
    rank: int | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """Iterate over (step, value) pairs."""
        return zip(self.steps, self.values, strict=True)

    def extremes(self) -> tuple[str, str, Sequence[float], Sequence[float]]:
        """Return run, metric, and the lowest and highest value at each of its places."""
        return self.run, self.metric, self.values, self.values

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a curve of a response."""
        return cls(
            row["run"],
            row["metric"],
            row["steps"],
            [moment(at) for at in row["at"]],
            [number(v) for v in row["values"]],
            row.get("epochs"),
        )

    @classmethod
    def by_writer(cls, row: Row, ranks: Mapping[str, int | None]) -> list[Self]:
        """Read a curve of a response as one curve for each of its writers, by rank. `ranks`: of the run's writers."""
        whole = cls.of(row)
        places: dict[str, list[int]] = {}
        for place, beginning in enumerate(row["writers"]):
            places.setdefault(beginning, []).append(place)
        whole_ids = {writer[:_WRITER_CHARS]: writer for writer in ranks}
        found = [whole._of_writer(whole_ids.get(one, one), ranks, places[one]) for one in places]
        return sorted(found, key=lambda curve: (curve.rank is None, curve.rank or 0, curve.writer or ""))

    def _of_writer(self, writer: str, ranks: Mapping[str, int | None], places: Sequence[int]) -> Self:
        return replace(
            self,
            steps=[self.steps[place] for place in places],
            at=[self.at[place] for place in places],
            values=[self.values[place] for place in places],
            epochs=None if self.epochs is None else [self.epochs[place] for place in places],
            writer=writer,
            rank=ranks.get(writer),
        )


@dataclass(frozen=True, slots=True)
class Envelope(DrawnCurve):
    """One metric of one run in n buckets, ordered; all shapes are [n]. `minimum`, `maximum` and `mean` leave NaN out
    and are NaN where a bucket holds nothing else; steps are those of the first and last point in the bucket."""

    run: str
    metric: str
    first_step: Sequence[int]
    last_step: Sequence[int]
    count: Sequence[int]
    nan_count: Sequence[int]
    minimum: Sequence[float]
    maximum: Sequence[float]
    mean: Sequence[float]

    def __len__(self) -> int:
        return len(self.first_step)

    def __iter__(self) -> Iterator[tuple[int, float, float, float]]:
        """Iterate over (first step, minimum, mean, maximum) of each bucket."""
        return zip(self.first_step, self.minimum, self.mean, self.maximum, strict=True)

    def extremes(self) -> tuple[str, str, Sequence[float], Sequence[float]]:
        """Return run, metric, and the lowest and highest value at each of its places."""
        return self.run, self.metric, self.minimum, self.maximum

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read an envelope of a response."""
        return cls(
            run=row["run"],
            metric=row["metric"],
            first_step=row["first_step"],
            last_step=row["last_step"],
            count=row["count"],
            nan_count=row["nan_count"],
            minimum=[number(value) for value in row["min"]],
            maximum=[number(value) for value in row["max"]],
            mean=[number(value) for value in row["mean"]],
        )


Drawn = TypeVar("Drawn", Curve, Envelope)


class Series(Generic[Drawn]):
    """The curves of a request. Iterating gives `Curve`s, or with `max_points` `Envelope`s, as plain Python.

    Plain Python is fetched as JSON (at most as many points as the server puts into JSON), tables as an Arrow stream,
    which has no such limit; each when it is first used, and kept.
    """

    def __init__(self, fetch_curves: Callable[[], list[Drawn]], fetch_arrow: Callable[[], pa.Table]) -> None:
        self._fetch_curves: Callable[[], list[Drawn]] = fetch_curves
        self._fetch_arrow = fetch_arrow
        self._curves: list[Drawn] | None = None
        self._table: pa.Table | None = None

    def _plain(self) -> list[Drawn]:
        if self._curves is None:
            self._curves = self._fetch_curves()
        return self._curves

    def __iter__(self) -> Iterator[Drawn]:
        return iter(self._plain())

    def __len__(self) -> int:
        return len(self._plain())

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a small picture of each curve, with its exact extremes."""
        return notebook.curves([curve.extremes() for curve in self._plain()])

    def get(self, run: str, metric: str) -> Drawn | None:
        """Return the one of this run and metric, or None."""
        return next((curve for curve in self._plain() if (curve.run, curve.metric) == (run, metric)), None)

    def to_arrow(self) -> pa.Table:
        """Return a table ordered by run, metric and step.

        Points: run, metric (dictionary), step (int64), at (timestamp[us, UTC]), value (double), writer (uint64).
        With max_points: run, metric, first_step, last_step, count, nan_count, min, max, mean.
        Raises DataPackageMissing without pyarrow, and what every read raises.
        """
        if self._table is None:
            self._table = self._fetch_arrow()
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """Return the table of `to_arrow` as a DataFrame; run and metric are categorical, integers beside missing ones
        are Int64."""
        module = pandas("Series.to_pandas")
        table = self.to_arrow()
        frame: pd.DataFrame = table.to_pandas()
        for name in table.column_names:
            column = table.column(name)
            if column.null_count and str(column.type) == "int64":
                frame[name] = column.to_pandas(types_mapper={column.type: module.Int64Dtype()}.get)
        return frame
