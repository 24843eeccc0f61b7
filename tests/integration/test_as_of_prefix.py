"""A read as of a position equals the same read of a server whose log ends there: the past is the fold of a prefix."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from recorded import Recorded, recorded

from runstream.events.positions import Positions
from runstream.service.auth import ApiKeys
from runstream_infra.embedded import application, open_parts
from runstream_infra.settings import ServerSettings

#: Of a run: what a prefix decides. Times of the log's own clock and durations up to now differ between two servers.
DETAILS = ("status", "name", "workspace", "project", "tags", "message", "archived", "deleted", "points_dropped")


async def answers(directory: Path, facts: Recorded, end: int, as_of: list[int | None]) -> list[dict[str, Any]]:
    """What a server says of every run when its log holds the records before `end`, for each moment of the past."""
    settings = ServerSettings(data_dir=directory)
    async with open_parts(settings) as parts:
        written = await parts.log.append(facts.records[:end])
        stop = asyncio.Event()
        worker = asyncio.create_task(parts.worker.run(stop))
        assert await parts.progress.wait_for(written, timeout_s=60)
        server = TestServer(application(settings, ApiKeys(), parts), host="127.0.0.1")
        async with TestClient(server) as client:
            said = [await asked(client, facts, moment) for moment in as_of]
        stop.set()
        await worker
    return said


async def asked(client: TestClient[Any, Any], facts: Recorded, as_of: int | None) -> dict[str, Any]:
    query = {} if as_of is None else {"as_of": str(Positions({0: as_of}))}
    said: dict[str, Any] = {}
    for run in sorted({key.decode() for key, _ in facts.records if b"/" not in key}):
        detail = await client.get(f"/api/v1/runs/{run}", params=query)
        if detail.status == 404:
            said[run] = None
            continue
        assert detail.status == 200, await detail.text()
        run_row = (await detail.json())["run"]
        summaries = await client.get(f"/api/v1/runs/{run}/summaries", params=query)
        parameters = await client.get(f"/api/v1/runs/{run}/parameters", params=query)
        series = await client.post("/api/v1/series", json={"runs": [run], "metrics": ["metric-0"], **query})
        assert (summaries.status, parameters.status, series.status) == (200, 200, 200), await series.text()
        said[run] = {
            "detail": {name: run_row[name] for name in DETAILS},
            "summaries": await summaries.json(),
            "parameters": await parameters.json(),
            "series": await series.json(),
        }
    return said


@pytest.mark.parametrize("seed", [21])
async def test_as_of_is_the_fold_of_the_prefix(tmp_path: Path, seed: int) -> None:
    facts = recorded(seed, runs=3, frames=80)
    moments = [4, len(facts.records) // 3, len(facts.records) - 10]
    wanted = []
    for moment in moments:
        wanted += await answers(tmp_path / f"prefix-{moment}", facts, moment + 1, [None])
    found = await answers(tmp_path / "whole", facts, len(facts.records), [*moments, None])
    assert found[:-1] == wanted
    assert found[-1] != wanted[-1], "the past equals the present: the test tests nothing"
