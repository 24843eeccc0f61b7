"""`POST /api/v1/server/rebuild`: let a running server build its read models anew, beside those that serve."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from runstream_processors.generations import GenerationsMismatch, Outcome, Purpose, Rebuild, RebuildRefused
from runstream_query.problems import problem_of
from runstream_query.responses import ResponseModel, encode_json
from runstream_service.access import EVERYTHING, Action
from runstream_service.bodies import read_body
from runstream_service.problems import Problem
from runstream_service.routing import Call, Route, add_routes, plain_handler, tagged
from runstream_service.store import StoreError

#: Requests a generation of the read models. Raises RebuildRefused, StoreError, LogError.
Request = Callable[[Purpose], Awaitable[Rebuild]]

_MAX_BODY_BYTES: Final = 1_000


class RebuildRequest(BaseModel):
    """What is to be done with the fresh tables once they were compared with those in use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replace: bool = Field(
        default=False, description="put the fresh tables into use, also where they differ; else they are dropped"
    )


class RebuildStatus(ResponseModel):
    """A rebuild that was requested: the generation that it builds, whether that takes over, and what became of it.
    `detail`: what differs, or why it was given up."""

    generation: int
    replace: bool
    outcome: Outcome
    detail: str


async def request_rebuild(request: Request, call: Call[None]) -> web.Response:
    """Request a rebuild of the read models."""
    if call.scope != EVERYTHING:
        detail = f"The key {call.principal.name} may administer some workspaces; the read models are those of all."
        raise Problem(403, "forbidden", "The key has no right to do this", detail)
    body = await read_body(call.request, _MAX_BODY_BYTES)
    wanted = RebuildRequest.model_validate_json(body or b"{}")
    try:
        found = await request(Purpose.REPLACE if wanted.replace else Purpose.COMPARE)
    except (RebuildRefused, GenerationsMismatch) as error:
        raise Problem(409, "rebuild-refused", "The read models cannot be rebuilt now", str(error)) from error
    except StoreError as error:
        raise problem_of(error) or error from error
    return web.Response(status=202, body=encode_json(rebuild_status(found)), content_type="application/json")


def rebuild_status(found: Rebuild) -> RebuildStatus:
    """Return a rebuild as responses have it. Pure."""
    return RebuildStatus.model_validate(asdict(found))


ROUTES: Final = tagged(
    "operations",
    (
        Route(
            "POST",
            "/api/v1/server/rebuild",
            Action.ADMINISTER,
            "Build the read models anew and compare them",
            request_rebuild,
            RebuildRequest,
            RebuildStatus,
            statuses=(202,),
            examples={"compare": {"replace": False}},
        ),
    ),
)


def add_rebuilds(app: web.Application, request: Request) -> None:
    """Add ROUTES, before the application starts."""
    add_routes(app, ROUTES, lambda route: plain_handler(route, request))
