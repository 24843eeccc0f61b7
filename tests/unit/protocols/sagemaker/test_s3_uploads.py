"""Uploads in parts over entities in memory: which bytes are left when something fails in between."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiohttp.test_utils import make_mocked_request

from kit.sagemaker.memory import BUCKET_NAME, Memory, MemoryUploads, side_of
from runstream_protocols.kit.entities import Entity
from runstream_protocols.kit.outcomes import not_visible
from runstream_protocols.sagemaker.s3 import buckets, completing, uploads
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.names import PART, UPLOAD
from runstream_protocols.sagemaker.s3.objects import Conditions, Content, Objects
from runstream_protocols.sagemaker.s3.uploads import PartedUploads, Upload
from runstream_service.access import LOCAL, Action
from runstream_service.assets import AssetUnavailable
from runstream_service.problems import Problem
from runstream_service.routing import Call

PROPERTIES: Final = {"key": "k", "headers": {}, "metadata": {}, "algorithm": "", "is_full": False}


class Server:
    """Entities, stored bytes, and the uploads over them."""

    def __init__(self) -> None:
        self.memory, self.bytes = Memory(), MemoryUploads()
        self.side = side_of(self.memory, self.bytes)
        self.uploads = PartedUploads(self.side)

    async def begin(self) -> Upload:
        return await self.uploads.begin(BUCKET_NAME, PROPERTIES)

    async def send(self, upload: Upload, number: int, sha256: str) -> None:
        async def keep() -> None:
            self.bytes.held.add(sha256)

        body: Any = SimpleNamespace(
            staged=SimpleNamespace(sha256=sha256, keep=keep), size_bytes=1, etag="e", checksums={}
        )
        await self.uploads.keep(upload, number, body)

    def named(self) -> set[str]:
        """The bytes that parts name."""
        return {one.properties["sha256"] for (kind, _), one in self.memory.held.items() if kind == PART}

    def count(self, kind: str) -> int:
        return sum(one == kind for one, _ in self.memory.held)


def test_a_part_that_cannot_be_read_yet_keeps_its_bytes() -> None:
    async def check() -> None:
        server = Server()
        upload = await server.begin()
        await server.send(upload, 1, "first")

        async def slow(entity: Entity) -> None:
            raise not_visible(entity.name)

        server.memory.after_write = slow
        for number, sha256 in ((1, "second"), (2, "third")):
            with pytest.raises(Problem):
                await server.send(upload, number, sha256)
        assert server.named() == {"second", "third"} <= server.bytes.held

    asyncio.run(check())


def test_a_part_of_an_upload_that_ended_leaves_nothing() -> None:
    async def check() -> None:
        server = Server()
        upload = await server.begin()
        await server.send(upload, 1, "first")

        async def end(_: Entity) -> None:
            del server.memory.held[UPLOAD, upload.entity.name]

        server.memory.after_write = end
        with pytest.raises(S3Error, match="ended while the part came"):
            await server.send(upload, 1, "second")
        assert (server.named(), server.bytes.held) == (set(), set())

    asyncio.run(check())


def test_a_part_counts_where_the_one_before_cannot_be_removed() -> None:
    async def check() -> None:
        server = Server()
        upload = await server.begin()
        await server.send(upload, 1, "first")
        server.bytes.failing["first"] = AssetUnavailable("not now")
        await server.send(upload, 1, "second")
        assert server.named() == {"second"}

    asyncio.run(check())


def test_an_upload_that_cannot_be_removed_names_what_is_left() -> None:
    async def check() -> None:
        server = Server()
        upload = await server.begin()
        for number in range(1, 41):
            await server.send(upload, number, str(number))
        server.bytes.failing["20"] = AssetUnavailable("not now")
        with pytest.raises(AssetUnavailable):
            await server.uploads.end(upload)
        assert "20" in server.bytes.held <= server.named()
        assert server.count(UPLOAD) == 1
        assert 1 < server.bytes.most_at_once <= uploads._AT_ONCE
        server.bytes.failing.clear()
        await server.uploads.end(upload)
        assert (server.bytes.held, server.memory.held) == (set(), {})

    asyncio.run(check())


def test_parts_that_come_while_an_upload_ends_go_too() -> None:
    async def check() -> None:
        server = Server()
        upload = await server.begin()
        await server.send(upload, 1, "first")
        remove = server.bytes.remove

        async def slow(sha256: str) -> None:
            await remove(sha256)
            if sha256 == "first":
                await server.send(upload, 2, "late")

        server.side.recorder.uploads.remove = slow
        await server.uploads.end(upload)
        assert (server.bytes.held, server.memory.held) == (set(), {})

    asyncio.run(check())


def test_one_request_gives_up_a_few_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        server = Server()
        for number in range(5):
            await server.send(await server.begin(), 1, str(number))
        monkeypatch.setattr(uploads, "EXPIRES", timedelta(seconds=-1))
        server.bytes.failing = {str(number): AssetUnavailable("not now") for number in range(5)}
        await server.begin()
        assert server.count(UPLOAD) == 6
        server.bytes.failing.clear()
        await server.begin()
        assert server.count(UPLOAD) == 6 - uploads._MAX_GIVEN_UP + 1
        assert server.bytes.held == server.named()

    asyncio.run(check())


def test_an_upload_that_is_complete_can_be_completed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def document(*_: object) -> None:
        return None

    async def check() -> None:
        server = Server()
        await server.memory.add_bucket()
        upload = await server.begin()
        await server.send(upload, 1, "first")
        content = Content("0" * 64, 1, "made-1", {}, {}, {}, upload.id)
        await Objects(server.memory).put(BUCKET_NAME, "k", content, Conditions())
        request = make_mocked_request("POST", f"/sagemaker/{BUCKET_NAME}/k?uploadId={upload.id}")
        call: Call[Any] = Call(request, {}, None, LOCAL, LOCAL.scope(Action.LOG))
        for fails, left in ((True, 1), (False, 0), (False, 0)):
            server.bytes.failing = {"first": AssetUnavailable("not now")} if fails else {}
            response: Any = await completing.complete(server.side, call)
            assert response.status == 200
            assert b"made-1" in response.body
            assert (server.count(UPLOAD), len(server.bytes.held)) == (left, left)

    monkeypatch.setattr(completing, "read_document", document)
    asyncio.run(check())


def test_a_bucket_goes_with_uploads_that_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    async def check() -> None:
        server = Server()
        await server.memory.add_bucket()
        for number in range(5):
            await server.send(await server.begin(), 1, str(number))
        monkeypatch.setattr(uploads, "EXPIRES", timedelta(seconds=-1))
        request = make_mocked_request("DELETE", f"/sagemaker/{BUCKET_NAME}")
        await buckets.delete(server.side, Call(request, {}, None, LOCAL, LOCAL.scope(Action.EDIT)))
        assert (server.bytes.held, server.memory.held) == (set(), {})

    asyncio.run(check())
