"""The routes of agents."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from pydantic import BaseModel

from runstream_protocols.kit.payloads import Payload
from runstream_protocols.kit.side import writing
from runstream_protocols.ubiops.agents import ending, given, leasing
from runstream_protocols.ubiops.agents import models as m
from runstream_protocols.ubiops.paths import AGENTS
from runstream_protocols.ubiops.side import UbiopsSide
from runstream_service.access import Action
from runstream_service.routing import Call, Route

_LEASES: Final = f"{AGENTS}/v1/projects/{{project}}/leases"
_LEASE: Final = f"{_LEASES}/{{run}}"
_Handle = Callable[[UbiopsSide, Call[Any], Payload], Awaitable[BaseModel]]


def _post(path: str, summary: str, handle: _Handle, request: type[BaseModel], response: type[BaseModel]) -> Route:
    return Route("POST", path, Action.LOG, summary, writing(handle), request, response, tags=("agents",))


ROUTES: Final = (
    _post(_LEASES, "Get a pending run to execute", leasing.acquire, m.LeaseRequest, m.LeaseResponse),
    _post(f"{_LEASE}/renew", "Keep a lease", leasing.renew, m.Held, m.LeaseState),
    _post(f"{_LEASE}/start", "Note that the run is executed", leasing.start, m.Held, m.LeaseState),
    _post(f"{_LEASE}/release", "Give back a lease that was not started", leasing.release, m.Held, m.LeaseState),
    _post(f"{_LEASE}/file", "The URL of a file of the run", given.url, m.FileRequest, m.UrlOfFile),
    _post(f"{_LEASE}/variables", "The environment of the code", given.variables, m.Held, m.RunVariables),
    _post(f"{_LEASE}/end", "End the run", ending.end, m.EndRequest, m.RunEnded),
)
