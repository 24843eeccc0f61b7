"""`API.query` and `API.search`: which experiments of a project match."""

from aiohttp import web

from runstream_protocols.comet.reads.names import columns_of
from runstream_protocols.comet.reads.predicates import (
    Predicate,
    check_rules,
    expression_of_predicates,
    expression_of_tree,
    needs_columns,
)
from runstream_protocols.comet.reads.requests import ProjectRequest, QueryRequest, SearchRequest
from runstream_protocols.comet.reads.responses import CometFound, CometFoundKey, CometKeys
from runstream_protocols.comet.reads.runs import keys_of, of_project, place_of
from runstream_query.errors import FilterError
from runstream_query.http.context import Context


async def query(context: Context, request: web.Request, parameters: QueryRequest) -> CometKeys:
    """All keys, the oldest run first."""
    place = await place_of(context, parameters)
    try:
        check_rules([one.query for one in parameters.predicates])
        predicates = [Predicate(one.source, one.query, one.negated) for one in parameters.predicates]
        looked_up = needs_columns([(one.source, one.query) for one in predicates])
        wanted = expression_of_predicates(predicates, await columns_of(context, place) if looked_up else ())
        keys = await keys_of(context, of_project(place, parameters.archived, wanted))
    except FilterError as error:
        raise FilterError(error.message, name="predicates") from None
    return CometKeys(experiment_keys=keys)


async def search(context: Context, request: web.Request, parameters: SearchRequest) -> CometFound:
    """One page of keys, the oldest run first; pages count from 1."""
    place = await place_of(context, ProjectRequest(project_id=parameters.project_id))
    try:
        tree = parameters.rules_tree or {}
        check_rules([tree])
        looked_up = bool(tree) and needs_columns([(None, tree)])
        wanted = expression_of_tree(tree, await columns_of(context, place) if looked_up else ())
        expression = of_project(place, parameters.deleted, wanted)
        keys = await keys_of(
            context, expression, limit=parameters.limit, offset=(parameters.page - 1) * parameters.limit
        )
        total = await context.repositories.runs.count(context.scope, expression, context.clock())
    except FilterError as error:
        raise FilterError(error.message, name="rulesTree") from None
    return CometFound(experiments=[CometFoundKey(experiment_key=key) for key in keys], total=total)
