"""What reading gives: plain, frozen values, and lists of them that become tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Protocol, Self, TypeVar, overload

from runstream.api.documented_run import DocumentedRun, ExperimentReader
from runstream.api.optional import pandas
from runstream.api.series import Series
from runstream.api.tables import arrow_table
from runstream.api.values import moment, moment_or_none, number

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

View = TypeVar("View")
#: Members of a run that are no columns of a table: the way back to the server, and the columns themselves.
_HIDDEN: Final = ("api", "columns")
#: How a member of a view is read from the server's JSON, by its type; those of other types are taken as they are.
_READ: Final[Mapping[Any, Callable[[Any], Any]]] = {
    "float": number,
    "datetime": moment,
    "datetime | None": moment_or_none,
    "tuple[str, ...]": tuple,
}


def _members(view: type, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a view that a row has. What a newer server sends beside them is left out."""
    return {name: row[name] if read is None else read(row[name]) for name, read in _readers(view) if name in row}


@cache
def _readers(view: Any) -> list[tuple[str, Callable[[Any], Any] | None]]:
    return [(field.name, _READ.get(field.type)) for field in fields(view)]


class Table(Sequence[View], Generic[View]):
    """A list of values that becomes a pandas.DataFrame or an Arrow table."""

    #: What an empty list has the columns of, where that is known.
    _kind: ClassVar[type | None] = None

    def __init__(self, items: Sequence[View]) -> None:
        self._items = list(items)

    @overload
    def __getitem__(self, index: int) -> View: ...
    @overload
    def __getitem__(self, index: slice) -> list[View]: ...
    def __getitem__(self, index: int | slice) -> View | list[View]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[View]:
        return iter(self._items)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._items!r})"

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary an item."""
        return [{field.name: getattr(item, field.name) for field in fields(item)} for item in self._items]  # type: ignore[arg-type]

    def to_pandas(self) -> pd.DataFrame:
        """One row an item. Raises DataPackageMissing without pandas."""
        rows = self.rows()
        make = pandas(f"{type(self).__name__}.to_pandas").DataFrame
        frame: pd.DataFrame = make(rows, columns=self._columns(rows))
        return frame

    def to_arrow(self) -> pa.Table:
        """One row an item. Texts, numbers, times and lists of them are columns of that type; mappings, and what is of
        several kinds under one name, stand as JSON. Raises DataPackageMissing without pyarrow."""
        rows = self.rows()
        return arrow_table(self._columns(rows), rows, f"{type(self).__name__}.to_arrow")

    def _columns(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        own = [] if self._kind is None else [field.name for field in fields(self._kind) if field.name not in _HIDDEN]
        return list(dict.fromkeys([*own, *(name for row in rows for name in row)]))


@dataclass(frozen=True, slots=True)
class Workspace:
    workspace: str
    projects: int
    runs: int


@dataclass(frozen=True, slots=True)
class Project:
    workspace: str
    project: str
    description: str
    notes: str
    runs: int
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(**_members(cls, row))


@dataclass(frozen=True, slots=True)
class Experiment:
    workspace: str
    project: str
    experiment: str
    description: str
    runs: int
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(**_members(cls, row))


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that writes, or wrote, a run. `last_seen_at` is on the server's clock; `clock_ahead_s` says by how much
    the writer's own is ahead of that (negative: behind), None where it is within an hour or cannot be told."""

    writer: str
    ended: bool
    last_seen_at: datetime | None
    clock_ahead_s: float | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(**_members(cls, row))


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of a run: `API.download(asset)` gets its bytes."""

    run: str
    asset: str
    name: str
    kind: str
    sha256: str
    size_bytes: int
    content_type: str
    step: int | None
    metadata: Mapping[str, Any]
    at: datetime
    #: The part of the run that logged it (such as `train`), if its client tells them apart.
    context: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(**_members(cls, row))


@dataclass(frozen=True, slots=True)
class Summary:
    """Over all points of one metric of one run. `minimum` and `maximum` leave NaN out and are NaN if nothing is left;
    `first` and `last` are the values at the lowest and highest (step, time); `total` is the sum."""

    run: str
    metric: str
    count: int
    nan_count: int
    minimum: float
    minimum_step: int
    minimum_at: datetime
    maximum: float
    maximum_step: int
    maximum_at: datetime
    first: float
    first_step: int
    first_at: datetime
    last: float
    last_step: int
    last_at: datetime
    total: float

    @property
    def mean(self) -> float:
        """total / count: NaN if any value is."""
        return self.total / self.count

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        return cls(**_members(cls, row))


class Summaries(Table[Summary]):
    """Ordered by run and metric."""

    _kind = Summary


class Reader(ExperimentReader, Protocol):
    """What a `RunView` asks for the rest of its run: an `API`, whose methods say what they take."""

    @property
    def parameters(self) -> Callable[..., dict[str, Any]]: ...
    @property
    def others(self) -> Callable[..., dict[str, Any]]: ...
    @property
    def environment(self) -> Callable[..., dict[str, Any]]: ...
    @property
    def summaries(self) -> Callable[..., Summaries]: ...
    @property
    def series(self) -> Callable[..., Series]: ...
    @property
    def assets(self) -> Callable[..., Table[Asset]]: ...


@dataclass(frozen=True)
class RunView(DocumentedRun):
    """A run as it was when it was read. `columns` holds the values that were asked for with it, by column; its methods
    ask the server for more. Wherever `API` takes a run's id it takes a `RunView` too."""

    api: Reader
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
    columns: Mapping[str, Any]

    @property
    def id(self) -> str:
        return self.run

    @classmethod
    def of(cls, api: Reader, row: Mapping[str, Any]) -> Self:
        return cls(api=api, **_members(cls, row))

    def __repr__(self) -> str:
        return f"RunView({self.run!r}, {self.workspace}/{self.project}, {self.name!r}, {self.status})"

    def parameters(self, **options: Any) -> dict[str, Any]:
        """As `API.parameters`."""
        return self.api.parameters(self.run, **options)

    def others(self, **options: Any) -> dict[str, Any]:
        """As `API.others`."""
        return self.api.others(self.run, **options)

    def environment(self, **options: Any) -> dict[str, Any]:
        """As `API.environment`."""
        return self.api.environment(self.run, **options)

    def summaries(self, metrics: str | Sequence[str] | None = None, **options: Any) -> Summaries:
        """As `API.summaries`."""
        return self.api.summaries(self.run, metrics, **options)

    def series(self, metrics: str | Sequence[str] = "*", max_points: int | None = None, **options: Any) -> Series:
        """As `API.series`."""
        return self.api.series(self.run, metrics, max_points, **options)

    def assets(self, **options: Any) -> Table[Asset]:
        """As `API.assets`."""
        return self.api.assets(self.run, **options)


class Runs(Table[RunView]):
    """Runs in the order that was asked for."""

    _kind = RunView

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a run: its own fields, then a member for each column that was asked for."""
        return [
            {field.name: getattr(run, field.name) for field in fields(run) if field.name not in _HIDDEN}
            | dict(run.columns)
            for run in self
        ]
