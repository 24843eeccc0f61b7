"""Gateways, workers and query servers have bounded connections, with their metrics and those of their loop."""

import asyncio

import aiohttp
import pytest

from runstream_infra.cluster.process import application, listening
from runstream_infra.cluster.settings import RoleSettings

pytestmark = pytest.mark.sockets

ENVIRONMENT = {
    "RUNSTREAM_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    "RUNSTREAM_CLICKHOUSE_URL": "http://127.0.0.1:1",
    "RUNSTREAM_ASSETS": "assets",
    "RUNSTREAM_CONNECTIONS_HEAD_S": "0.4",
    "RUNSTREAM_CONNECTIONS_MAX_CONNECTIONS": "50",
}


async def test_who_sends_half_of_its_headers_is_disconnected_and_counted() -> None:
    settings = RoleSettings.from_environment(ENVIRONMENT)
    app, registry = application(settings, {})
    urls: list[str] = []
    async with listening(app, registry, settings, urls.append):
        host, _, port = urls[0].removeprefix("http://").partition(":")
        opened = [await asyncio.open_connection(host, int(port)) for _ in range(40)]
        for _, writer in opened:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: lo")
        for reader, writer in opened:
            assert await asyncio.wait_for(reader.read(), 120) == b""
            writer.close()
        async with aiohttp.ClientSession() as client, client.get(f"{urls[0]}/metrics") as response:
            text = await response.text()
    assert "runstream_connections_bound 50.0" in text
    assert 'runstream_connections_closed_total{cause="head_timeout"} 40.0' in text
    assert "runstream_loop_stall_longest_seconds" in text
    assert "runstream_loop_stalls_total" in text


@pytest.mark.parametrize("variable", ["RUNSTREAM_CONNECTIONS_HEAD_S", "RUNSTREAM_LOOP_STALL_WARNING_S"])
def test_a_bound_that_cannot_be_is_refused(variable: str) -> None:
    from runstream.errors import InvalidSetting

    with pytest.raises(InvalidSetting, match=variable):
        RoleSettings.from_environment({**ENVIRONMENT, variable: "-1"})
