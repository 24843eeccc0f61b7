"""Who writes a run: now, or as of a past moment; and whose clock is far from the log's."""

import asyncio
import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from runstream.events.moments import micros_of, moment_of
from runstream.events.positions import Positions
from runstream_model.past import PastRun, writes_on
from runstream_model.run_state import from_json
from runstream_query.clocks import Heard, clock_ahead_s, is_odd
from runstream_query.http.context import Context
from runstream_query.http.requests import RequestParameters
from runstream_query.repositories.watermarks import FactsRecord, WrittenPoints
from runstream_query.responses import OddClock, OddClocks, Writer
from runstream_service.access import Action
from runstream_service.log import LogError, LogReader
from runstream_service.routing import Call, Route

#: Each candidate is three short statements.
MAX_ODD: Final = 50


async def writers_now(context: Context, run: str) -> tuple[list[Writer], float | None]:
    """The writers of a run, and by how much (seconds; negative: behind) the oddest of their clocks is ahead.

    Points do not say in a cheap way whose they are: they count for the writer if only one ever started the run, else
    for the run as a whole.
    """
    watermarks, scope = context.repositories.watermarks, context.scope
    marks, facts, newest_at, state = await asyncio.gather(
        watermarks.writers(scope, run),
        watermarks.facts(scope, run),
        watermarks.newest_point_at(scope, run),
        context.repositories.runs.state(scope, run),
    )
    folded = None if state is None else from_json(state.state)
    known = {} if folded is None else folded.writers
    point_at = [] if newest_at is None else [newest_at]
    by_writer = {fact.writer: fact for fact in facts}
    started = {fact.writer for fact in facts if fact.starts}
    writers = []
    for mark in marks:
        fact = by_writer.get(mark.writer)
        made = [] if fact is None else [fact.newest_at]
        if started == {mark.writer}:
            made += point_at
        ahead_s = await _clock_ahead_s(context.log, made, mark.last_seen_at, fact)
        rank = known[mark.writer].rank if mark.writer in known else None
        ended = mark.ended and not writes_on(folded, mark.writer)
        shown = dataclasses.replace(mark, ended=ended)
        writers.append(Writer(**dataclasses.asdict(shown), clock_ahead_s=ahead_s, rank=rank))
    figures = [writer.clock_ahead_s for writer in writers]
    if marks and point_at:
        last_seen_at = max(mark.last_seen_at for mark in marks)
        figures.append(clock_ahead_s(Heard(micros_of(point_at[0]), micros_of(last_seen_at))))
    return writers, _oddest(figures)


@dataclasses.dataclass(frozen=True, slots=True)
class PastWriters:
    """Writers of a run as they were, the oddest of their clocks, how many metrics the run had, and the highest step of
    those that are not the system's."""

    writers: list[Writer]
    clock_ahead_s: float | None
    metrics: int
    last_step: int | None


async def writers_of_past(context: Context, run: str, past: PastRun, prefix: Positions) -> PastWriters:
    """Return the writers of the run within the prefix and what their points tell.

    `last_seen_at` is when the log took the last record in which the writer said something; heartbeats leave nothing
    behind that could be read later. It is None where the log keeps that record no longer.
    """
    watermarks = context.repositories.watermarks
    facts, points = await asyncio.gather(
        watermarks.facts(context.scope, run, prefix), watermarks.points(context.scope, run, prefix)
    )
    by_writer = {fact.writer: fact for fact in facts}
    by_number = {one.writer: one for one in points}
    writers = []
    for folded in past.writers:
        fact, point = by_writer[folded.writer], by_number.get(int(folded.writer[:16], 16))
        records: list[FactsRecord | WrittenPoints] = [fact] if point is None else [fact, point]
        heard_us = await _heard_us(context.log, fact.part, max(one.last_offset for one in records))
        seen_at = None if heard_us is None else moment_of(heard_us)
        ahead_s = await _clock_ahead_s(context.log, [one.newest_at for one in records], seen_at, fact)
        known = {"writer": folded.writer, "ended": folded.ended, "rank": folded.rank}
        writers.append(Writer(**known, last_seen_at=seen_at, clock_ahead_s=ahead_s))
    metrics = {metric for one in points for metric in one.metrics}
    steps = [one.last_step for one in points if one.last_step is not None]
    clock_ahead_s = _oddest(writer.clock_ahead_s for writer in writers)
    return PastWriters(writers, clock_ahead_s, len(metrics), max(steps, default=None))


async def list_odd_clocks(context: Context, call: Call[RequestParameters]) -> OddClocks:
    """Running runs whose writers' clocks are far from the log's; of more than MAX_ODD candidates the first by id."""
    candidates = await context.repositories.watermarks.runs_with_odd_clocks(context.scope, context.clock(), MAX_ODD)
    found = []
    for one in candidates:
        _, ahead_s = await writers_now(context, one.run)
        if ahead_s is not None:
            found.append(OddClock(run=one.run, name=one.name, clock_ahead_s=ahead_s))
    return OddClocks(runs=found)


async def _clock_ahead_s(
    log: LogReader | None, made_at: Sequence[datetime], last_seen_at: datetime | None, fact: FactsRecord | None
) -> float | None:
    """The figure of one writer. Asks the log for the arrival of its first fact only if the newest one is late."""
    if not made_at or last_seen_at is None:
        return None
    newest = Heard(micros_of(max(made_at)), micros_of(last_seen_at))
    first = None
    if is_odd(newest) and newest.late_us > 0 and fact is not None:
        heard_us = await _heard_us(log, fact.part, fact.first_offset)
        first = None if heard_us is None else Heard(micros_of(fact.first_at), heard_us)
    return clock_ahead_s(newest, first)


async def _heard_us(log: LogReader | None, part: int, offset: int) -> int | None:
    """When the log took this record; None if it keeps it no longer, or cannot be read: no response depends on it."""
    if log is None:
        return None
    try:
        records = await log.read(part, offset, 1, 0.0)
    except LogError:
        return None
    return records[0].at_us if records and records[0].offset == offset else None


def _oddest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), key=abs, default=None)


ROUTES: Final[Iterable[Route]] = (
    Route(
        "GET",
        "/api/v1/clocks",
        Action.READ,
        "Running runs whose clock is far from the server's",
        list_odd_clocks,
        RequestParameters,
        OddClocks,
    ),
)
