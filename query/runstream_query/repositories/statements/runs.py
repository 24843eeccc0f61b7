"""Runs as the filter language sees them, and as they are shown: what their shown status and duration are."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from runstream.events.moments import moment_of
from runstream_model.run_state import RUN_STATES
from runstream_query.repositories.questions import Clock
from runstream_query.repositories.statements.parameters import Parameters

#: What a row of a run has, in this order. Times are DateTime64(6, 'UTC'); ended_at can be null.
RUN_COLUMNS: Final = tuple(column.name for column in RUN_STATES.visible)
#: What depends on the writers' silence, and what else is read for it.
_SHOWN: Final = ("status", "duration_s", "lost")
_READ_FOR_SHOWN: Final = ("status", "started_at", "ended_at", "set_running")
#: What a state holds of RUN_COLUMNS.
STORED_COLUMNS: Final = tuple(column.name for column in RUN_STATES.visible if not column.computed)
_NEWEST: Final = {column.name: column.newest for column in RUN_STATES.stored}


def newest_runs(columns: Collection[str], only: str | None) -> str:
    """A subquery of the newest state of each run, with these columns of `run_states` as they are stored.

    Only what is named is read, and the engine plans a short statement sooner: half of what a small page costs.
    `only` is what may stand behind IN: the ids that are wanted.
    """
    read = "".join(f", {_NEWEST[column]} AS {column}" for column in columns if column != "run")
    where = f" WHERE s.run IN {only}" if only is not None else ""
    return f"(SELECT s.run AS run{read} FROM run_states AS s{where} GROUP BY s.run)"


def silent_runs(parameters: Parameters, clock: Clock, only: str | None = None) -> str:
    """Runs (key, silent_since) that have writers which never ended and were all silent for too long. Looks only at
    runs of which some state says `running`: of others the shown status does not depend on it."""
    since = parameters.integer(clock.now_us - clock.silence_us)
    wanted = f" AND run IN {only}" if only is not None else ""
    keys = f"SELECT run FROM run_states WHERE status = 'running'{wanted}"
    return (
        "SELECT key, max(last_seen) AS silent_since FROM (SELECT s.key AS key, argMax(s.last_seen_at, s.offset) AS "
        "last_seen, argMax(s.ended, s.offset) AS over FROM watermark_states AS s WHERE s.writer != '' AND "
        f"s.key IN ({keys}) GROUP BY s.key, s.writer, s.part) WHERE NOT over "
        f"GROUP BY key HAVING toUnixTimestamp64Micro(silent_since) < {since}"
    )


def run_rows(
    parameters: Parameters, clock: Clock, columns: Collection[str] = (*RUN_COLUMNS, "lost"), only: str | None = None
) -> str:
    """A subquery with one row a run: `columns`, of RUN_COLUMNS and `lost`. `status` is what is shown (a running run
    whose writers fell silent, so that it is `lost`, is `crashed`, unless somebody set it running); `duration_s` ends
    with the run, with the last sign of life of a lost one, or now; clocks may differ, so that it is 0 where the run's
    start seems to be later. `only` is what may stand behind IN: the ids that are wanted."""
    shown = [column for column in _SHOWN if column in columns]
    stored = [column for column in columns if column not in _SHOWN]
    if not shown:
        return newest_runs(stored, only)
    newest = newest_runs(dict.fromkeys((*stored, *_READ_FOR_SHOWN)), only)
    lost = "(r.status = 'running' AND NOT r.set_running AND silent.key != '')"
    made = {"lost": lost, "status": f"if({lost}, 'crashed', toString(r.status))"}
    if "duration_s" in shown:
        now = f"fromUnixTimestamp64Micro({parameters.integer(clock.now_us)}, 'UTC')"
        end = f"ifNull(r.ended_at, if({lost}, silent.silent_since, {now}))"
        made["duration_s"] = f"greatest(dateDiff('microsecond', r.started_at, {end}), 0) / 1000000"
    selected = [f"r.{column} AS {column}" for column in dict.fromkeys(("run", *stored))]
    selected += [f"{made[column]} AS {column}" for column in shown]
    return (
        f"(SELECT {', '.join(selected)} FROM {newest} AS r "
        f"LEFT JOIN ({silent_runs(parameters, clock, only)}) AS silent ON silent.key = r.run)"
    )


def details_statement(only: str, narrowed: str = "") -> str:
    """Rows (run, newest, set_running) of the runs `only` (what may stand behind IN): a tuple of STORED_COLUMNS as they
    are stored, and whether somebody set the run running.
    `narrowed` are conditions of a scope, as they follow others.

    One tuple is planned in a fourth of the time of nineteen columns and a join, which is most of a page's cost.
    """
    stored = ", ".join(f"s.{column}" for column in STORED_COLUMNS)
    return (
        f"SELECT s.run AS run, argMax(tuple({stored}), s.offset) AS newest, {_NEWEST['set_running']} AS set_running "
        "FROM run_states AS s "
        f"WHERE s.run IN {only}{narrowed} GROUP BY s.run"
    )


def shown_state(
    status: str, started_at: datetime, ended_at: datetime | None, silent_since: datetime | None, clock: Clock
) -> tuple[str, float]:
    """The status and duration (seconds) of a stored run as they are shown: the same that `run_rows` gives.
    `silent_since` as `silent_runs` says of the run; None for one that somebody set running."""
    lost = status == "running" and silent_since is not None
    now = moment_of(clock.now_us)
    end = ended_at or (silent_since if lost and silent_since else now)
    duration_us = max((end - started_at) // timedelta(microseconds=1), 0)
    return "crashed" if lost else status, duration_us / 1_000_000
