"""Whether brokers answer: asked of none, and what their silence means."""

import asyncio

import pytest

from runstream.errors import InvalidSetting
from runstream_infra.ports import free_ports
from runstream_ingest.log.kafka.brokers import BrokerWatch, ask_brokers
from runstream_ingest.log.kafka.settings import KafkaSettings
from runstream_service.log import LogUnavailable


@pytest.mark.sockets
async def test_where_nobody_listens_no_broker_answers() -> None:
    where = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    with pytest.raises(LogUnavailable, match=f"no broker answers .*{where}.*see whether the brokers run"):
        await ask_brokers(KafkaSettings(bootstrap=where))


async def test_brokers_that_are_silent_for_long_are_away() -> None:
    now_s = 100.0
    failure: Exception | None = None
    requested = asyncio.Event()

    async def ask() -> None:
        requested.set()
        if failure is not None:
            raise failure

    async def looked() -> None:
        """Until two looks have begun, so that one has ended."""
        for _ in range(2):
            requested.clear()
            await asyncio.wait_for(requested.wait(), 120)

    watch = BrokerWatch(ask, lambda: now_s, ask_every_s=0.0)
    assert await watch.trouble() is None, "they answered when this process connected"
    now_s = 116.0
    assert await watch.trouble() == "no broker has answered for 16 s: they do not answer"
    task = asyncio.create_task(watch.run())
    await looked()
    assert await watch.trouble() is None
    for failure in (LogUnavailable("start them"), InvalidSetting("no such certificate")):
        await looked()
        now_s += 14.0
        assert await watch.trouble() is None, "another one may answer in a moment"
        now_s += 2.0
        assert await watch.trouble() == f"no broker has answered for 16 s: {failure}"
        failure = None
        await looked()
        assert await watch.trouble() is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
