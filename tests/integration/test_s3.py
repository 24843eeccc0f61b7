"""Files in buckets where time, bounds and single bytes decide, within one process: signed chunks, uploads that expire,
long ends of uploads, and what is left in the storage."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from kit.stores import place_tables
from runstream_infra.embedded import application, open_parts
from runstream_infra.settings import ServerSettings
from runstream_protocols.sagemaker.s3 import completing, uploads
from runstream_protocols.sagemaker.s3.framing import SIGNED, ChunkSigner
from runstream_protocols.sagemaker.signing import Credential, SignedRequest, signature_of, signing_key
from runstream_service.auth import ApiKeys

KEY: Final = "a-key-of-this-test-0123"
BEARER: Final = {"Authorization": f"Bearer {KEY}"}
PART: Final = b"a part of which there is one"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Server:
    client: TestClient[Any, Any]
    assets: Path

    async def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = BEARER
    ) -> tuple[int, str]:
        async with self.client.request(method, f"/sagemaker{path}", data=body, headers=headers) as response:
            return response.status, (await response.read()).decode(errors="replace")

    def stored(self) -> set[str]:
        return {path.name for path in self.assets.glob("??/*")}

    async def begin(self, key: str) -> str:
        status, text = await self.send("POST", f"/bucket/{key}?uploads")
        assert status == 200, text
        return inside("UploadId", text)

    async def with_part(self, key: str) -> tuple[str, bytes]:
        """An upload with one part, and the document that completes it."""
        upload = await self.begin(key)
        status, text = await self.send("PUT", f"/bucket/{key}?uploadId={upload}&partNumber=1", PART)
        assert status == 200, text
        etag = hashlib.md5(PART).hexdigest()
        part = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
        return upload, f"<CompleteMultipartUpload>{part}</CompleteMultipartUpload>".encode()


def inside(name: str, text: str) -> str:
    """The text of an element."""
    found = re.search(f"<{name}>([^<]*)</{name}>", text)
    assert found is not None, text
    return found[1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    settings = ServerSettings(data_dir=tmp_path_factory.mktemp("server"))
    place_tables(settings.data_dir)
    async with (
        open_parts(settings) as parts,
        TestClient(TestServer(application(settings, ApiKeys.from_plain([KEY]), parts), host="127.0.0.1")) as client,
    ):
        stop = asyncio.Event()
        folding = asyncio.create_task(parts.worker.run(stop))
        server = Server(client, settings.data_dir / "assets")
        assert (await server.send("PUT", "/bucket"))[0] == 200
        yield server
        stop.set()
        await folding


def signed_chunks(host: str, content: bytes, path: str) -> tuple[dict[str, str], list[bytes]]:
    """The headers and the chunks of a body that is signed chunk by chunk."""
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "host": host,
        "x-amz-content-sha256": SIGNED,
        "x-amz-date": at,
        "x-amz-decoded-content-length": str(len(content)),
    }
    unsigned = Credential(KEY, at[:8], "us-east-1", "s3", tuple(sorted(headers)), "")
    seed = signature_of(unsigned, SignedRequest("PUT", path, "", headers, b"", SIGNED), at)
    credential = f"{KEY}/{unsigned.scope}"
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={';'.join(unsigned.signed_headers)}, Signature={seed}"
    )
    signer, before, chunks = ChunkSigner(signing_key(unsigned, KEY), at, unsigned.scope, seed), seed, []
    for piece in (content[:10_000], content[10_000:], b""):
        before = signer.of_chunk(before, hashlib.sha256(piece).hexdigest())
        chunks.append(b"%x;chunk-signature=%b\r\n%b\r\n" % (len(piece), before.encode(), piece))
    return headers, chunks


@pytest.mark.parametrize("wrong", [None, 0, 1, 2])
async def test_each_chunk_is_what_was_signed(server: Server, wrong: int | None) -> None:
    content, path = bytes(range(256)) * 80, f"/bucket/chunked-{wrong}"
    host = f"{server.client.host}:{server.client.port}"
    headers, chunks = signed_chunks(host, content, f"/sagemaker{path}")
    if wrong is not None:
        mark = b";chunk-signature="
        at = chunks[wrong].index(mark) + len(mark)
        chunks[wrong] = chunks[wrong][:at] + b"0" * 64 + chunks[wrong][at + 64 :]
    before = server.stored()
    status, text = await server.send("PUT", path, b"".join(chunks), headers)
    if wrong is None:
        assert status == 200, text
        assert server.stored() - before == {hashlib.sha256(content).hexdigest()}
    else:
        assert (status, inside("Code", text)) == (403, "SignatureDoesNotMatch")
        assert (server.stored(), (await server.send("GET", path))[0]) == (before, 404)


async def test_chunks_in_another_order_are_refused(server: Server) -> None:
    host = f"{server.client.host}:{server.client.port}"
    headers, chunks = signed_chunks(host, bytes(range(100)) * 200, "/sagemaker/bucket/turned")
    status, text = await server.send("PUT", "/bucket/turned", b"".join((chunks[1], chunks[0], chunks[2])), headers)
    assert (status, inside("Code", text)) == (403, "SignatureDoesNotMatch")


async def test_an_upload_expires_with_its_parts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    before = server.stored()
    upload, document = await server.with_part("expired")
    assert len(server.stored() - before) == 1
    with monkeypatch.context() as patched:
        patched.setattr(uploads, "EXPIRES", timedelta(seconds=-1))
        status, text = await server.send("POST", f"/bucket/expired?uploadId={upload}", document)
        assert (status, inside("Code", text)) == (404, "NoSuchUpload")
        assert "<Upload>" not in (await server.send("GET", "/bucket?uploads"))[1]
        another = await server.begin("another")
    assert server.stored() == before, "whoever begins one removes those that expired"
    assert (await server.send("DELETE", f"/bucket/another?uploadId={another}"))[0] == 204


async def test_so_many_uploads_are_open_at_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await server.begin("first")
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 1)
    status, text = await server.send("POST", "/bucket/second?uploads")
    assert (status, inside("Code", text)) == (503, "SlowDown")
    assert (await server.send("DELETE", f"/bucket/first?uploadId={upload}"))[0] == 204
    assert (await server.send("DELETE", f"/bucket/second?uploadId={await server.begin('second')}"))[0] == 204


async def test_a_bucket_goes_with_its_uploads_and_not_with_its_objects(server: Server) -> None:
    assert (await server.send("PUT", "/doomed"))[0] == 200
    before = server.stored()
    upload = inside("UploadId", (await server.send("POST", "/doomed/k?uploads"))[1])
    assert (await server.send("PUT", f"/doomed/k?uploadId={upload}&partNumber=1", PART))[0] == 200
    assert (await server.send("PUT", "/doomed/held", b""))[0] == 200
    status, text = await server.send("DELETE", "/doomed")
    assert (status, inside("Code", text)) == (409, "BucketNotEmpty")
    assert (await server.send("DELETE", "/doomed/held"))[0] == 204
    assert (await server.send("DELETE", "/doomed"))[0] == 204
    assert (await server.send("PUT", "/doomed"))[0] == 200
    assert "<Upload>" not in (await server.send("GET", "/doomed?uploads"))[1]
    assert server.stored() - before <= {hashlib.sha256(b"").hexdigest()}, "its part is gone"


async def test_a_long_end_begins_its_response_before(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completing, "_PATIENCE_S", 0.0)
    before = server.stored()
    upload, document = await server.with_part("long")
    path = f"/bucket/long?uploadId={upload}"
    status, text = await server.send("POST", path, document)
    assert (status, inside("ETag", text)) == (200, f'"{hashlib.md5(hashlib.md5(PART).digest()).hexdigest()}-1"')
    assert re.match(r"<\?xml [^>]*>\n +<CompleteMultipartUploadResult ", text), "spaces come before it is known"
    assert (await server.send("GET", "/bucket/long"))[1] == PART.decode()
    assert server.stored() - before == {hashlib.sha256(PART).hexdigest()}
    assert inside("ETag", (await server.send("POST", path, document))[1]) == inside("ETag", text), "and once again"


async def test_a_long_end_that_fails_says_so_in_its_body(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completing, "_PATIENCE_S", 0.0)
    assert (await server.send("PUT", "/bucket/there", b"there"))[0] == 200
    upload, document = await server.with_part("there")
    headers = BEARER | {"If-None-Match": "*"}
    status, text = await server.send("POST", f"/bucket/there?uploadId={upload}", document, headers)
    assert (status, inside("Code", text)) == (200, "PreconditionFailed")
    assert (await server.send("GET", "/bucket/there"))[1] == "there"
    assert (await server.send("DELETE", f"/bucket/there?uploadId={upload}"))[0] == 204


@pytest.mark.parametrize(
    ("query", "code"),
    [("uploads&acl", "NotImplemented"), ("restore", "NotImplemented"), ("", "NotImplemented")],
)
async def test_what_is_not_there_is_not_taken_for_something_else(server: Server, query: str, code: str) -> None:
    status, text = await server.send("POST", f"/bucket/k?{query}")
    assert (status, inside("Code", text)) == (501, code)


async def test_a_request_without_a_key_learns_nothing(server: Server) -> None:
    for method, path in (
        ("GET", "/bucket/there"),
        ("PUT", "/bucket/k"),
        ("GET", "/bucket"),
        ("POST", "/bucket?delete"),
    ):
        status, text = await server.send(method, path, b"", {})
        assert (status, inside("Code", text)) == (403, "InvalidAccessKeyId")
