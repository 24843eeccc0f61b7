"""What is on a server before an attack: experiments, runs, an asset, a registered model, so that requests find them."""

import json
from collections.abc import Sequence
from typing import Any, Final

from fuzzing.requests import PROGRAM, Connection, Request
from fuzzing.traffic import ASSET, ASSET_SHA, KEYS, PROJECT, RUNS, WORKSPACE

_TIMEOUT_S: Final = 60.0
_AT_US: Final = 1_750_000_000_000_000
_JSON: Final = ("Content-Type", "application/json")
_ROOT: Final = "/api/rest/v2/write"


def _requests() -> Sequence[Request]:
    def post(path: str, body: Any) -> Request:
        return Request("POST", path, [_JSON], json.dumps(body).encode())

    requests = [Request("PUT", f"/ingest/v1/assets/{ASSET_SHA}", [], ASSET)]
    for run in RUNS:
        event = {"type": "run_started.v1", "at_us": _AT_US, "workspace": WORKSPACE, "project": PROJECT, "name": run}
        values = {"type": "parameters_logged.v1", "at_us": _AT_US, "values": {"lr": 0.1, "name": "x"}}
        commands = [{"key": run, "event": one} for one in (event, values)]
        requests.append(post("/ingest/v1/commands", {"commands": commands}))
    for key in KEYS:
        requests.append(
            post("/clientlib/logger/add/run", {"experimentKey": key, "teamName": WORKSPACE, "projectName": PROJECT})
        )
        metric = {"experimentKey": key, "metricName": "loss", "metricValue": 0.5, "step": 1}
        requests.append(post(f"{_ROOT}/experiment/metric", metric))
        requests.append(
            post(
                f"{_ROOT}/experiment/parameter", {"experimentKey": key, "parameterName": "lr", "parameterValue": "0.1"}
            )
        )
        boundary = "setup"
        part = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="m"\r\n\r\nx\r\n--{boundary}--\r\n'
        )
        target = f"{_ROOT}/experiment/upload-asset?experimentKey={key}&fileName=m.bin&type=asset"
        requests.append(
            Request("POST", target, [("Content-Type", f"multipart/form-data; boundary={boundary}")], part.encode())
        )
    return requests


async def set_up(connection: Connection) -> None:
    """Raises RuntimeError if the server refuses any of it."""
    for request in _requests():
        request.headers.append(PROGRAM)
        reply = await connection.exchange(request, _TIMEOUT_S)
        if reply.status not in (200, 201, 202):
            raise RuntimeError(f"{request.method} {request.target}: {reply.status} {reply.body[:500]!r}")
