"""Telling whoever runs a server that it refuses requests: a training node with a wrong key is silent for its owner."""

import logging
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from runstream_service.problems import Problem

logger = logging.getLogger(__name__)

_REFUSALS: Final = (401, 403)
#: What helps, where the response does not say it because it is for the client alone.
_NEXT_STEPS: Final = {
    "unauthorized": "Set RUNSTREAM_API_KEY where the client runs to one of this server's RUNSTREAM_API_KEYS.",
    "wrong-host": "Call the server http://127.0.0.1:PORT, or start it with a key (RUNSTREAM_API_KEYS).",
    "wrong-site": "Nothing needs to be done unless the page is yours; a proxy has to pass `Host` on unchanged.",
    "wrong-origin": "Nothing needs to be done unless the page is yours; a proxy has to pass `Host` on unchanged.",
}


def refusal_notices() -> Middleware:
    """Return the middleware between `problem_middleware` and `auth_middleware`: it logs the first refused request
    (401, 403) of each cause, with what to do."""
    told: set[tuple[str, str]] = set()

    @web.middleware
    async def notice_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Problem as problem:
            is_there = request.remote is not None  # of a client that left nothing is known, not even who it was
            if problem.status in _REFUSALS and is_there and (cause := _cause(problem)) not in told:
                told.add(cause)
                logger.warning("%s", _notice(request, problem), extra={"repeats": cause})
            raise

    return notice_refusals


def _cause(problem: Problem) -> tuple[str, str]:
    """Return what two refusals have in common. Details hold what clients sent, but for a missing or unknown key."""
    return problem.kind, problem.detail if problem.kind == "unauthorized" else ""


def _notice(request: web.Request, problem: Problem) -> str:
    step = _NEXT_STEPS.get(problem.kind, "")
    return (
        f"refused {request.method} {request.path[:100]} of {request.remote} ({problem.status} {problem.kind}): "
        f"{problem.detail} {step}".rstrip()
        + " Further requests that are refused for this cause are not shown."
    )
