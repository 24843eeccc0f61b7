"""A body that its protocol has to see whole is seen before anything of it is parsed."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runstream_ingest.gateway.settings import GatewaySettings
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import read_object
from runstream_service.problems import problem_middleware


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b'{"a": 1}', 200, {"a": 1}),
        (b'{"a": 2}', 400, "the body was changed"),
        (b"{", 400, "the body was changed"),
        (b'{"a": 1} ', 400, "the body was changed"),
    ],
)
async def test_a_body_is_checked_before_it_is_parsed(body: bytes, status: int, told: Any) -> None:
    async def check(content: bytes) -> None:
        if content != b'{"a": 1}':
            raise Refused("the body was changed")

    async def handle(request: web.Request) -> web.Response:
        payload = await read_object(request, 1_000, GatewaySettings(), lambda size: None, check)
        return web.json_response(dict(payload.fields))

    app = web.Application(middlewares=[problem_middleware()])
    app.router.add_post("/", handle)
    async with TestClient(TestServer(app)) as client, client.post("/", data=body) as response:
        assert response.status == status
        shown = await response.json(content_type=None)
        assert (shown if status == 200 else shown["detail"]) == told
