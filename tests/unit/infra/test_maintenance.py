"""What a process that folds does for the tables now and then."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from runstream_infra.maintenance import maintain
from runstream_service.store import StoreUnavailable


async def test_a_store_that_is_away_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    responses: list[StoreUnavailable | dict[str, list[SimpleNamespace]]] = [
        StoreUnavailable("it is away"),
        {"parts": [SimpleNamespace(as_py=lambda: 3)]},
    ]
    commands: list[str] = []
    commanded = asyncio.Event()

    async def query(sql: str, parameters: object = None, **_: object) -> object:
        response = responses.pop(0)
        if isinstance(response, StoreUnavailable):
            raise response
        return response

    async def command(sql: str) -> None:
        commands.append(sql)
        commanded.set()
        await asyncio.Event().wait()

    with caplog.at_level(logging.WARNING):
        task = asyncio.create_task(maintain(SimpleNamespace(query=query, command=command), every_s=0.0))
        await asyncio.wait_for(commanded.wait(), 120)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert commands == ["ALTER TABLE points MATERIALIZE PROJECTION buckets"]
    assert "panels stay slower until it is: it is away" in caplog.text
