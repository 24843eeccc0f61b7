"""One address before many gateways and query servers, for a cluster on one machine. Deployments have a load balancer.

Requests that write go to the gateways, all others to the query servers, in turns; one that refuses the connection is
passed over. Bodies are passed on as they come, in both directions. Whoever sent a request stands last in its
X-Forwarded-For, so the processes behind have to trust this one's address.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from runstream_infra.limits import Limits
from runstream_infra.listening import guarded_runner
from runstream_protocols.all import LOCATIONS
from runstream_protocols.protocol import Location, Side, side_of
from runstream_service.listening import GuardedRunner
from runstream_service.origins import add_response_headers
from runstream_service.problems import ClientLeft, Problem, problem_middleware
from runstream_service.proxies import NO_PROXIES, TRUSTED_PROXIES, TrustedProxies, client_of, plain_address

logger = logging.getLogger(__name__)

#: Headers that are about one connection and not about the message (RFC 9110, 7.6.1).
_OF_THE_CONNECTION: Final = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_CHUNK_BYTES: Final = 1 << 16
#: All that is not of these goes to the query servers.
_LOCATIONS: Final = (Location("/ingest/", Side.GATEWAY), *LOCATIONS)
_CONNECT_S: Final = 2.0
_LIMITS: Final = Limits()


def is_written(path: str) -> bool:
    """Return whether a request is for a gateway."""
    return side_of(path, _LOCATIONS) is Side.GATEWAY


def _sent_by(request: web.Request) -> str:
    """What is added to X-Forwarded-For: who opened the connection, or that it is not known for whom."""
    client = client_of(request)
    return "unknown" if client.through or not client.is_known else plain_address(request.remote or "unknown")


class _BrokeOff(ConnectionResetError):
    """A response ended in its middle, and the client was cut off: there is nobody to respond to any more."""


class Front:
    """A reverse proxy. `gateways` and `queries` are URLs, which stay the same when a process is started again.
    `proxies`: those before it that it believes."""

    def __init__(self, gateways: Sequence[str], queries: Sequence[str], proxies: TrustedProxies = NO_PROXIES) -> None:
        self._gateways, self._queries = tuple(gateways), tuple(queries)
        self._proxies = proxies
        self._turn = count()
        self._client: aiohttp.ClientSession | None = None

    def application(self) -> web.Application:
        app = web.Application(middlewares=[problem_middleware()])
        app[TRUSTED_PROXIES] = self._proxies
        add_response_headers(app)
        app.cleanup_ctx.append(self._with_client)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        return app

    def runner(self, limits: Limits = _LIMITS) -> GuardedRunner:
        """What serves it. Packed bodies stay packed: what is behind reads them as their headers say. A connection needs
        a second one to what is behind, and takes it along when it ends: a query ends when its client leaves."""
        return guarded_runner(self.application(), limits, files_each=2, handler_cancellation=True)

    async def _with_client(self, _: web.Application) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False, connector=connector) as client:
            self._client = client
            yield

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if not request.raw_path.startswith("/"):
            # Put behind a URL it would name another host, or none.
            detail = "The request's target is no path: this is no proxy to other servers."
            raise Problem(400, "unreadable-request", "The request is no valid HTTP", detail)
        behind = self._gateways if is_written(request.path) else self._queries
        first = next(self._turn)
        headers = CIMultiDict(
            (name, value) for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION
        )
        headers.add("X-Forwarded-For", _sent_by(request))
        for number in range(len(behind)):
            url = behind[(first + number) % len(behind)]
            try:
                return await self._ask(url, request, headers)
            except aiohttp.ClientConnectorError:
                continue  # nothing of the body was read
            except _BrokeOff:
                raise
            except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                if request.transport is None:
                    raise ClientLeft from error
                if isinstance(error.__cause__, Problem):  # of the body, which was read meanwhile
                    raise error.__cause__ from None
                raise self._bad_gateway(502, f"{url} broke off: {error}.") from error
        raise self._bad_gateway(503, f"None of {', '.join(behind)} takes connections.")

    async def _ask(self, url: str, request: web.Request, headers: CIMultiDict[str]) -> web.StreamResponse:
        assert self._client is not None
        body = request.content if request.body_exists else None
        passed_on = self._client.request(
            request.method, url + request.raw_path, headers=headers, data=body, allow_redirects=False
        )
        async with passed_on as response:
            passed = web.StreamResponse(status=response.status, reason=response.reason)
            for name, value in response.headers.items():
                if name.lower() not in _OF_THE_CONNECTION:
                    passed.headers.add(name, value)
            await passed.prepare(request)
            try:
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    await passed.write(chunk)
            except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                # The head is sent already. A client that is not cut off would wait for the rest for ever.
                if request.transport is not None:
                    request.transport.abort()
                raise _BrokeOff(f"{url} broke off within its response") from error
            await passed.write_eof()
            return passed

    def _bad_gateway(self, status: int, detail: str) -> Problem:
        return Problem(status, "unavailable", "A process of the cluster does not answer", detail, retry_after_s=1)
