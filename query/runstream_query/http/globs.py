"""Metric names and globs (`loss`, `val/*`, `layer?.norm`) to the metrics that runs have."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from runstream_query.errors import InvalidRequest
from runstream_query.filters.checks import similar
from runstream_query.http.context import Context
from runstream_query.repositories.statements.parameters import Parameters


def pattern_of(glob: str) -> str:
    """The glob as a whole-name RE2 pattern: `*` is any characters, `?` one, all else itself."""
    escaped = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in glob)
    return f"^(?s:{escaped})$"


def chosen_condition(metrics: Sequence[str], parameters: Parameters) -> str:
    """Whether the column `metric` is one of the names or matches one of the globs. A name is always also itself."""
    conditions = [f"metric IN {parameters.texts(metrics)}"]
    conditions.extend(
        f"match(metric, {parameters.text(pattern_of(metric))})" for metric in metrics if "*" in metric or "?" in metric
    )
    return "(" + " OR ".join(conditions) + ")"


async def chosen(context: Context, runs: Sequence[str], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """The series that exist, ordered: run, metric, count, first_step, last_step. Raises InvalidRequest if there are
    too many for one request."""
    limit = context.settings.max_series
    parameters = Parameters()
    sql = (
        "SELECT run, metric, count, first_step, last_step FROM summaries WHERE "
        f"run IN {parameters.texts(runs)} AND {chosen_condition(metrics, parameters)} "
        f"ORDER BY run, metric LIMIT {parameters.integer(limit + 1)}"
    )
    rows = await context.rows(sql, parameters)
    if len(rows) > limit:
        raise InvalidRequest(
            f"{len(runs)} runs have more than {limit} series of these metrics: ask for fewer at once", name="metrics"
        )
    return rows


async def near_metric(context: Context, runs: Sequence[str], name: str) -> str:
    """`; did you mean X?` for the most similar metric that the runs have, or nothing."""
    parameters = Parameters()
    sql = f"SELECT DISTINCT metric FROM summary_states WHERE run IN {parameters.texts(runs)} LIMIT 1000"
    names = [row["metric"] for row in await context.rows(sql, parameters)]
    return await asyncio.to_thread(similar, name, names)
