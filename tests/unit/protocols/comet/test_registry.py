"""The gateway's part of Comet's model registry: several gateways over one log, and what came of what was asked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from kit.comet.registry_gateways import CREATE, FILES, NAME, WORKSPACE, Gateways, running_gateways
from runstream.events import limits
from runstream_model import artifact_state as fold
from runstream_protocols.comet.conventions import REMARK_METADATA, registered, registry_model_id
from runstream_protocols.comet.writes.outcomes import REFUSALS
from runstream_service.lookup import (
    KnownFile,
)

pytestmark = pytest.mark.sockets


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Gateways]:
    async with running_gateways(tmp_path) as started:
        yield started


async def test_of_gateways_that_race_for_a_version_one_gets_it(gateways: Gateways) -> None:
    bodies = [CREATE | {"versionComment": f"number {number}"} for number in range(8)]
    responses = await asyncio.gather(*(gateways.ask(n % 2, "/item/create", body) for n, body in enumerate(bodies)))
    (won,) = [number for number, (status, _) in enumerate(responses) if status == 200]
    for number, (status, response) in enumerate(responses):
        if number != won:
            assert status == 400
            assert response["msg"] == "there is a version 1.0.0 of net already: give another version"
    versions = await gateways.versions()
    assert [version.comment for version in versions.values()] == [f"number {won}"]
    item = registered(responses[won][1]["registryModelItemId"])
    assert item == (registry_model_id(WORKSPACE, NAME), *versions, None)


async def test_each_version_that_is_made_at_once_gets_a_number_of_its_own(gateways: Gateways) -> None:
    bodies = [CREATE | {"version": f"1.{number}.0"} for number in range(8)]
    responses = await asyncio.gather(*(gateways.ask(n % 2, "/item/create", body) for n, body in enumerate(bodies)))
    assert {status for status, _ in responses} == {200}
    made = {}
    for (_, response), body in zip(responses, bodies, strict=True):
        made[registered(response["registryModelItemId"])] = body["version"]
    model = registry_model_id(WORKSPACE, NAME)
    folded = {(model, ordinal, None): one.version for ordinal, one in (await gateways.versions()).items()}
    assert made == folded


async def test_what_cannot_be_seen_yet_is_tried_again_and_counts_once(gateways: Gateways) -> None:
    """What the client does by itself at a 503: the same words, until there is a response."""
    gateways.lookup.blind = True
    for _ in range(2):
        status, response = await gateways.ask(0, "/item/create", CREATE)
        assert (status, "cannot be read yet" in response["msg"]) == (503, True)
    gateways.lookup.blind = False
    status, response = await gateways.ask(0, "/item/create", CREATE)
    assert (status, registered(response["registryModelItemId"])) == (200, (registry_model_id(WORKSPACE, NAME), 1, None))
    assert list(await gateways.versions()) == [1]
    assert (await gateways.ask(0, "/item/create", CREATE))[0] == 400, "it was answered: this is another time"


async def test_a_tag_that_is_added_while_another_is_taken_away(gateways: Gateways) -> None:
    """What is said about tags is what is to change, so that no one undoes what another said."""
    _, response = await gateways.ask(0, "/item/create", CREATE | {"tags": ["a", "b"]})
    item = response["registryModelItemId"]
    responses = await asyncio.gather(
        gateways.ask(0, "/item/stage", modelItemId=item, stage="c"),
        gateways.ask(1, "/item/stage/delete", modelItemId=item, stage="a"),
        gateways.ask(1, "/item/stage", modelItemId=item, stage="d"),
    )
    assert [status for status, _ in responses] == [200, 200, 200]
    assert set((await gateways.versions())[1].tags) == {"b", "c", "d"}


async def test_a_version_made_anew_under_a_deleted_name_is_another_one(gateways: Gateways) -> None:
    _, first = await gateways.ask(0, "/item/create", CREATE)
    assert (await gateways.ask(1, "/delete", workspaceName=WORKSPACE, modelName=NAME))[0] == 200
    status, response = await gateways.ask(
        1, "/item/status", {"modelItemId": first["registryModelItemId"], "status": "x"}
    )
    assert (status, "no version" in response["msg"]) == (404, True)
    _, second = await gateways.ask(0, "/item/create", CREATE)
    assert second["registryModelId"] == first["registryModelId"]
    assert list(await gateways.versions()) == [2]


async def test_remarks_do_not_outlive_their_model(gateways: Gateways) -> None:
    _, response = await gateways.ask(0, "/item/create", CREATE)
    payload = {"metadata": [{"key": "acc", "value": 0.5}]}
    assert (await gateways.ask(1, f"/item/{response['registryModelItemId']}/metadata", payload))[0] == 200
    assert (await gateways.ask(1, "/delete", workspaceName=WORKSPACE, modelName=NAME))[0] == 200
    assert (await gateways.ask(0, "/item/create", CREATE))[0] == 200
    assert [one.remarks for one in (await gateways.versions()).values()] == [0]
    (remark,) = await gateways.lookup.artifact_remarks(response["registryModelId"], [1, 2])
    assert (remark.ordinal, remark.remark) == (1, {REMARK_METADATA: {"acc": 0.5}})


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"version": "1.0"}, "no semantic version"),
        ({"version": "01.0.0"}, "no semantic version"),
        ({"experimentKey": "b" * 32}, "no experiment has the key"),
        ({"experimentModelName": "other"}, "has no model 'other'"),
        ({"registryModelName": "a/b"}, "contains '/'"),
        ({"registryModelName": "x" * 200}, "at most 127"),
        ({"tags": "a"}, "give a list of texts"),
        ({"tags": [str(number) for number in range(limits.MAX_LABELS + 1)]}, "tags"),
        ({"versionComment": "x" * (limits.MAX_COMMENT_CHARS + 1)}, "comment"),
        ({"status": 5}, "give a text"),
    ],
)
async def test_what_cannot_be_registered_leaves_nothing(gateways: Gateways, body: dict[str, Any], text: str) -> None:
    status, response = await gateways.ask(0, "/item/create", CREATE | body)
    assert (status, text in response["msg"]) == (400, True), response
    assert await gateways.lookup.decided() == []


def many_files() -> list[KnownFile]:
    return [KnownFile(f"{number}", "0" * 64, 1, "text/plain") for number in range(limits.MAX_ARTIFACT_FILES + 1)]


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (many_files, "pack them"),
        (lambda: [KnownFile("a", "0" * 64, 1, "text/plain", {"x": "y" * limits.MAX_EVENT_BYTES})], "one archive"),
        (lambda: [KnownFile("a", "0" * 64, 1, "text/plain", location="no address")], "no address"),
    ],
)
async def test_a_model_that_does_not_fit(gateways: Gateways, files: Callable[[], list[KnownFile]], text: str) -> None:
    gateways.lookup.files = files()
    status, response = await gateways.ask(0, "/item/create", CREATE)
    assert (status, text in response["msg"]) == (400, True), response["msg"][:300]
    assert await gateways.lookup.decided() == []


async def test_files_keep_their_metadata_and_get_names_that_can_be_paths(gateways: Gateways) -> None:
    gateways.lookup.files = [
        *FILES,
        KnownFile("../up//a\\b", "1" * 64, 7, "text/plain", {"n": 1}),
        KnownFile("far", "2" * 64, 9, "text/uri-list", {"checksum": "x"}, "s3://bucket/far"),
    ]
    assert (await gateways.ask(0, "/item/create", CREATE))[0] == 200
    event = (await gateways.lookup.decided())[-1].event
    assert event.type == "artifact_version_logged.v1"
    assert [(file.name, file.sha256, file.size_bytes, file.link) for file in event.files] == [
        ("weights.bin", "0" * 64, 5, None),
        ("up/a_b", "1" * 64, 7, None),
        ("far", None, 0, "s3://bucket/far"),
    ]
    assert event.metadata["@files"] == {
        "weights.bin": {"epoch": 3},
        "up/a_b": {"n": 1},
        "far": {"checksum": "x"},
    }


def test_every_refusal_of_the_fold_has_words() -> None:
    words = {name: word for name, word in vars(fold).items() if name.isupper() and isinstance(word, str)}
    assert set(words.values()) == REFUSALS.keys()
