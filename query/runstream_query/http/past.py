"""Reads as of a past moment: the fold of a prefix of the log."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runstream.events.moments import moment_of
from runstream.events.positions import Positions
from runstream_model.past import LoggedEvent, PastRun, run_after, summaries_of
from runstream_model.projection import TIME
from runstream_model.run_state import RUN_STATES
from runstream_model.statistics import SUMMARY_STATES
from runstream_query.errors import LimitExceeded, NotFound
from runstream_query.http.context import Context
from runstream_query.repositories.arguments import Range
from runstream_query.repositories.statements.runs import STORED_COLUMNS
from runstream_query.repositories.statements.series import Names, reads_of
from runstream_query.responses import RunRow, Summary

_RUN_TIMES: Final = tuple(column.name for column in RUN_STATES.visible if column.kind == TIME)
_SUMMARY_TIMES: Final = tuple(column.name for column in SUMMARY_STATES.visible if column.kind == TIME)


async def folded(context: Context, run: str, prefix: Positions) -> PastRun:
    """The run after the events up to `prefix`. Raises NotFound if there were none."""
    limit = context.settings.max_past_events
    events = await context.repositories.events.within(context.scope, run, prefix, limit + 1)
    require_foldable(events, limit, f"run {run!r}")
    if not events:
        raise NotFound(f"nothing was known of the run {run!r} as of {prefix}: give a later as_of")
    async with context.folding:
        return await asyncio.to_thread(run_after, run, events)


def require_foldable(events: Sequence[LoggedEvent], limit: int, what: str) -> None:
    """Raises LimitExceeded if the events are more than one request may fold."""
    if len(events) > limit:
        raise LimitExceeded(
            f"{what} has more than {limit} control events up to then, which is what one question may fold "
            "(RUNSTREAM_QUERY_MAX_PAST_EVENTS): ask as of an earlier moment, or without as_of",
            limit="max_past_events",
            value=limit,
        )


def run_row_of_past(past: PastRun, now_us: int) -> RunRow:
    """The folded row as a response. Its status is the log's alone: silence is of the present."""
    row = {name: past.row[name] for name in STORED_COLUMNS}
    end_us = now_us if row["ended_at"] is None else row["ended_at"]
    row["duration_s"] = max(end_us - row["started_at"], 0) / 1_000_000
    for name in _RUN_TIMES:
        row[name] = None if row[name] is None else moment_of(row[name])
    return RunRow(**row)


async def summaries_of_past(
    context: Context, runs: Sequence[str], metrics: Sequence[str], prefix: Positions, folded_before: int = 0
) -> list[Summary]:
    """Summaries over the points up to `prefix`, by the same fold as the live ones. folded_before: how many points were
    folded for the same response. Raises LimitExceeded if these are too many together."""
    wanted = Range(as_of=prefix)
    series = context.repositories.series
    counts = await series.counts(context.scope, Names(tuple(runs), tuple(metrics)), wanted)
    total, limit = folded_before + sum(one.count for one in counts), context.settings.max_past_points
    if total > limit:
        raise LimitExceeded(
            f"these metrics had {total} points then, and one question may fold {limit} "
            "(RUNSTREAM_QUERY_MAX_PAST_POINTS): ask for fewer runs or metrics at once",
            limit="max_past_points",
            value=limit,
        )
    summaries: list[Mapping[str, Any]] = []
    for names in reads_of(counts, context.settings.points_per_read):
        async with context.folding:
            points = await series.points(context.scope, names, wanted, seqs=True)
            rows = await asyncio.to_thread(summaries_of, points)
        summaries.extend(rows)
    summaries.sort(key=lambda row: (row["run"], row["metric"]))
    return [summary_of_past(row) for row in summaries]


def summary_of_past(row: Mapping[str, Any]) -> Summary:
    """A folded row as a response."""
    return Summary(**{**row, **{name: moment_of(row[name]) for name in _SUMMARY_TIMES}})
