"""Registered models: the order of versions, what changed in one, and archives that are made while they are sent."""

import hashlib
import io
import random
import zipfile
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runstream.events.artifacts import (
    ArtifactCreated,
    ArtifactEvent,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionRemarked,
    ArtifactVersionUpdated,
)
from runstream_ingest.assets.local import LocalAssets
from runstream_protocols.comet.conventions import REMARK_CONFIGURATION, REMARK_METADATA
from runstream_protocols.comet.reads.registered import numbers_of, rank
from runstream_protocols.comet.reads.registry_history import fold_changes
from runstream_protocols.kit.archives import stream_zip
from runstream_query.http.context import Context
from runstream_query.settings import QuerySettings
from runstream_service.access import EVERYTHING
from runstream_service.assets import AssetMissing
from runstream_service.store import StoreReader
from runstream_service.visibility import Progress

NAMED = {"at_us": 1, "workspace": "w", "artifact_type": "model", "name": "net"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_versions_are_in_the_order_of_semantic_versioning() -> None:
    """The example of https://semver.org, with texts of other kinds around it."""
    ascending = [
        "first",
        "latest",
        "0.9.9",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "v1.0.1",
        "1.2",
        "1.10.0",
        "2",
        "10.0.0",
    ]
    shuffled = random.Random(7).sample(list(enumerate(ascending)), len(ascending))
    assert [text for _, text in sorted(shuffled, key=lambda one: rank(one[1], one[0]))] == ascending


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("1.2.3-rc.1+build.5", (1, 2, 3)), ("v4", (4, 0, 0)), ("7.1", (7, 1, 0)), ("best", None), ("1.2.3.4", None)],
)
def test_numbers_of_a_version(text: str, numbers: tuple[int, int, int] | None) -> None:
    assert numbers_of(text) == numbers


def changes(*events: ArtifactEvent) -> list[tuple[str, Any, Any]]:
    """What the events, one a second, changed in version 1."""
    second = timedelta(seconds=1)
    found = fold_changes([event.model_copy(update={"at_us": at * 1_000_000}) for at, event in enumerate(events)], 1)
    assert all((change.at - EPOCH) % second == timedelta() for change in found)
    assert [change.at for change in found] == sorted(change.at for change in found)
    return [(change.action.removeprefix("MODEL_VERSION_"), change.before, change.after) for change in found]


def updated(**fields: Any) -> ArtifactEvent:
    return ArtifactVersionUpdated(**NAMED, ordinal=1, **fields)


def test_only_what_changed_is_a_change() -> None:
    logged = ArtifactVersionLogged(**NAMED, status="Staging", tags=("a",), stages=("s", "a"), comment="c")
    assert changes(
        logged,
        logged,  # Of another version.
        updated(status="Staging", comment="c2"),
        updated(comment="c2"),
        updated(tags=("b", "a"), stages=()),
        updated(tags_removed=("b", "a"), tags_added=("b", "c")),
        updated(stages=("s",), aliases=("best",)),
        updated(status=""),
    ) == [
        ("CREATED", {}, {}),
        ("COMMENT_CHANGED", {"comment": "c"}, {"comment": "c2"}),
        ("TAG_REMOVED", {"tag": "s"}, {}),
        ("TAG_ADDED", {}, {"tag": "b"}),
        ("TAG_REMOVED", {"tag": "a"}, {}),
        ("TAG_ADDED", {}, {"tag": "c"}),
        ("TAG_ADDED", {}, {"tag": "s"}),
        ("STATUS_CHANGED", {"registryModelStatus": "Staging"}, {"registryModelStatus": "None"}),
    ]


def test_other_versions_and_remarks_on_them_are_passed_over() -> None:
    found = changes(
        ArtifactCreated(**NAMED),
        ArtifactVersionLogged(**NAMED, version="1.0.0"),
        ArtifactVersionLogged(**NAMED, version="1.0.0", status="refused, for its version is taken"),
        ArtifactVersionLogged(**NAMED, status="x"),
        ArtifactVersionUpdated(**NAMED, ordinal=2, status="y"),
        ArtifactVersionRemarked(**NAMED, ordinal=2, remark={REMARK_METADATA: {"n": 1}}),
        ArtifactVersionRemarked(**NAMED, ordinal=1, remark={REMARK_METADATA: {"n": 2}}),
        ArtifactVersionRemarked(**NAMED, ordinal=1, remark={REMARK_CONFIGURATION: {"status": "x"}, "other": 1}),
        ArtifactVersionRemarked(**NAMED, ordinal=3, remark={REMARK_METADATA: {"of": "none"}}),
        ArtifactVersionDeleted(**NAMED, ordinal=2),
    )
    assert found == [
        ("CREATED", {}, {}),
        ("METADATA_CHANGED", {}, {"metadata": {"n": 2}}),
        ("STATUS_CONFIGURATION_CHANGED", {}, {"statusConfiguration": {"status": "x"}}),
    ]


class NoStore(StoreReader):
    async def query(self, sql: str, parameters: Any = None, **of: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(NoStore(), Progress(), None, LocalAssets(tmp_path), QuerySettings(), lambda: 0, scope=EVERYTHING)


async def stored(context: Context, *contents: bytes) -> list[tuple[str, str, int]]:
    files = []
    for number, content in enumerate(contents):

        async def chunks(content: bytes = content) -> AsyncIterator[bytes]:
            yield content

        sha256 = hashlib.sha256(content).hexdigest()
        assert isinstance(context.assets, LocalAssets)
        await context.assets.write(sha256, chunks(), 1 << 30)
        files.append((f"folder ☃/{number}.bin", sha256, len(content)))
    return files


async def archive_of(context: Context, files: Sequence[tuple[str, str, int]]) -> bytes:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await stream_zip(context, request, "a ☃.zip", files)

    app = web.Application()
    app.router.add_get("/", handle)
    async with TestClient(TestServer(app)) as client, client.get("/") as response:
        assert (response.status, response.content_type) == (200, "application/zip")
        return await response.read()


@pytest.mark.sockets
async def test_an_archive_has_the_very_bytes(context: Context) -> None:
    contents = [random.Random(7).randbytes(3_000_000), b"", b"x" * 1_000_000]
    body = await archive_of(context, await stored(context, *contents))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["folder ☃/0.bin", "folder ☃/1.bin", "folder ☃/2.bin"]
        assert [archive.read(name) for name in archive.namelist()] == contents


@pytest.mark.sockets
async def test_an_archive_of_nothing_is_one(context: Context) -> None:
    with zipfile.ZipFile(io.BytesIO(await archive_of(context, []))) as archive:
        assert archive.namelist() == []


@pytest.mark.sockets
async def test_an_archive_does_not_begin_without_its_files(context: Context) -> None:
    files = [*await stored(context, b"here"), ("gone", "0" * 64, 5)]

    async def handle(request: web.Request) -> web.StreamResponse:
        with pytest.raises(AssetMissing, match="gone"):
            await stream_zip(context, request, "a.zip", files)
        return web.Response(status=204)

    app = web.Application()
    app.router.add_get("/", handle)
    async with TestClient(TestServer(app)) as client, client.get("/") as response:
        assert response.status == 204
