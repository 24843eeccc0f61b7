"""A server from its start to its first reads. Prints, as JSON, which modules each request had the event loop import."""

import asyncio
import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from runstream_infra.embedded import application, open_parts
from runstream_infra.settings import ServerSettings
from runstream_service.auth import ApiKeys

RUN = "1" * 32
STARTED = {"type": "run_started.v1", "workspace": "w", "project": "p"}
LOGGED = {"experimentKey": RUN, "metricName": "loss", "metricValue": 1, "step": 1}
WRITES: list[tuple[str, dict[str, Any]]] = [
    ("/ingest/v1/commands", {"key": RUN, "event": STARTED}),
    ("/api/rest/v2/write/experiment/metric", LOGGED),
]
READS = [
    "/readyz",
    "/api/v1/runs?filter=metric.loss<2&columns=metric.loss",
    f"/api/v1/runs/{RUN}",
    f"/api/v1/runs/{RUN}?as_of=next:0:1",
    f"/api/v1/runs/{RUN}/summaries",
    f"/api/v1/runs/{RUN}/history",
    f"/api/v1/runs/{RUN}/series?metrics=loss",
    f"/api/v1/runs/{RUN}/series?metrics=loss&max_points=10",
    f"/api/v1/runs/{RUN}/assets",
    "/api/v1/projects",
    "/api/v1/artifacts",
    "/api/v1/openapi.json",
    "/metrics",
    f"/api/rest/v2/experiment/metadata?experimentKey={RUN}",
]


class Imports:
    """The modules that the thread that made this imports, from `begin` on."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._is_on = False
        self.found: list[str] = []
        sys.addaudithook(self._hear)

    def begin(self) -> None:
        self._is_on, self.found = True, []

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import" and self._is_on and threading.get_ident() == self._thread:
            self.found.append(str(arguments[0]))


async def first_reads(folder: Path) -> dict[str, list[str]]:
    imports, found = Imports(), {}
    settings = ServerSettings(data_dir=folder)
    async with open_parts(settings) as parts:
        stop = asyncio.Event()
        worker = asyncio.create_task(parts.worker.run(stop))
        server = TestServer(application(settings, ApiKeys(), parts), host="127.0.0.1")
        async with TestClient(server, headers={"Runstream-Client": "test"}) as client:
            requests = [("POST", path, body) for path, body in WRITES] + [("GET", path, None) for path in READS]
            async with client.post("/nothing", json={}) as response:  # what the client itself imports
                await response.read()
            for method, path, body in requests:
                imports.begin()
                async with client.request(method, path, json=body) as response:
                    text = await response.text()
                assert response.status == 200, (path, text)
                found[path] = list(imports.found)
        stop.set()
        await worker
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(asyncio.run(first_reads(Path(directory)))))
