"""Changes of objects and uploads over entities in memory: conditions, refusals, and what is left in the storage."""

import asyncio
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp.test_utils import make_mocked_request

from kit.sagemaker.memory import BUCKET_NAME, Memory, side_of
from runstream_protocols.kit.entities import Entity
from runstream_protocols.sagemaker.s3 import buckets, files
from runstream_protocols.sagemaker.s3.errors import S3Error
from runstream_protocols.sagemaker.s3.names import BUCKET
from runstream_protocols.sagemaker.s3.objects import Conditions, Content, Objects
from runstream_protocols.sagemaker.s3.operations import operation_of
from runstream_protocols.sagemaker.s3.xml import parsed
from runstream_service.access import LOCAL, Action
from runstream_service.routing import Call


def call_of(method: str, path: str, headers: dict[str, str] | None = None) -> Call[Any]:
    request = make_mocked_request(method, f"/sagemaker{path}", headers=headers or {})
    return Call(request, {}, None, LOCAL, LOCAL.scope(Action.EDIT))


async def with_object(key: str = "k", etag: str = "new") -> Memory:
    memory = Memory()
    await memory.add_bucket()
    await Objects(memory).put(BUCKET_NAME, key, Content("0" * 64, 1, etag, {}, {}, {}), Conditions())
    return memory


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"If-Match": '"old"'}, "PreconditionFailed"),
        ({"If-Match": ""}, "PreconditionFailed"),
        ({"If-None-Match": '"new"'}, "NotImplemented"),
        ({"If-Match": '"new"'}, None),
        ({"If-Match": "*"}, None),
        ({}, None),
    ],
)
def test_an_object_is_deleted_as_it_was_seen(headers: dict[str, str], code: str | None) -> None:
    async def check() -> None:
        memory = await with_object()
        deletion = files.delete(side_of(memory), call_of("DELETE", f"/{BUCKET_NAME}/k", headers))
        if code is None:
            assert (await deletion).status == 204
            assert await Objects(memory).find(BUCKET_NAME, "k") is None
            return
        with pytest.raises(S3Error) as raised:
            await deletion
        assert raised.value.code == code
        assert await Objects(memory).find(BUCKET_NAME, "k") is not None

    asyncio.run(check())


def test_an_object_that_changes_while_it_is_deleted_is_kept() -> None:
    async def check() -> None:
        memory = await with_object(etag="old")
        objects = Objects(memory)

        async def change(_: Entity) -> None:
            memory.before_delete = None
            await objects.put(BUCKET_NAME, "k", Content("1" * 64, 1, "new", {}, {}, {}), Conditions())

        memory.before_delete = change
        with pytest.raises(S3Error) as raised:
            await objects.delete(BUCKET_NAME, "k", Conditions(etags=("old",)))
        assert raised.value.code == "PreconditionFailed"
        found = await objects.find(BUCKET_NAME, "k")
        assert found is not None
        assert found.etag == "new"

    asyncio.run(check())


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ("<ETag>&quot;old&quot;</ETag>", "PreconditionFailed"),
        ("<ETag/>", "PreconditionFailed"),
        ("<VersionId>v1</VersionId>", "NotImplemented"),
        ("<Size>1</Size>", "NotImplemented"),
        ("<LastModifiedTime>2026-11-30T00:00:00Z</LastModifiedTime>", "NotImplemented"),
        ("<ETag>&quot;new&quot;</ETag>", None),
        ("", None),
    ],
)
def test_listed_objects_are_deleted_as_they_were_seen(
    members: str, code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def document(*_: object) -> Any:
        return parsed(f"<Delete><Object><Key>k</Key>{members}</Object></Delete>".encode(), "Delete")

    async def check() -> None:
        memory = await with_object()
        response = await files.delete_many(side_of(memory), call_of("POST", f"/{BUCKET_NAME}?delete"))
        assert isinstance(response.body, bytes)
        (shown,) = ElementTree.fromstring(response.body)
        assert shown.tag.endswith("}Deleted" if code is None else "}Error")
        assert code is None or shown[1].text == code
        assert (await Objects(memory).find(BUCKET_NAME, "k") is None) is (code is None)

    monkeypatch.setattr(files, "read_document", document)
    asyncio.run(check())


def test_conditions_on_time_and_size_are_refused() -> None:
    headers = {"x-amz-if-match-last-modified-time": "x"}
    with pytest.raises(S3Error) as raised:
        operation_of(call_of("DELETE", f"/{BUCKET_NAME}/k", headers).request)
    assert raised.value.code == "NotImplemented"


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("PUT", "/bucket/k?uploadId=x&partNumber=1", "UploadPart"),
        ("PUT", "/bucket/k?uploadId=x", None),
        ("PUT", "/bucket/k?partNumber=1", None),
        ("PUT", "/bucket/k?uploads", None),
        ("PUT", "/bucket?uploads", None),
        ("PUT", "/bucket?location", None),
        ("DELETE", "/bucket?delete", None),
        ("DELETE", "/bucket?uploadId=x", None),
        ("DELETE", "/bucket/k?uploadId=x", "AbortMultipartUpload"),
        ("GET", "/bucket?list-type=2", "ListObjectsV2"),
        ("GET", "", "ListBuckets"),
        ("GET", "/", "ListBuckets"),
        ("GET", "?x-id=ListBuckets", "ListBuckets"),
        ("GET", "?uploads", None),
        ("GET", "//", None),
        ("GET", "//bucket", None),
        ("DELETE", "//bucket", None),
        ("PUT", "/", None),
    ],
)
def test_a_request_is_not_taken_for_another_one(method: str, path: str, name: str | None) -> None:
    request = call_of(method, path).request
    if name is not None:
        assert operation_of(request).name == name
        return
    with pytest.raises(S3Error) as raised:
        operation_of(request)
    assert raised.value.code == "NotImplemented"


def test_an_object_whose_bucket_goes_while_it_comes_is_refused() -> None:
    async def check() -> None:
        memory = await with_object("other")

        async def remove_bucket(_: Entity) -> None:
            del memory.held[BUCKET, BUCKET_NAME]

        memory.after_write = remove_bucket
        content = Content("0" * 64, 1, "e", {}, {}, {})
        with pytest.raises(S3Error) as raised:
            await Objects(memory).put(BUCKET_NAME, "k", content, Conditions())
        assert raised.value.code == "NoSuchBucket"
        assert await Objects(memory).find(BUCKET_NAME, "k") is None

    asyncio.run(check())


def test_a_bucket_that_gets_an_object_while_it_goes_stays() -> None:
    async def check() -> None:
        memory = Memory()
        await memory.add_bucket()
        objects = Objects(memory)

        async def store(_: Entity) -> None:
            await objects.put(BUCKET_NAME, "k", Content("0" * 64, 1, "e", {}, {}, {}), Conditions())

        memory.before_delete = store
        with pytest.raises(S3Error) as raised:
            await buckets.delete(side_of(memory), call_of("DELETE", f"/{BUCKET_NAME}"))
        assert raised.value.code == "BucketNotEmpty"
        assert (await objects.require_bucket(BUCKET_NAME)).properties == {"region": "us-east-1"}
        assert await objects.find(BUCKET_NAME, "k") is not None

    asyncio.run(check())
