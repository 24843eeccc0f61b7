"""Runs as the filter language sees them: the one place that says what a run's shown status and duration are."""

from dataclasses import dataclass
from typing import Final

from runstream_query.sql.parameters import Parameters

#: What a row of a run has. Times are microseconds since 1970 UTC (ended_at and last_seen_at can be null).
RUN_COLUMNS: Final = (
    "run",
    "workspace",
    "project",
    "experiment",
    "name",
    "status",
    "message",
    "user",
    "host",
    "notes",
    "tags",
    "created_at",
    "started_at",
    "ended_at",
    "updated_at",
    "archived",
    "deleted",
    "points_dropped",
    "duration_s",
    "part",
    "offset",
)


@dataclass(frozen=True, slots=True)
class Clock:
    """When a question is asked, and how long a writer may be silent until its run counts as crashed."""

    now_us: int
    silence_us: int


def silent_runs(parameters: Parameters, clock: Clock) -> str:
    """Runs with writers that never ended and were all silent for too long: (key, silent_since). Not every one of
    them is shown as crashed: only those whose own status is `running`."""
    since = parameters.integer(clock.now_us - clock.silence_us)
    return (
        "SELECT key, max(last_seen_at) AS silent_since FROM watermarks WHERE writer != '' AND NOT ended "
        f"GROUP BY key HAVING silent_since < fromUnixTimestamp64Micro({since}, 'UTC')"
    )


def run_rows(parameters: Parameters, clock: Clock) -> str:
    """A subquery with one row a run: the columns of the view `runs`, where `status` is what is shown (a running run
    whose writers fell silent is `crashed`) and `duration_s` goes to the end, to the last sign of life of a crashed
    run, or to now."""
    now = f"fromUnixTimestamp64Micro({parameters.integer(clock.now_us)}, 'UTC')"
    return f"""(
        SELECT * REPLACE (if(lost, 'crashed', toString(status)) AS status),
            status = 'running' AND silent.key != '' AS lost,
            dateDiff('microsecond', started_at,
                     ifNull(ended_at, if(lost, silent.silent_since, {now}))) / 1000000 AS duration_s
        FROM runs LEFT JOIN ({silent_runs(parameters, clock)}) AS silent ON silent.key = runs.run
    )"""
