"""What tells of the clocks of writers: when their facts were made, and when the log heard of them. `narrowed` are
conditions of a scope, as they follow others."""

from runstream.events.limits import CLOCK_SKEW_S
from runstream_query.repositories.questions import Clock
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.runs import newest_runs


def writers_statement(run: str, parameters: Parameters, narrowed: str = "") -> str:
    """Rows (writer, ended, last_seen_at) of all writers of a run, by id."""
    return (
        "SELECT writer, max(ended) AS ended, max(last_seen_at) AS last_seen_at FROM watermarks "
        f"WHERE key = {parameters.text(run)} AND writer != ''{narrowed} GROUP BY writer ORDER BY writer"
    )


def facts_statement(run: str, parameters: Parameters, condition: str = "1") -> str:
    """Rows (writer, starts, newest_at, part, first_offset, first_at, last_offset) of the writers of a run's control
    events: whether it ever started the run, the latest time it gave to any, and where the first and last are."""
    return (
        "SELECT writer, part, countIf(type = 'run_started.v1') AS starts, max(at) AS newest_at, "
        "min(offset) AS first_offset, argMin(at, (offset, seq)) AS first_at, max(offset) AS last_offset "
        f"FROM events WHERE key = {parameters.text(run)} AND {condition} GROUP BY writer, part ORDER BY writer"
    )


def newest_point_statement(run: str, parameters: Parameters, narrowed: str = "") -> str:
    """One row (summaries, newest_at): the latest time of any curve's last point, if there are summaries at all."""
    return (
        "SELECT count() AS summaries, max(last_at) AS newest_at FROM summary_states WHERE "
        f"run = {parameters.text(run)}{narrowed}"
    )


def odd_runs_statement(parameters: Parameters, clock: Clock, limit: int, narrowed: str = "") -> str:
    """Rows (run, name) of running runs with living writers whose newest fact is further than CLOCK_SKEW_S from when the
    log last heard of them, in either direction. The newest point is taken from the summaries: the last of a curve."""
    since = f"fromUnixTimestamp64Micro({parameters.integer(clock.now_us - clock.silence_us)}, 'UTC')"
    living = (
        "SELECT key FROM watermark_states WHERE key IN (SELECT run FROM run_states WHERE status = 'running') AND "
        f"writer != '' AND last_seen_at >= {since} AND NOT ended"
    )
    seen = f"SELECT key, max(last_seen_at) AS at FROM watermark_states WHERE key IN ({living}) GROUP BY key"
    events = f"SELECT key, max(at) AS at FROM events WHERE key IN ({living}) GROUP BY key"
    points = f"SELECT run AS key, max(last_at) AS at FROM summary_states WHERE run IN ({living}) GROUP BY run"
    return (
        f"SELECT r.run AS run, r.name AS name FROM {newest_runs(('name', 'status'), f'({living})')} AS r "
        f"INNER JOIN ({seen}) AS s ON s.key = r.run LEFT JOIN ({events}) AS e ON e.key = r.run "
        f"LEFT JOIN ({points}) AS p ON p.key = r.run WHERE r.status = 'running' AND "
        f"abs(dateDiff('second', s.at, greatest(e.at, p.at))) > {parameters.integer(CLOCK_SKEW_S)}{narrowed} "
        f"ORDER BY run LIMIT {parameters.integer(limit)}"
    )
