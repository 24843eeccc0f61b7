"""Entities of foreign clients, over the fold and the tables that they end in."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest

from kit.query import tables
from kit.query.entities import FoldingRecorder, entities_of
from kit.query.service import CountingStore, Service
from runstream_ingest.assets.local import LocalAssets
from runstream_protocols.kit.entities import (
    MAX_PROPERTIES_BYTES,
    Entities,
    Entity,
    EntityChanged,
    EntityExists,
    EntityMissing,
)
from runstream_service.problems import Problem

pytestmark = pytest.mark.store


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FoldingRecorder]:
    """One store for all tests: each has a workspace of its own."""
    store = tables.open_store(tmp_path_factory.mktemp("store"))
    yield FoldingRecorder(Service(store, CountingStore(store), LocalAssets(tmp_path_factory.mktemp("assets"))))
    asyncio.run(store.close())


@pytest.fixture
def workspace(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


async def test_what_is_created_is_found_replaced_and_deleted(recorder: FoldingRecorder, workspace: str) -> None:
    properties = {"größe": [1, 2**63, 0.1, None, True], "a": {"b": ""}}
    entities, place = entities_of(recorder, workspace), (workspace, "p")
    made = await entities.create(place, "algo", "a/b", properties)
    assert made == await entities.find(place, "algo", "a/b") == await entities.find_by_id("algo", made.id)
    assert (made.place, made.revision, made.properties) == (place, 1, properties)
    assert await entities.find(place, "other", "a/b") is None
    assert await entities.find((workspace, "q"), "algo", "a/b") is None
    assert await entities.find_by_id("other", made.id) is None
    again = await entities.replace(made, {"x": 2})
    assert again == await entities.find(place, "algo", "a/b")
    assert (again.id, again.revision, again.properties) == (made.id, 2, {"x": 2})
    await entities.delete(again)
    assert await entities.find(place, "algo", "a/b") is await entities.find_by_id("algo", made.id) is None
    anew = await entities.create(place, "algo", "a/b", {})
    assert anew.id != made.id
    assert anew.revision == 1
    assert await entities.find_by_id("algo", made.id) is None


async def test_of_many_that_create_one_name_one_succeeds(recorder: FoldingRecorder, workspace: str) -> None:
    entities, place = entities_of(recorder, workspace), (workspace, "p")
    calls = [entities.create(place, "algo", "a", {"by": number}) for number in range(8)]
    found = await asyncio.gather(*calls, return_exceptions=True)
    (made,) = [one for one in found if isinstance(one, Entity)]
    lost = [one for one in found if isinstance(one, EntityExists)]
    assert len(lost) == 7
    assert all(one.entity == made for one in lost)


async def test_of_many_that_replace_one_revision_one_succeeds(recorder: FoldingRecorder, workspace: str) -> None:
    """So each of many that go on trying gets a number of its own."""
    entities, place = entities_of(recorder, workspace), (workspace, "p")
    await entities.create(place, "counter", "c", {"next": 0})

    async def taken() -> int:
        while True:
            now = await entities.find(place, "counter", "c")
            assert now is not None
            try:
                await entities.replace(now, {"next": now.properties["next"] + 1})
            except EntityChanged:
                continue
            return int(now.properties["next"])

    assert sorted(await asyncio.gather(*[taken() for _ in range(6)])) == list(range(6))


async def test_a_list_is_in_order_of_names_and_has_pages(recorder: FoldingRecorder, workspace: str) -> None:
    entities, place = entities_of(recorder, workspace, "v"), (workspace, "p")
    for where, name in ((place, "b"), (place, "a/2"), (place, "a/1"), ((workspace, "q"), "c"), (("v", "p"), "a/1")):
        await entities.create(where, "algo", name, {})
    await entities.create(place, "other", "d", {})
    assert [one.name for one in await entities.list(place, "algo")] == ["a/1", "a/2", "b"]
    assert [one.name for one in await entities.list(place, "algo", "a/")] == ["a/1", "a/2"]
    every = await entities.list(None, "algo")
    assert [one.name for one in every] == ["a/1", "a/1", "a/2", "b", "c"]
    first = await entities.list(None, "algo", limit=1)
    rest = await entities.list(None, "algo", after=(first[0].name, first[0].id))
    assert [*first, *rest] == every


async def test_what_is_below_is_deleted_too(recorder: FoldingRecorder, workspace: str) -> None:
    entities, place = entities_of(recorder, workspace), (workspace, "p")
    top = await entities.create(place, "experiment", "e", {})
    for kind, name in (("algo", "e/a"), ("trial", "e/a/1"), ("algo", "e2/a")):
        await entities.create(place, kind, name, {})
    await entities.delete(top, below=True)
    assert [one.name for kind in ("experiment", "algo", "trial") for one in await entities.list(None, kind)] == ["e2/a"]
    with pytest.raises(EntityMissing):
        await entities.replace(top, {})


async def test_what_is_below_is_deleted_if_it_is_of_the_kind(recorder: FoldingRecorder, workspace: str) -> None:
    entities, place = entities_of(recorder, workspace), (workspace, "p")
    top = await entities.create(place, "sweep", "s", {})
    for kind, name in (("trial", "s/1"), ("trial", "s/2/x"), ("algo", "s/1"), ("trial", "s2/1"), ("sweep", "s/x")):
        await entities.create(place, kind, name, {})
    await entities.delete(top, below_kind="trial")
    left = {(kind, one.name) for kind in ("sweep", "trial", "algo") for one in await entities.list(place, kind)}
    assert left == {("algo", "s/1"), ("trial", "s2/1"), ("sweep", "s/x")}


async def test_another_workspace_is_not_seen(recorder: FoldingRecorder, workspace: str) -> None:
    entities, place = entities_of(recorder, workspace), (workspace, "p")
    hidden = await entities.create(("v", "p"), "algo", "a", {})
    shown = await entities.create(place, "algo", "a", {})
    assert await entities.list(None, "algo") == [shown]
    assert await entities.find(("v", "p"), "algo", "a") is None
    assert await entities.find_by_id("algo", hidden.id) is None


async def test_what_cannot_be_seen_yet_is_said(
    recorder: FoldingRecorder, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entities, place = entities_of(recorder, workspace), (workspace, "p")
    monkeypatch.setattr(recorder, "is_late", True)
    with pytest.raises(Problem) as caught:
        await entities.create(place, "algo", "a", {})
    assert caught.value.status == 503
    assert "send the request again" in caught.value.detail


@pytest.mark.parametrize(
    ("name", "properties", "words"),
    [
        ("a", {"x": float("nan")}, "JSON cannot hold"),
        ("a", {"x": object()}, "JSON cannot hold"),
        ("a", {"x": "\ud800"}, "JSON cannot hold"),
        ("a", {"x": "y" * MAX_PROPERTIES_BYTES}, "keep long texts in a file"),
        ("", {}, "name has 0 characters"),
        ("x" * 501, {}, "name has 501 characters"),
        ("a\nb", {}, "control character"),
    ],
)
async def test_what_cannot_be_kept_is_refused(name: str, properties: dict[str, Any], words: str) -> None:
    entities, place = Entities(cast(Any, FoldingRecorder(cast(Any, None))), cast(Any, None)), ("w", "p")
    with pytest.raises(Problem) as caught:
        await entities.create(place, "algo", name, properties)
    assert caught.value.status == 400
    assert words in caught.value.detail
