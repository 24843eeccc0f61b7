"""Multipart bodies into the asset storage: what is kept of them, and that nothing is left of what is not."""

import io
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runstream_ingest.assets.local import LocalAssets
from runstream_ingest.gateway import GatewaySettings
from runstream_protocols.comet.writes.forms import receive
from runstream_protocols.kit.uploads import Uploads
from runstream_service.problems import problem_middleware

pytestmark = pytest.mark.sockets

Client = TestClient[web.Request, web.Application]


class Unpressed:
    """Room for every upload."""

    @contextmanager
    def uploading(self, request: web.Request) -> Iterator[None]:
        yield


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    settings = GatewaySettings(max_asset_bytes=1000, max_parts=5)
    uploads = Uploads(LocalAssets(tmp_path / "assets"), cast(Any, Unpressed()), settings)

    async def kept(request: web.Request) -> web.Response:
        async with uploads.receiving(request, {"file", "thumbnail"}, 10) as form:
            if form.file is not None and "drop" not in form.names:
                await form.file.keep()
            fields = {name: value.decode() for name, value in form.fields.items()}
            return web.json_response({"names": list(form.names), "fields": fields})

    async def thumbnails(request: web.Request) -> web.Response:
        async with uploads.receiving(request, {"thumbnail"}, 10) as form:
            assert form.file is None
            return web.json_response({"fields": {name: value.decode() for name, value in form.fields.items()}})

    async def comet(request: web.Request) -> web.Response:
        upload = await receive(uploads, request)
        return web.json_response({"sha256": upload.sha256, "link": upload.link, "metadata": upload.metadata})

    async def whole(request: web.Request) -> web.Response:
        staged = await uploads.receive(request)
        await staged.keep()
        return web.json_response({"sha256": staged.sha256, "size_bytes": staged.size_bytes})

    app = web.Application(middlewares=[problem_middleware()])
    app.router.add_post("/kept", kept)
    app.router.add_post("/thumbnails", thumbnails)
    app.router.add_post("/comet", comet)
    app.router.add_put("/whole", whole)
    async with TestClient(TestServer(app)) as started:
        yield started


async def send(client: Client, path: str, *parts: tuple[str, bytes]) -> tuple[int, dict[str, Any]]:
    form = aiohttp.FormData()
    for name, content in parts:
        form.add_field(name, io.BytesIO(content), filename="f")
    async with client.post(path, data=form) as response:
        return response.status, await response.json(content_type=None)


def stored(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in (folder / "assets").rglob("*") if path.is_file()]


async def test_a_file_is_kept_and_the_rest_is_fields(client: Client, tmp_path: Path) -> None:
    status, response = await send(client, "/kept", ("a", b"1"), ("thumbnail", b"bytes"), ("b", b"2"))
    assert (status, response) == (200, {"names": ["a", "file", "b"], "fields": {"a": "1", "b": "2"}})
    assert stored(tmp_path) == [b"bytes"]


@pytest.mark.parametrize(
    ("parts", "status", "detail"),
    [
        ([("file", b"x"), ("thumbnail", b"y")], 400, "twice"),
        ([("file", b"x"), ("a", b"1"), ("a", b"1")], 400, "twice"),
        ([("file", b"x"), ("a", b"1" * 11)], 400, "more than 10 bytes"),
        ([("file", b"x" * 2000)], 413, "1000"),
        ([("file", b"x"), *((f"{n}", b"") for n in range(5))], 400, "5 parts"),
        ([("file", b"x"), ("drop", b"")], 200, ""),
    ],
)
async def test_nothing_is_left_of_what_is_not_kept(
    client: Client, tmp_path: Path, parts: list[tuple[str, bytes]], status: int, detail: str
) -> None:
    found, response = await send(client, "/kept", *parts)
    assert found == status, response
    assert detail in response.get("detail", "")
    assert stored(tmp_path) == []


async def test_a_field_that_is_called_file_is_none(client: Client, tmp_path: Path) -> None:
    status, response = await send(client, "/thumbnails", ("file", b"1"), ("a", b"2"))
    assert (status, response) == (200, {"fields": {"file": "1", "a": "2"}})
    assert stored(tmp_path) == []


async def test_of_a_file_and_a_link_the_last_counts_for_comets_client(client: Client, tmp_path: Path) -> None:
    file, link = ("file", b"bytes"), ("link", b"s3://far")
    for parts, content in (((file, link), b"s3://far"), ((link, file), b"bytes"), ((link,), b"s3://far")):
        status, response = await send(client, "/comet", *parts, ("metadata", b'{"a": 1}'))
        assert (status, response["sha256"]) == (200, sha256(content).hexdigest())
        assert (response["link"], response["metadata"]) == ("s3://far", {"a": 1})
    assert sorted(stored(tmp_path)) == [b"bytes", b"s3://far"]
    status, response = await send(client, "/comet", ("metadata", b"{}"))
    assert (status, response["detail"]) == (400, "the body has no part `file`")


@pytest.mark.parametrize("content", [b"", b"bytes", b"x" * 1000])
async def test_a_body_may_be_one_file(client: Client, tmp_path: Path, content: bytes) -> None:
    async with client.put("/whole", data=content) as response:
        assert await response.json() == {"sha256": sha256(content).hexdigest(), "size_bytes": len(content)}
    assert stored(tmp_path) == [content]


@pytest.mark.parametrize("is_declared", [True, False])
async def test_of_one_that_is_too_large_nothing_is_left(client: Client, tmp_path: Path, is_declared: bool) -> None:
    content = b"x" * 1001
    async with client.put("/whole", data=content if is_declared else io.BytesIO(content), chunked=None) as response:
        assert response.status == 413
    assert stored(tmp_path) == []
