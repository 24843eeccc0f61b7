"""Who writes a run: its writers, when they were last heard of, and when their facts were made."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from runstream.events.names import NO_STEP, SYSTEM_METRICS
from runstream.events.positions import Positions
from runstream_query.repositories.questions import Clock
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements.clocks import (
    facts_statement,
    newest_point_statement,
    odd_runs_statement,
    writers_statement,
)
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.prefix import within
from runstream_query.repositories.statements.scoping import narrowed, of_keys, of_runs
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class WriterRecord:
    """A writer of a run; `ended`: no sign of life is expected of it."""

    writer: str
    ended: bool
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class FactsRecord:
    """The control events of a writer about a run: how often it started the run, the latest time that it gave, and
    where the first and last of them are."""

    writer: str
    part: int
    starts: int
    newest_at: datetime
    first_offset: int
    first_at: datetime
    last_offset: int


@dataclass(frozen=True, slots=True)
class WrittenPoints:
    """The points of a writer of a run. `writer` is the first 64 bits of its id."""

    writer: int
    part: int
    last_offset: int
    newest_at: datetime
    metrics: Sequence[str]
    last_step: int | None


@dataclass(frozen=True, slots=True)
class NamedRun:
    """A run with its name."""

    run: str
    name: str


class WatermarkRepository:
    """Reads marks of writers. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def writers(self, scope: Scope, run: str) -> list[WriterRecord]:
        """Return all writers of a run, by id."""
        parameters = Parameters()
        sql = writers_statement(run, parameters, narrowed(of_keys(scope, parameters)))
        return await self._reader.records(lambda row: WriterRecord(**row), sql, parameters)

    async def facts(self, scope: Scope, run: str, prefix: Positions | None = None) -> list[FactsRecord]:
        """Return what the control events about a run tell of their writers, up to a position of the log."""
        parameters = Parameters()
        condition = ("1" if prefix is None else within(prefix, parameters)) + narrowed(of_keys(scope, parameters))
        sql = facts_statement(run, parameters, condition)
        return await self._reader.records(lambda row: FactsRecord(**row), sql, parameters)

    async def newest_point_at(self, scope: Scope, run: str) -> datetime | None:
        """Return the latest time of the last point of a curve of the run; None if it has no points."""
        parameters = Parameters()
        sql = newest_point_statement(run, parameters, narrowed(of_runs(scope, parameters)))
        (row,) = await self._reader.rows(sql, parameters)
        found: datetime | None = row["newest_at"] if row["summaries"] else None
        return found

    async def points(self, scope: Scope, run: str, prefix: Positions) -> list[WrittenPoints]:
        """Return what the points of a run up to a position of the log tell of their writers."""
        parameters = Parameters()
        sql = (
            "SELECT writer, part, max(offset) AS last_offset, max(at) AS newest_at, groupUniqArray(metric) AS metrics, "
            f"maxOrNullIf(step, step != {NO_STEP} AND NOT startsWith(metric, {parameters.text(SYSTEM_METRICS)})) "
            "AS last_step "
            f"FROM points WHERE run = {parameters.text(run)} AND {within(prefix, parameters)}"
            f"{narrowed(of_runs(scope, parameters))} GROUP BY writer, part"
        )
        return await self._reader.records(lambda row: WrittenPoints(**row), sql, parameters)

    async def runs_with_odd_clocks(self, scope: Scope, clock: Clock, limit: int) -> list[NamedRun]:
        """Return running runs whose newest fact is far from when the log last heard of their writers, by id."""
        parameters = Parameters()
        sql = odd_runs_statement(parameters, clock, limit, narrowed(of_runs(scope, parameters, "r.run")))
        return await self._reader.records(lambda row: NamedRun(**row), sql, parameters)

    async def last_seen_us(self, scope: Scope, run: str, writers: Sequence[str]) -> int | None:
        """Return when the last of these was heard of (microseconds since 1970 UTC), of those that have not ended; None
        if all have."""
        parameters = Parameters()
        sql = (
            "SELECT count() AS writers, max(toUnixTimestamp64Micro(last_seen_at)) AS seen_us FROM watermarks "
            f"WHERE key = {parameters.text(run)} AND NOT ended AND writer IN {parameters.texts(writers)}"
            f"{narrowed(of_keys(scope, parameters))}"
        )
        (row,) = await self._reader.rows(sql, parameters)
        return int(row["seen_us"]) if row["writers"] else None
