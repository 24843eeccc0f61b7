"""Another name for a registered model: everything goes with it, whatever is said or breaks off meanwhile."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kit.comet.registry_gateways import CREATE, NAME, WORKSPACE, Decided, Gateways, running_gateways
from runstream_model.artifact_versions import VersionState
from runstream_protocols.comet.conventions import registry_model_id
from runstream_protocols.comet.writes.renaming import Move
from runstream_service.log import LogUnavailable
from runstream_service.lookup import RecordPlace

pytestmark = pytest.mark.sockets


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Gateways]:
    async with running_gateways(tmp_path) as started:
        yield started


async def three_versions(gateways: Gateways) -> list[str]:
    """Ids of three versions, of which the second is deleted."""
    items = []
    for minor in range(3):
        body = CREATE | {"version": f"1.{minor}.0", "tags": [f"t{minor}"], "registryModelDescription": "ünï"}
        items.append((await gateways.ask(0, "/item/create", body))[1]["registryModelItemId"])
    payload = {"metadata": [{"key": "acc", "value": 0.5}]}
    assert (await gateways.ask(0, f"/item/{items[2]}/metadata", payload))[0] == 200
    assert (await gateways.ask(1, "/item/delete", modelItemId=items[1]))[0] == 200
    return items


async def remarks_on(gateways: Gateways, name: str) -> list[dict[str, Any]]:
    model = registry_model_id(WORKSPACE, name)
    found = await gateways.lookup.artifact_remarks(model, await gateways.lookup.artifact_ordinals(model))
    return [{"of": one.ordinal, **one.remark} for one in found]


def as_told(versions: dict[int, VersionState]) -> list[tuple[Any, ...]]:
    return [(one.version, one.created_at_us, one.tags, one.status, one.run) for one in versions.values()]


async def test_a_renamed_model_has_all_that_it_had(gateways: Gateways) -> None:
    await three_versions(gateways)
    before = as_told(await gateways.versions())
    status, response = await gateways.rename("other", 1)
    assert (status, response["registryModelId"]) == (200, registry_model_id(WORKSPACE, "other"))
    assert await gateways.lookup.artifact(registry_model_id(WORKSPACE, NAME)) is None
    assert as_told(await gateways.versions("other")) == before
    renamed = await gateways.lookup.artifact(registry_model_id(WORKSPACE, "other"))
    assert renamed is not None
    assert renamed.description == "ünï"
    assert await remarks_on(gateways, "other") == [{"of": 2, "metadata": {"acc": 0.5}}]
    (file,) = (await gateways.lookup.artifact_versions(renamed.artifact, [1]))[0].files
    assert file.name == "weights.bin"


async def test_what_is_written_while_a_model_is_renamed_goes_with_it(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another gateway registers, tags and deletes between the first round and the delete."""
    items = await three_versions(gateways)
    deleting = Move.delete

    async def late(self: Move) -> RecordPlace:
        assert (await gateways.ask(1, "/item/create", CREATE | {"version": "2.0.0"}))[0] == 200
        assert (await gateways.ask(1, "/item/stage", modelItemId=items[2], stage="late"))[0] == 200
        assert (await gateways.ask(1, "/item/delete", modelItemId=items[0]))[0] == 200
        payload = {"metadata": [{"key": "acc", "value": 0.75}]}
        assert (await gateways.ask(1, f"/item/{items[2]}/metadata", payload))[0] == 200
        return await deleting(self)

    monkeypatch.setattr(Move, "delete", late)
    assert (await gateways.rename("other"))[0] == 200
    versions = {one.version: one.tags for one in (await gateways.versions("other")).values()}
    assert versions == {"1.2.0": ("t2", "late"), "2.0.0": ()}
    payload = [remark["metadata"]["acc"] for remark in await remarks_on(gateways, "other")]
    assert payload == [0.5, 0.75]


async def test_a_rename_that_broke_off_goes_on(gateways: Gateways, monkeypatch: pytest.MonkeyPatch) -> None:
    await three_versions(gateways)
    before = as_told(await gateways.versions())

    async def breaks_off(self: Move) -> RecordPlace:
        raise LogUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(Move, "delete", breaks_off)
        assert (await gateways.rename("other"))[0] == 503
    assert as_told(await gateways.versions()) == as_told(await gateways.versions("other")) == before
    for gateway in (1, 0):
        status, response = await gateways.rename("other", gateway)
        assert (status, "no registered model" in response.get("msg", "")) == ((200, False) if gateway else (404, True))
    assert as_told(await gateways.versions("other")) == before
    assert len(await remarks_on(gateways, "other")) == 1


async def test_a_rename_whose_delete_was_not_seen_in_time_goes_on(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said again, the delete stands in the log twice and counts where it came first; the old one is still to be seen
    when the second try begins."""
    await three_versions(gateways)
    before = as_told(await gateways.versions())
    deleting, seen = Move.delete, gateways.lookup.decided
    old = await seen()

    async def unseen(self: Move) -> RecordPlace:
        gateways.lookup.blind = True
        return await deleting(self)

    with monkeypatch.context() as broken:
        broken.setattr(Move, "delete", unseen)
        assert (await gateways.rename("other"))[0] == 503

    async def late() -> list[Decided]:
        return [one for one in await seen() if one in old or one.event.name != NAME]

    async def again(self: Move) -> RecordPlace:
        monkeypatch.setattr(gateways.lookup, "decided", seen)
        return await deleting(self)

    gateways.lookup.blind = False
    monkeypatch.setattr(gateways.lookup, "decided", late)
    monkeypatch.setattr(Move, "delete", again)
    assert (await gateways.rename("other"))[0] == 200
    assert await gateways.lookup.artifact(registry_model_id(WORKSPACE, NAME)) is None
    assert as_told(await gateways.versions("other")) == before
    assert len(await remarks_on(gateways, "other")) == 1


async def test_a_name_that_is_taken_stays_the_others(gateways: Gateways) -> None:
    await three_versions(gateways)
    assert (await gateways.ask(0, "/item/create", CREATE | {"registryModelName": "other"}))[0] == 200
    status, response = await gateways.rename("other")
    assert (status, response["msg"]) == (400, "there is a registered model other already: give another name")
    assert len(await gateways.versions()) == 2
    assert len(await gateways.versions("other")) == 1
