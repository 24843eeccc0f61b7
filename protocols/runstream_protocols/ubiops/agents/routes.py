"""The routes of agents."""

from collections.abc import Awaitable, Callable, Mapping
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
#: The lease that the examples are about.
_HELD: Final = {"lease": "0123456789abcdef0123456789abcdef", "token": 1}


def _post(
    path: str,
    summary: str,
    handle: _Handle,
    request: type[BaseModel],
    response: type[BaseModel],
    example: Mapping[str, Any] = _HELD,
) -> Route:
    examples = {"a request": example}
    return Route(
        "POST", path, Action.LOG, summary, writing(handle), request, response, tags=("agents",), examples=examples
    )


ROUTES: Final = (
    _post(
        _LEASES,
        "Get a pending run to execute",
        leasing.acquire,
        m.LeaseRequest,
        m.LeaseResponse,
        {"agent": "gpu-1/4711", "host": "gpu-1", "ttl_s": 60},
    ),
    _post(f"{_LEASE}/renew", "Keep a lease", leasing.renew, m.Held, m.LeaseState),
    _post(f"{_LEASE}/start", "Note that the run is executed", leasing.start, m.Held, m.LeaseState),
    _post(f"{_LEASE}/release", "Give back a lease that was not started", leasing.release, m.Held, m.LeaseState),
    _post(
        f"{_LEASE}/file",
        "The URL of a file of the run",
        given.url,
        m.FileRequest,
        m.UrlOfFile,
        {**_HELD, "read": "code"},
    ),
    _post(f"{_LEASE}/variables", "The environment of the code", given.variables, m.Held, m.RunVariables),
    _post(
        f"{_LEASE}/end",
        "End the run",
        ending.end,
        m.EndRequest,
        m.RunEnded,
        {**_HELD, "status": "completed", "result": {"metrics": {"accuracy": 0.9}}},
    ),
)
