"""The series that a request means by names and globs, and the nearest name to one that is not there."""

import asyncio
from collections.abc import Sequence
from typing import Final

from runstream_query.errors import InvalidRequest
from runstream_query.filters.checks import similar
from runstream_query.http.context import Context
from runstream_query.repositories.summaries import SeriesRecord

#: Names that a similar one is looked for among.
_LOOKED_AT: Final = 1000


async def chosen(context: Context, runs: Sequence[str], metrics: Sequence[str]) -> list[SeriesRecord]:
    """The series that exist, by run and metric. Raises InvalidRequest if there are too many for one request."""
    limit = context.settings.max_series
    found = await context.repositories.summaries.series(context.scope, runs, metrics, limit + 1)
    if len(found) > limit:
        raise InvalidRequest(
            f"{len(runs)} runs have more than {limit} series of these metrics: ask for fewer at once", name="metrics"
        )
    return found


async def near_metric(context: Context, runs: Sequence[str], name: str) -> str:
    """`; did you mean X?` for the most similar metric that the runs have, or nothing."""
    names = await context.repositories.summaries.metrics(context.scope, runs, _LOOKED_AT)
    return await asyncio.to_thread(similar, name, names)
