"""Runs as they were when they were read, and lists of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol, Self, TypedDict, Unpack, overload

from runstream.api.values import Logged, Row, members_of
from runstream.api.views import notebook
from runstream.api.views.assets import Asset
from runstream.api.views.comet_experiment import CometExperiment, ExperimentReader
from runstream.api.views.options import ReadOptions, SeriesOptions
from runstream.api.views.series import Curve, Envelope, Series
from runstream.api.views.summaries import Summaries
from runstream.api.views.table import Table, column_names
from runstream.display_names import display_name
from runstream.errors import RunstreamError
from runstream.events.names import SYSTEM_METRICS
from runstream.globs import exact

#: What a notebook shows of a run besides its name, its id and its place.
_SHOWN: Final = ("status", "message", "tags", "group", "job_type", "created_at", "duration_s", "user", "host", "notes")
#: What it shows of a list of runs.
_LISTED: Final = ("run", "name", "status", "project", "created_at", "duration_s")
#: How many of a run's curves are drawn, from how many places each.
_DRAWN: Final = 20
_PLACES: Final = 240


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that writes, or wrote, a run. `last_seen_at` is on the server's clock; `clock_ahead_s` says by how much
    the writer's own is ahead of that (negative: behind), None where it is within an hour or cannot be told. `rank`:
    which of the run's processes it is, None where that did not say."""

    writer: str
    ended: bool
    last_seen_at: datetime | None
    clock_ahead_s: float | None
    rank: int | None = None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))


class HistoryEntry(TypedDict):
    """A control event of a run: where it is in the log, which writer sent it, and the event as it was sent."""

    position: str
    writer: str
    seq: int
    #: ISO 8601 in UTC.
    at: str
    type: str
    event: dict[str, Logged]


class ReadsAttributes(Protocol):
    """`api.runs`, as far as a run needs it."""

    def parameters(self, run: str, **options: Unpack[ReadOptions]) -> dict[str, Logged]: ...
    def others(self, run: str, **options: Unpack[ReadOptions]) -> dict[str, Logged]: ...
    def environment(self, run: str, **options: Unpack[ReadOptions]) -> dict[str, Logged]: ...


class ReadsSummaries(Protocol):
    """`api.summaries`, as far as a run needs it."""

    def __call__(
        self, runs: str, metrics: str | Sequence[str] | None = None, **options: Unpack[ReadOptions]
    ) -> Summaries: ...


class ReadsSeries(Protocol):
    """`api.series`, as far as a run needs it."""

    @overload
    def __call__(
        self, runs: str, metrics: str | Sequence[str], max_points: None, **options: Unpack[SeriesOptions]
    ) -> Series[Curve]: ...
    @overload
    def __call__(
        self, runs: str, metrics: str | Sequence[str], max_points: int, **options: Unpack[SeriesOptions]
    ) -> Series[Envelope]: ...


class ReadsAssets(Protocol):
    """`api.assets`, as far as a run needs it."""

    def __call__(self, run: str, kind: str | None = None, *, as_of: str | None = None) -> Table[Asset]: ...


class RunReader(ExperimentReader, Protocol):
    """Where a `RunView` reads the rest of its run: an `API`, by its parts."""

    @property
    def runs(self) -> ReadsAttributes: ...
    @property
    def summaries(self) -> ReadsSummaries: ...
    @property
    def series(self) -> ReadsSeries: ...
    @property
    def assets(self) -> ReadsAssets: ...


