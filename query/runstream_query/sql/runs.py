"""Runs as the filter language sees them: what a run's shown status and duration are, said once, here."""

from dataclasses import dataclass
from typing import Final

from runstream_query.sql.parameters import Parameters

#: What a row of a run has, in this order. Times are DateTime64(6, 'UTC'); ended_at and last_seen_at can be null.
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
    "duration_s",
    "archived",
    "deleted",
    "points_dropped",
)
_AS_STORED: Final = ", ".join(
    f"r.{column} AS {column}" for column in RUN_COLUMNS if column not in ("status", "duration_s")
)


@dataclass(frozen=True, slots=True)
class Clock:
    """When a question is asked, and how long writers may be silent until their run counts as crashed."""

    now_us: int
    silence_us: int


def silent_runs(parameters: Parameters, clock: Clock) -> str:
    """Runs (key, silent_since) that have writers which never ended and were all silent for too long. Only those whose
    own status is `running` are shown as crashed."""
    since = parameters.integer(clock.now_us - clock.silence_us)
    return (
        "SELECT key, max(last_seen_at) AS silent_since FROM watermarks WHERE writer != '' AND NOT ended "
        f"GROUP BY key HAVING toUnixTimestamp64Micro(silent_since) < {since}"
    )


def run_rows(parameters: Parameters, clock: Clock) -> str:
    """A subquery with one row a run: RUN_COLUMNS, part and offset. `status` is what is shown (a running run whose
    writers fell silent is `crashed`); `duration_s` ends with the run, with the last sign of life of a crashed one,
    or now."""
    now = f"fromUnixTimestamp64Micro({parameters.integer(clock.now_us)}, 'UTC')"
    return f"""(
    SELECT {_AS_STORED}, r.part AS part, r.offset AS offset,
        r.status = 'running' AND silent.key != '' AS lost,
        if(lost, 'crashed', toString(r.status)) AS status,
        dateDiff('microsecond', r.started_at, ifNull(r.ended_at, if(lost, silent.silent_since, {now}))) / 1000000
            AS duration_s
    FROM runs AS r LEFT JOIN ({silent_runs(parameters, clock)}) AS silent ON silent.key = r.run
)"""
