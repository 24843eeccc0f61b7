"""What callers of the repositories say that they want."""

from dataclasses import dataclass
from typing import Final, Literal

from runstream.events.positions import Positions
from runstream_model.activity import Piece
from runstream_query.repositories.buckets import bucket_width

#: A chart on a screen is about 1,000 pixels wide, and a curve of some hundred points looks the same on it.
MAX_SAMPLED: Final = 500
#: Points of all curves of one chart: as Python values and JSON a point is about 300 bytes.
MAX_FULL: Final = 1_000_000
#: Four points a bucket.
BUCKETS: Final = MAX_SAMPLED // 4


@dataclass(frozen=True, slots=True)
class ProjectRuns:
    """The runs of a project, archived ones too, deleted ones not. `linked`: runs of other projects that are shown in it
    too."""

    workspace: str
    project: str
    linked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs are; None is anywhere."""

    workspace: str | None = None
    project: str | None = None
    experiment: str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """What of the curves is wanted. Steps inclusive; times inclusive, in microseconds since 1970 UTC; None is open."""

    step_from: int | None = None
    step_to: int | None = None
    time_from_us: int | None = None
    time_to_us: int | None = None
    as_of: Positions | None = None

    @property
    def by_steps_alone(self) -> bool:
        return self.time_from_us is None and self.time_to_us is None and self.as_of is None


#: Where a chart has its points: at their steps, at their times (microseconds since 1970 UTC), at the times since their
#: runs began, without pauses or with them (microseconds), at their epochs, or at the values of another metric.
ChartAxis = Literal["step", "time", "relative", "active", "epoch", "metric"]
#: The largest value of a metric that is a place on its axis: the distance of two is a number, and so is its double.
MAX_PLACE: Final = 2.0**1021


@dataclass(frozen=True, slots=True)
class Lane:
    """In which lane the points of a writer (by number) of a run are. A lane belongs to one run."""

    run: str
    writer: int
    number: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Every metric of every run, each once, and what of them: places on the axis from `low` to `high`, inclusive; None
    is open. `starts_us`: when each run began, in microseconds since 1970 UTC, for the axis `relative`; `pieces`: the
    active time of each run, for the axis `active`; `x_metric`: the other metric, for the axis `metric`. `lanes`: how
    the points of each run are divided by their writers, those of others left out; None: not at all."""

    runs: tuple[str, ...]
    metrics: tuple[str, ...]
    axis: ChartAxis = "step"
    low: float | None = None
    high: float | None = None
    as_of: Positions | None = None
    starts_us: tuple[int, ...] = ()
    pieces: tuple[tuple[Piece, ...], ...] = ()
    x_metric: str = ""
    lanes: tuple[Lane, ...] | None = None

    @property
    def whole(self) -> bool:
        """Whether places are whole numbers; else they are floats."""
        return self.axis != "metric"


#: Axes on which a new point changes no place of another one.
TailAxis = Literal["step", "time", "relative"]


@dataclass(frozen=True, slots=True)
class SeriesFrom:
    """The buckets of one series of a chart from a place on its axis on, the first place of a bucket. `start_us`: when
    its run began, in microseconds since 1970 UTC; for the axis `relative`."""

    run: str
    metric: str
    axis: TailAxis
    width: int
    low: int
    start_us: int = 0


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve that exists: how many points, and where its ends are (steps, or microseconds if `by_time`)."""

    run: str
    metric: str
    count: int
    low: int
    high: int
    by_time: bool

    @property
    def width(self) -> int:
        return bucket_width(self.low, self.high, BUCKETS, 1)
