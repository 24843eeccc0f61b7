"""Summaries: which metrics runs have, and what is known of each without a look at its points."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa

from runstream.events.positions import Positions
from runstream_query.filters.compiler import SUMMARY_COLUMNS as AGGREGATES
from runstream_query.repositories.arguments import Place, ProjectRuns
from runstream_query.repositories.reader import Reader
from runstream_query.repositories.selection import Selection
from runstream_query.repositories.statements.globs import chosen_condition
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.prefix import beyond
from runstream_query.repositories.statements.projects import ids_of_project, runs_within
from runstream_query.repositories.statements.scoping import narrowed, of_runs
from runstream_query.responses import Summary
from runstream_service.access import Scope

#: The columns of a table of summaries.
_SUMMARY: Final = ", ".join(Summary.model_fields)


@dataclass(frozen=True, slots=True)
class SeriesRecord:
    """A series that exists: how many points it has, and its lowest and highest step."""

    run: str
    metric: str
    count: int
    first_step: int
    last_step: int


@dataclass(frozen=True, slots=True)
class CurveRecord:
    """A series with the steps and times of its ends."""

    run: str
    metric: str
    count: int
    first_step: int
    last_step: int
    first_at: datetime
    last_at: datetime


class SummaryRepository:
    """Reads summaries. Tables of them have the columns of `Summary`. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def of_runs(self, scope: Scope, runs: Sequence[str], metrics: Sequence[str], limit: int) -> pa.Table:
        """Return summaries of these metrics (names or globs; none means all), by run and metric."""
        parameters = Parameters()
        only = f" AND {chosen_condition(metrics, parameters)}" if metrics else ""
        sql = (
            f"SELECT {_SUMMARY} FROM summaries WHERE run IN {parameters.texts(runs)}{only}"
            f"{narrowed(of_runs(scope, parameters))} ORDER BY run, metric LIMIT {parameters.integer(limit)}"
        )
        return await self._reader.table(sql, parameters)

    async def of_run(self, scope: Scope, run: str) -> pa.Table:
        """Return all summaries of a run, by metric."""
        parameters = Parameters()
        sql = (
            f"SELECT {_SUMMARY} FROM summaries WHERE run = {parameters.text(run)}"
            f"{narrowed(of_runs(scope, parameters))} ORDER BY metric"
        )
        return await self._reader.table(sql, parameters)

    async def changed(
        self, scope: Scope, selection: Selection, seen: Positions, after: tuple[str, str] | None, limit: int
    ) -> pa.Table:
        """Return summaries with a state from behind a position of the log, those behind `after` (run, metric)."""
        parameters = Parameters()
        further = ""
        if after is not None:
            further = f" AND (run, metric) > ({parameters.text(after[0])}, {parameters.text(after[1])})"
        sql = (
            f"SELECT {_SUMMARY} FROM summaries WHERE (run, metric) IN (SELECT run, metric FROM "
            f"summary_states WHERE {beyond(seen, parameters)} AND {selection.series_condition(parameters)}"
            f"{further}{narrowed(of_runs(scope, parameters))}) ORDER BY run, metric LIMIT {parameters.integer(limit)}"
        )
        return await self._reader.table(sql, parameters)

    async def cells(
        self,
        scope: Scope,
        runs: Sequence[str],
        aggregates: Collection[str],
        metrics: Sequence[str],
        limit: int,
    ) -> pa.Table:
        """Return run, metric and a column for each aggregate (of the filter language), of these metrics (names or
        globs)."""
        parameters = Parameters()
        values = "".join(f", {AGGREGATES[name]} AS v_{name}" for name in sorted(aggregates))
        only = f" AND {chosen_condition(metrics, parameters)}"
        sql = (
            f"SELECT run, metric{values} FROM summaries WHERE run IN {parameters.texts(runs)}{only}"
            f"{narrowed(of_runs(scope, parameters))} LIMIT {parameters.integer(limit)}"
        )
        table = await self._reader.table(sql, parameters)
        return table.rename_columns([name.removeprefix("v_") for name in table.column_names])

    async def series(self, scope: Scope, runs: Sequence[str], metrics: Sequence[str], limit: int) -> list[SeriesRecord]:
        """Return the series of these metrics (names or globs) that exist, by run and metric."""
        parameters = Parameters()
        sql = (
            "SELECT run, metric, count, first_step, last_step FROM summaries WHERE "
            f"run IN {parameters.texts(runs)} AND {chosen_condition(metrics, parameters)}"
            f"{narrowed(of_runs(scope, parameters))} ORDER BY run, metric LIMIT {parameters.integer(limit)}"
        )
        return await self._reader.records(lambda row: SeriesRecord(**row), sql, parameters)

    async def series_of_run(self, scope: Scope, run: str, metric: str | None = None) -> list[SeriesRecord]:
        """Return the series of a run, or the one of a metric, by metric."""
        parameters = Parameters()
        only = f" AND metric = {parameters.text(metric)}" if metric is not None else ""
        sql = (
            f"SELECT run, metric, count, first_step, last_step FROM summaries WHERE run = {parameters.text(run)}{only}"
            f"{narrowed(of_runs(scope, parameters))} ORDER BY run, metric"
        )
        return await self._reader.records(lambda row: SeriesRecord(**row), sql, parameters)

    async def curves(self, scope: Scope, runs: Sequence[str], metrics: Sequence[str], limit: int) -> list[CurveRecord]:
        """Return the series with these metrics (names) that exist, by run and metric."""
        parameters = Parameters()
        sql = (
            "SELECT run, metric, count, first_step, last_step, first_at, last_at FROM summaries WHERE "
            f"run IN {parameters.texts(runs)} AND metric IN {parameters.texts(metrics)}"
            f"{narrowed(of_runs(scope, parameters))} ORDER BY run, metric LIMIT {parameters.integer(limit)}"
        )
        return await self._reader.records(lambda row: CurveRecord(**row), sql, parameters)

    async def metrics(self, scope: Scope, runs: Sequence[str], limit: int) -> list[str]:
        """Return names of metrics that the runs have, each once, in no order."""
        parameters = Parameters()
        sql = (
            f"SELECT DISTINCT metric FROM summary_states WHERE run IN {parameters.texts(runs)}"
            f"{narrowed(of_runs(scope, parameters))} LIMIT {parameters.integer(limit)}"
        )
        return [row["metric"] for row in await self._reader.rows(sql, parameters)]

    async def known_metrics(self, scope: Scope, within: Place, metrics: Sequence[str]) -> list[str]:
        """Return those of the names that are metrics of a run at a place, in no order. Ends when all are found."""
        parameters = Parameters()
        sql = (
            f"SELECT DISTINCT metric FROM summary_states WHERE metric IN {parameters.texts(metrics)}"
            f"{runs_within(scope, within, parameters)}{narrowed(of_runs(scope, parameters))} "
            f"LIMIT {parameters.integer(len(metrics))}"
        )
        return [row["metric"] for row in await self._reader.rows(sql, parameters)]

    async def metrics_within(self, scope: Scope, within: Place, limit: int) -> list[str]:
        """Return names of metrics of the runs at a place, each once, in no order."""
        parameters = Parameters()
        sql = (
            f"SELECT DISTINCT metric FROM summary_states WHERE 1{runs_within(scope, within, parameters)}"
            f"{narrowed(of_runs(scope, parameters))} LIMIT {parameters.integer(limit)}"
        )
        return [row["metric"] for row in await self._reader.rows(sql, parameters)]

    async def metrics_with_prefixes(self, scope: Scope, run: str, prefixes: Sequence[str]) -> list[str]:
        """Return the metrics of a run whose names begin with one of these, in order."""
        parameters = Parameters()
        begins = " OR ".join(f"startsWith(metric, {parameters.text(prefix)})" for prefix in prefixes)
        sql = (
            f"SELECT DISTINCT metric FROM summary_states WHERE run = {parameters.text(run)} AND ({begins})"
            f"{narrowed(of_runs(scope, parameters))} ORDER BY metric"
        )
        return [row["metric"] for row in await self._reader.rows(sql, parameters)]

    async def metrics_of_project(self, scope: Scope, wanted: ProjectRuns, limit: int) -> list[str]:
        """Return the metrics that the runs of a project have, in order."""
        parameters = Parameters()
        sql = (
            f"SELECT DISTINCT metric FROM summary_states WHERE run IN {ids_of_project(scope, wanted, parameters)} "
            f"ORDER BY metric LIMIT {parameters.integer(limit)}"
        )
        return [row["metric"] for row in await self._reader.rows(sql, parameters)]
