"""`API.query` and `API.search`: which experiments of a project match."""

from aiohttp import web

from runstream_protocols.comet.reads.answers import CometFound, CometFoundKey, CometKeys
from runstream_protocols.comet.reads.asked import AskedProject, AskedQuery, AskedSearch
from runstream_protocols.comet.reads.names import columns_of
from runstream_protocols.comet.reads.predicates import (
    Predicate,
    check_rules,
    expression_of_predicates,
    expression_of_tree,
    needs_columns,
)
from runstream_protocols.comet.reads.runs import matching, of_project, place_of
from runstream_query.errors import FilterError
from runstream_query.http.context import Context
from runstream_query.repositories.statements.pages import count_statement
from runstream_query.repositories.statements.parameters import Parameters


async def query(context: Context, request: web.Request, asked: AskedQuery) -> CometKeys:
    """All keys, the oldest run first."""
    place = await place_of(context, asked)
    try:
        check_rules([one.query for one in asked.predicates])
        predicates = [Predicate(one.source, one.query, one.negated) for one in asked.predicates]
        looked_up = needs_columns([(one.source, one.query) for one in predicates])
        wanted = expression_of_predicates(predicates, await columns_of(context, place) if looked_up else ())
        rows = await matching(context, of_project(place, asked.archived, wanted), ("run",))
    except FilterError as error:
        raise FilterError(error.message, name="predicates") from None
    return CometKeys(experiment_keys=[row["run"] for row in rows])


async def search(context: Context, request: web.Request, asked: AskedSearch) -> CometFound:
    """One page of keys, the oldest run first; pages count from 1."""
    place = await place_of(context, AskedProject(project_id=asked.project_id))
    try:
        tree = asked.rules_tree or {}
        check_rules([tree])
        looked_up = bool(tree) and needs_columns([(None, tree)])
        wanted = expression_of_tree(tree, await columns_of(context, place) if looked_up else ())
        expression = of_project(place, asked.deleted, wanted)
        rows = await matching(context, expression, ("run",), limit=asked.limit, offset=(asked.page - 1) * asked.limit)
        bound = Parameters()
        total = (await context.rows(count_statement(expression, context.clock(), bound), bound))[0]["total"]
    except FilterError as error:
        raise FilterError(error.message, name="rulesTree") from None
    return CometFound(experiments=[CometFoundKey(experiment_key=row["run"]) for row in rows], total=total)
