"""The writers of a chart's runs, with their ranks and attempts: what its points can be divided by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runstream_model.activity import attempt_numbers, writer_number
from runstream_model.run_state import RunState, from_json
from runstream_query.errors import LimitExceeded
from runstream_query.http.context import Context
from runstream_query.repositories.arguments import Chart, Lane
from runstream_query.repositories.charts import WrittenSeries

#: After every rank and attempt.
_LAST = 2**63


@dataclass(frozen=True, slots=True)
class ChartWriter:
    """A writer (by number) of a run of a chart. rank: None where its framework gave none, or where it never started, as
    programs that write by REST alone; then attempt is None as well."""

    run: str
    writer: int
    rank: int | None
    attempt: int | None


@dataclass(frozen=True, slots=True)
class Written:
    """The writers of a chart, by run in its order, then attempt, rank and number; and how many points each has of a
    metric: (number of the writer in `writers`, metric) -> count."""

    writers: Sequence[ChartWriter]
    totals: Mapping[tuple[int, str], int]

    def lanes(self) -> tuple[Lane, ...]:
        """Return a lane for each of the writers, with its number in `writers`."""
        return tuple(Lane(one.run, one.writer, number) for number, one in enumerate(self.writers))


async def states_of(context: Context, runs: Sequence[str]) -> dict[str, RunState]:
    """Return the folded states of those of the runs that are there."""
    texts = await context.repositories.runs.states(context.scope, runs)
    return await context.off_loop(lambda: {run: from_json(text) for run, text in texts.items()})


async def written_of(context: Context, chart: Chart) -> Written:
    """Return who logged the chart's points. Raises LimitExceeded if these are too many series."""
    limit = context.settings.max_series
    series = await context.repositories.charts.written(context.scope, chart, limit + 1)
    if len(series) > limit:
        raise LimitExceeded(
            f"the writers of these runs have more than {limit} series of these metrics, which is the limit of one "
            "response (RUNSTREAM_QUERY_MAX_SERIES): ask for fewer runs or metrics, or do not divide by writers",
            limit="max_series",
            value=limit,
        )
    states = await states_of(context, list(dict.fromkeys(one.run for one in series)))
    return await context.off_loop(_written, chart, series, states)


def _written(chart: Chart, series: Sequence[WrittenSeries], states: Mapping[str, RunState]) -> Written:
    known = {run: _starts(run, state) for run, state in states.items()}
    writers = {
        (one.run, one.writer): known.get(one.run, {}).get(one.writer, ChartWriter(one.run, one.writer, None, None))
        for one in series
    }
    place = {run: number for number, run in enumerate(chart.runs)}
    ordered = sorted(writers.values(), key=lambda one: (place[one.run], *_in_run(one)))
    numbers = {(one.run, one.writer): number for number, one in enumerate(ordered)}
    return Written(ordered, {(numbers[one.run, one.writer], one.metric): one.count for one in series})


def _starts(run: str, state: RunState) -> dict[int, ChartWriter]:
    attempts = attempt_numbers(state)
    return {
        writer_number(writer_id): ChartWriter(run, writer_number(writer_id), writer.rank, attempts.get(writer_id))
        for writer_id, writer in state.writers.items()
    }


def _in_run(one: ChartWriter) -> tuple[int, int, int]:
    attempt = _LAST if one.attempt is None else one.attempt
    return attempt, _LAST if one.rank is None else one.rank, one.writer
