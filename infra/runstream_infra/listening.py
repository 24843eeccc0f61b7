"""Opening a server's port behind the bounds of its connections, and what to say if that does not work."""

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry

from runstream_infra.limits import Limits
from runstream_service.connection_metrics import ConnectionMetrics
from runstream_service.connection_settings import connection_bound, raise_file_limit
from runstream_service.connections import Connections
from runstream_service.listening import GuardedRunner
from runstream_service.stalls import LoopWatch

logger = logging.getLogger(__name__)

#: A request's first line: some clients put into it how a file is called, for which users make names of 10,000
#: characters, each of them up to 12 bytes there. aiohttp's own limit is 8,190 bytes.
MAX_LINE_BYTES: Final = 131_072
#: How long open requests may take to end once a process stops.
_REQUESTS_END_S: Final = 5.0


class StartFailed(Exception):
    """The server cannot start; the message says what is in the way and what to do."""


def guarded_runner(
    app: web.Application,
    limits: Limits,
    registry: CollectorRegistry | None = None,
    *,
    files_each: int = 1,
    **options: Any,
) -> GuardedRunner:
    """What runs the application of every process kind: bounded connections and a watch over the event loop, with their
    metrics in `registry`. Raises the process's file limit.

    Call it before the application starts. files_each: files that one connection needs. options: of aiohttp's runner and
    protocol (`auto_decompress`, `shutdown_timeout` ...), in place of those that are set here.
    """
    files = raise_file_limit()
    settings = limits.connections
    bound = connection_bound(settings, files, files_each)
    if bound < settings.max_connections:
        logger.warning(
            "%d connections at a time instead of %d: the process may open %d files; raise its limit (ulimit -n)",
            bound,
            settings.max_connections,
            files,
        )
    connections = Connections(settings, bound)
    watch = LoopWatch(limits.loop, registry)
    if registry is not None:
        registry.register(ConnectionMetrics(connections))

    async def watched(_: web.Application) -> AsyncIterator[None]:
        async with watch.watching():
            yield

    app.cleanup_ctx.append(watched)
    # `runstream_service.bodies` unpacks bodies, within their limits.
    own = {"shutdown_timeout": _REQUESTS_END_S, "max_line_size": MAX_LINE_BYTES, "auto_decompress": False}
    options = {**own, **options}
    return GuardedRunner(app, connections, **options)


async def listen(runner: GuardedRunner, host: str, port: int, tls: ssl.SSLContext | None = None) -> str:
    """Begin to accept connections, with TLS if a context is given, and return the address as a URL. Port 0 takes any
    free one. Raises StartFailed."""
    try:
        await runner.listen(host, port, tls)
    except socket.gaierror as error:
        raise StartFailed(
            f"cannot listen on {host}: no address has that name ({error.strerror}); give another --host"
        ) from error
    except OSError as error:
        raise StartFailed(
            f"cannot listen on {host}:{port} ({error.strerror}): give another --port, or 0 for a free one"
        ) from error
    found = runner.addresses[0][1]
    scheme = "http" if tls is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{found}"


def stop_on_signals() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set. Call it in the main thread's loop."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