@dataclass(frozen=True)
class RunView(CometExperiment):
    """A run as it was when it was read. `columns` holds the values that were requested with it, by column; its methods
    read more of it from the server. Wherever `API` takes a run's id it takes a `RunView` too."""

    api: RunReader
    run: str
    workspace: str
    project: str
    experiment: str
    name: str
    #: running, finished, failed, killed or crashed.
    status: str
    message: str
    user: str
    host: str
    notes: str
    tags: tuple[str, ...]
    created_at: datetime
    started_at: datetime
    ended_at: datetime | None
    updated_at: datetime
    duration_s: float
    archived: bool
    deleted: bool
    points_dropped: int
    #: Empty: it has none, or the server is of a version that knows none.
    group: str = ""
    job_type: str = ""
    #: The other projects that it is shown in, as WORKSPACE/PROJECT.
    links: tuple[str, ...] = ()
    columns: Mapping[str, Logged] = field(default_factory=dict)

    def __deepcopy__(self, memo: object) -> Self:
        """What never changes is its own copy."""
        return self

    @property
    def id(self) -> str:
        return self.run

    @property
    def display_name(self) -> str:
        """What to call the run: its name, or one that is made of its id, such as `calm-otter-417`."""
        return display_name(self.name, self.run)

    @classmethod
    def of(cls, api: RunReader, row: Row) -> Self:
        """Read a row of a response, of the server that `api` reads from."""
        return cls(api=api, **members_of(cls, row))

    def __repr__(self) -> str:
        return f"RunView({self.run!r}, {self.workspace}/{self.project}, {self.name!r}, {self.status})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: what the run is, and small pictures of its first metrics, which are read from
        the server; without them where it does not answer."""
        place = "/".join(part for part in (self.workspace, self.project, self.experiment) if part)
        facts = notebook.pairs(
            self.display_name,
            [("id", self.run), ("in", place), *((name, getattr(self, name)) for name in _SHOWN), *self.columns.items()],
        )
        try:
            names = [one.metric for one in self.summaries() if not one.metric.startswith(SYSTEM_METRICS)]
            drawn = self.series([exact(name) for name in names[:_DRAWN]], max_points=_PLACES) if names else ()
            pictures = notebook.curves([curve.extremes() for curve in drawn]) if names else ""
        except RunstreamError as error:
            pictures = notebook.pairs("its metrics cannot be read now", [("because", str(error))])
        return facts + pictures

    def parameters(self, **options: Unpack[ReadOptions]) -> dict[str, Logged]:
        """Read its hyper-parameters, as `API.parameters`."""
        return self.api.runs.parameters(self.run, **options)

    def others(self, **options: Unpack[ReadOptions]) -> dict[str, Logged]:
        """Read its other single values, as `API.others`."""
        return self.api.runs.others(self.run, **options)

    def environment(self, **options: Unpack[ReadOptions]) -> dict[str, Logged]:
        """Read what it ran on, as `API.environment`."""
        return self.api.runs.environment(self.run, **options)

    def summaries(self, metrics: str | Sequence[str] | None = None, **options: Unpack[ReadOptions]) -> Summaries:
        """Read summaries of its metrics, as `API.summaries`."""
        return self.api.summaries(self.run, metrics, **options)

    @overload
    def series(
        self, metrics: str | Sequence[str] = "*", max_points: None = None, **options: Unpack[SeriesOptions]
    ) -> Series[Curve]: ...
    @overload
    def series(
        self, metrics: str | Sequence[str], max_points: int, **options: Unpack[SeriesOptions]
    ) -> Series[Envelope]: ...
    @overload
    def series(
        self, metrics: str | Sequence[str] = "*", *, max_points: int, **options: Unpack[SeriesOptions]
    ) -> Series[Envelope]: ...
    def series(
        self, metrics: str | Sequence[str] = "*", max_points: int | None = None, **options: Unpack[SeriesOptions]
    ) -> Series[Curve] | Series[Envelope]:
        """Read its curves, as `API.series`."""
        if max_points is None:
            return self.api.series(self.run, metrics, None, **options)
        return self.api.series(self.run, metrics, max_points, **options)

    def assets(self, kind: str | None = None, *, as_of: str | None = None) -> Table[Asset]:
        """Read the list of its files, as `API.assets`."""
        return self.api.assets(self.run, kind, as_of=as_of)


@dataclass(frozen=True, slots=True)
class RunDetails:
    """A run with its writers, and how many metrics, parameters and assets it has. `clock_ahead_s` is that of the writer
    whose clock is furthest off, None if none is. `last_step`: the highest of its metrics, those of the system apart."""

    run: RunView
    clock_ahead_s: float | None
    writers: tuple[Writer, ...]
    metrics: int
    parameters: int
    assets: int
    last_step: int | None

    @classmethod
    def of(cls, api: RunReader, row: Row) -> Self:
        """Read a response of the server that `api` reads from."""
        writers = tuple(Writer.of(writer) for writer in row["writers"])
        return cls(**{**members_of(cls, row), "run": RunView.of(api, row["run"]), "writers": writers})


class Runs(Table[RunView]):
    """Runs in the order that was requested."""

    _kind = RunView

    def _shown(self) -> list[dict[str, Any]]:
        return [row | {"name": run.display_name} for run, row in zip(self, self.rows(), strict=True)]

    def _shown_columns(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        return [*_LISTED, *dict.fromkeys(name for run in self for name in run.columns)]

    def rows(self) -> list[dict[str, Any]]:
        """Return one dictionary a run: its own fields, then a member for each requested column."""
        return [{name: getattr(run, name) for name in column_names(type(run))} | dict(run.columns) for run in self]
