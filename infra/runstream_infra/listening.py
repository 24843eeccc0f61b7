"""Opening a server's port, and what to say if that does not work."""

import asyncio
import signal
import socket
from typing import Final

from aiohttp import web

#: A request's first line: Comet's client says in it how a file is called, for which users make names of 10,000
#: characters, each of them up to 12 bytes there. aiohttp's own limit is 8,190 bytes.
MAX_LINE_BYTES: Final = 131_072


class StartFailed(Exception):
    """The server cannot start; the message says what is in the way and what to do."""


async def listen(runner: web.AppRunner, host: str, port: int) -> str:
    """Begin to accept connections (port 0: any free one) and return the address as a URL. Raises StartFailed."""
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except socket.gaierror as error:
        raise StartFailed(
            f"cannot listen on {host}: no address has that name ({error.strerror}); give another --host"
        ) from error
    except OSError as error:
        raise StartFailed(
            f"cannot listen on {host}:{port} ({error.strerror}): give another --port, or 0 for a free one"
        ) from error
    found = runner.addresses[0][1]
    return f"http://{f'[{host}]' if ':' in host else host}:{found}"


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
