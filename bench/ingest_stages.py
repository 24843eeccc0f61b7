"""Parts of the server, for measuring how fast each stage is: `python -m bench.ingest_stages null|slow|log|worker DIR`.

null: answers that everything is durable, and keeps nothing.
slow: as null, but only after as many seconds as the next argument says.
log: the gateway and the embedded log, and nobody who reads it.
worker: folds the log of DIR (left behind by `log`) into the tables and says how long that took.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry

from runstream.events.frame import HEADER
from runstream.events.positions import Positions
from runstream.events.protocol import ACKNOWLEDGES, receipt_of
from runstream_infra.settings import ServerSettings
from runstream_ingest.assets.local import LocalAssets
from runstream_ingest.gateway.routes import add_gateway
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.migrate import migrate
from runstream_processors.worker.loop import Worker
from runstream_service.problems import problem_middleware
from runstream_service.visibility import Progress


async def accept(request: web.Request) -> web.Response:
    """The least that a gateway can do: read the body, look at the headers, say where each writer is."""
    body = await request.read()
    writers: dict[str, int] = {}
    heads: dict[str, list[bytes]] = {}
    at = 0
    while at < len(body):
        _, _, _, size, _, writer, _, end_seq, *_ = HEADER.unpack_from(body, at)
        writers[writer.hex()] = end_seq
        heads.setdefault(writer.hex(), []).append(body[at : at + HEADER.size])
        at += size
    receipt = receipt_of(head for some in heads.values() for head in some)
    return web.json_response({**ACKNOWLEDGES, "receipt": receipt, "positions": "", "writers": writers})


def accept_after(seconds: float) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        response = await accept(request)
        await asyncio.sleep(seconds)
        return response

    return handler


async def serve(add_routes: Callable[[web.Application], object]) -> None:
    app = web.Application(middlewares=[problem_middleware()], client_max_size=GatewaySettings().max_request_bytes)
    add_routes(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}", "pid": os.getpid()}), flush=True)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


async def serve_log(settings: ServerSettings) -> None:
    log = await asyncio.to_thread(EmbeddedLog.open, settings.log_dir)

    def add_routes(app: web.Application) -> None:
        assets = LocalAssets(settings.assets_dir)
        registry = CollectorRegistry()
        add_gateway(app, log=log, assets=assets, visibility=Progress(), settings=GatewaySettings(), registry=registry)

    try:
        await serve(add_routes)
    finally:
        await log.close()


async def fold(settings: ServerSettings) -> None:
    log = await asyncio.to_thread(EmbeddedLog.open, settings.log_dir)
    store = await ChdbStore.open(settings.store_dir)
    await migrate(store)
    worker = Worker(log, store, Progress())
    end = Positions(await log.next_offsets())
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    await worker.catch_up(end)
    seconds, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    print(json.dumps({"points": worker.points, "seconds": seconds, "cpu_s": cpu_s}), flush=True)
    await store.close()
    await log.close()


def main() -> None:
    stage, settings = sys.argv[1], ServerSettings(data_dir=Path(sys.argv[2]))
    match stage:
        case "null":
            asyncio.run(serve(lambda app: app.add_routes([web.post("/ingest/v1/frames", accept)])))
        case "slow":
            slow = accept_after(float(sys.argv[3]))
            asyncio.run(serve(lambda app: app.add_routes([web.post("/ingest/v1/frames", slow)])))
        case "log":
            asyncio.run(serve_log(settings))
        case "worker":
            asyncio.run(fold(settings))
        case _:
            raise SystemExit(f"{stage!r} is no stage: null, slow, log or worker")


if __name__ == "__main__":
    main()
