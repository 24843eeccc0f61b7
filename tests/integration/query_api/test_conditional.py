"""What a client has already is not sent again, and what it takes packed is packed."""

import gzip
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from aiohttp import ClientResponse

from kit.query.service import Service
from kit.query.tables import SECOND_US, insert_points, run, summary

ARROW = "application/vnd.apache.arrow.stream"
CHART = {"runs": ["a"], "metrics": ["loss"], "max_points": 2_000}


@pytest.fixture
async def filled(service: Service) -> Service:
    await service.insert("run_states", run("a"), run("b", ended_at=None, status="running"))
    await insert_points(service.store, "a", "loss", np.arange(2_000), np.random.default_rng(1).random(2_000))
    await service.insert("summary_states", summary("a", "acc"))
    service.advance(10)
    return service


class Client:
    """Requests as a page sends them, with what it got before."""

    def __init__(self, service: Service) -> None:
        self._client = service.client
        self.response: ClientResponse

    async def request(self, path: str, body: Any = None, /, **headers: str) -> bytes:
        method, content = ("GET", {}) if body is None else ("POST", {"json": body})
        sent = {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._client.request(
            method, f"/api/v1/{path}", headers=sent, auto_decompress=False, **content
        ) as response:
            self.response = response
            data: bytes = await response.read()
            return data

    @property
    def tag(self) -> str:
        return self.response.headers["ETag"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/a/series?metrics=loss", None),
        ("series", {"runs": ["a"], "metrics": ["loss"]}),
        ("charts", CHART),
        ("runs/a/summaries", None),
        ("summaries", {"runs": ["a"]}),
        ("runs/a/output/lines", None),
    ],
)
@pytest.mark.parametrize("accept", ["application/json", ARROW, "text/csv"])
async def test_nothing_is_read_again_until_something_is_visible(
    filled: Service, path: str, body: Any, accept: str
) -> None:
    client = Client(filled)
    if (accept == ARROW and "summaries" in path) or (accept != "application/json" and "output" in path):
        accept = "application/json"
    whole = await client.request(path, body, Accept=accept)
    tag, statements = client.tag, len(filled.reads.requested)
    assert (client.response.status, bool(whole)) == (200, True)
    assert await client.request(path, body, Accept=accept, If_None_Match=f'"other", {tag}') == b""
    assert (client.response.status, client.tag) == (304, tag)
    assert len(filled.reads.requested) == statements
    assert client.response.headers["Runstream-Position"]
    await client.request(path, body, Accept="*/*" if accept != "application/json" else "application/json, x/y")
    assert client.tag != tag, "another form is another response"
    filled.advance(11)
    await client.request(path, body, Accept=accept, If_None_Match=tag)
    assert (client.response.status, client.tag != tag) == (200, True)


async def test_what_depends_on_the_time_is_compared_by_its_bytes(filled: Service) -> None:
    client = Client(filled)
    some = {"sort": "id", "filter": 'id = "a"'}
    for path, body in (("runs?limit=1&sort=id", None), ("runs/query", some), ("projects", None)):
        await client.request(path, body)
        tag = client.tag
        filled.advance(len(filled.reads.requested) + 100)
        assert await client.request(path, body, If_None_Match=tag) == b""
        assert client.response.status == 304, path
    await client.request("runs/query", {"filter": 'id = "b"'})
    tag = client.tag
    filled.now_us += SECOND_US
    await client.request("runs/query", {"filter": 'id = "b"'}, If_None_Match=tag)
    assert client.response.status == 200, "it runs for a second longer"


async def test_tags_differ_by_what_is_requested_and_end(filled: Service) -> None:
    client, tags = Client(filled), set()
    for body in (CHART, {**CHART, "max_points": 3}, {**CHART, "runs": ["b"]}, {**CHART, "wait_for": "next:0:1"}):
        await client.request("charts", body)
        tags.add(client.tag)
    assert len(tags) == 3, "how long one waits changes no response"
    filled.now_us += 600 * SECOND_US
    await client.request("charts", CHART, If_None_Match=next(iter(tags)))
    assert client.response.status == 200
    assert client.tag not in tags


@pytest.mark.parametrize("accept", ["application/json", ARROW, "text/csv"])
async def test_large_responses_are_packed_for_who_takes_that(filled: Service, accept: str) -> None:
    client = Client(filled)
    whole = await client.request("charts", CHART, Accept=accept)
    assert "Content-Encoding" not in client.response.headers
    tag = client.tag
    packed = await client.request("charts", CHART, Accept=accept, Accept_Encoding="br, gzip")
    assert client.response.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in client.response.headers["Vary"]
    assert client.tag == tag
    assert len(packed) < len(whole)
    assert gzip.decompress(packed) == whole
    if accept == ARROW:
        assert pa.ipc.open_stream(gzip.decompress(packed)).read_all().num_rows == 2_000
    refused = await client.request("charts", CHART, Accept=accept, Accept_Encoding="gzip;q=0, br")
    assert refused == whole


async def test_small_responses_are_sent_as_they_are(filled: Service) -> None:
    client = Client(filled)
    found = await client.request("runs/a/summaries", Accept_Encoding="gzip")
    assert "Content-Encoding" not in client.response.headers
    assert json.loads(found)["summaries"]
    assert client.response.headers["Cache-Control"] == "private, no-cache"
