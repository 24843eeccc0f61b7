"""A stall of the event loop is in the metrics and in the log, with the request that it was in."""

import asyncio
import logging
import re
import time

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from runstream_infra.limits import Limits
from runstream_infra.listening import guarded_runner, listen
from runstream_service.metrics import add_operations
from runstream_service.stalls import _BEAT_S, LoopSettings, LoopWatch


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_longest_of_the_last_minute_and_those_beyond_a_bound_are_told() -> None:
    clock, registry = Clock(), CollectorRegistry()
    watch = LoopWatch(LoopSettings(stall_warning_s=1), registry, monotonic_s=clock)
    for stall_s in (0.0, 3.0, 0.5, 2.0, 0.2):
        clock.now_s += _BEAT_S + stall_s
        watch.beat()
    assert watch.stalls == 2
    assert watch.longest_s() == pytest.approx(3.0)
    clock.now_s += 57.5
    assert watch.longest_s() == pytest.approx(2.0)
    clock.now_s += 120
    assert watch.longest_s() == 0.0
    text = generate_latest(registry).decode()
    assert "runstream_loop_stalls_total 2.0" in text
    assert 'runstream_loop_stall_seconds_bucket{le="0.5"} 3.0' in text
    assert "runstream_loop_stall_longest_seconds 0.0" in text


def test_a_day_of_beats_is_remembered_in_little() -> None:
    clock = Clock()
    watch = LoopWatch(LoopSettings(), monotonic_s=clock)
    for number in range(10_000):
        clock.now_s += _BEAT_S + (number * 7 % 13) / 1000
        watch.beat()
    assert len(watch._longest) < 650


@pytest.mark.sockets
@pytest.mark.parametrize(("stack_s", "tells_it_while_it_lasts"), [(30.0, False), (0.3, True)])
async def test_the_line_names_the_request_and_the_function(
    stack_s: float, tells_it_while_it_lasts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def stand_still(_: web.Request) -> web.Response:
        time.sleep(1.0)  # noqa: ASYNC251
        return web.Response()

    app, registry = web.Application(), CollectorRegistry()
    app.router.add_get("/runs/{run}/slow", stand_still)
    add_operations(app, registry)
    limits = Limits(loop=LoopSettings(stall_warning_s=0.3, stall_stack_s=stack_s))
    runner = guarded_runner(app, limits, registry)
    await runner.setup()
    url = await listen(runner, "127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{url}/runs/r1/slow"):
                pass
            async with asyncio.timeout(240):
                while not lines_of(caplog):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            async with client.get(f"{url}/metrics") as response:
                text = await response.text()
    finally:
        await runner.cleanup()
    # A busy machine may stand still once more, in another place.
    [line] = lines_of(caplog)
    assert "stand_still, line" in line
    [stalls] = re.findall(r"^runstream_loop_stalls_total (\S+)$", text, re.MULTILINE)
    assert float(stalls) >= 1
    assert 'runstream_connections{state="busy"} 1.0' in text
    stacks = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert sum("stand_still" in stack for stack in stacks) == tells_it_while_it_lasts


def lines_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was told of the request that stands still, as soon as it was over."""
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    return [message for message in warnings if "stood" in message and "in GET /runs/{run}/slow (" in message]
