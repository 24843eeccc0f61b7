"""The gateway's part of Comet's artifacts: versions that are announced, closed and given up, at several gateways."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kit.comet.registry_gateways import RUN, WORKSPACE, Gateways, running_gateways
from runstream.events.artifacts import artifact_id
from runstream_model.artifact_state import ArtifactState
from runstream_protocols.comet.conventions import registered, upload_kind
from runstream_service.lookup import KnownFile

pytestmark = pytest.mark.sockets

ARTIFACT = artifact_id(WORKSPACE, "p", "dataset", "set")
UPSERT = {"experimentKey": RUN, "artifactName": "set", "artifactType": "dataset"}


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Gateways]:
    async with running_gateways(tmp_path) as started:
        yield started


async def announced(gateways: Gateways, gateway: int = 0, **more: Any) -> str:
    status, told = await gateways.post(gateway, "artifacts/upsert", **UPSERT, **more)
    assert status == 200, told
    return str(told["artifactVersionId"])


async def state_of(gateways: Gateways) -> ArtifactState:
    found = await gateways.lookup.state(ARTIFACT)
    assert found is not None
    return found


async def appended(gateways: Gateways) -> int:
    return len(await gateways.lookup.decided())


async def test_versions_announced_at_once_at_two_gateways_have_numbers_of_their_own(gateways: Gateways) -> None:
    told = await asyncio.gather(
        *(gateways.post(n % 2, "artifacts/upsert", **UPSERT, versionMetadata=f'{{"n": {n}}}') for n in range(6))
    )
    assert {status for status, _ in told} == {200}
    assert sorted(one["currentVersion"] for _, one in told) == [f"{number}.0.0" for number in range(1, 7)]
    meant = [registered(one["artifactVersionId"]) for _, one in told]
    assert {one[0] for one in meant if one} == {ARTIFACT}
    assert sorted(one[1] for one in meant if one) == [1, 2, 3, 4, 5, 6]


async def test_a_closed_version_has_the_newest_file_of_each_name(gateways: Gateways) -> None:
    version = await announced(gateways)
    gateways.lookup.uploaded[upload_kind(version)] = [
        KnownFile("a.bin", "0" * 64, 5, "application/octet-stream", asset="1"),
        KnownFile("b.bin", "1" * 64, 6, "application/octet-stream", asset="2"),
        KnownFile("a.bin", "2" * 64, 7, "application/octet-stream", asset="3"),
    ]
    assert (await gateways.post(1, "artifacts/state", artifactVersionId=version, state="CLOSED"))[0] == 200
    state = await state_of(gateways)
    assert (list(state.versions), list(state.reserved)) == ([1], [])
    (known,) = await gateways.lookup.artifact_versions(ARTIFACT, [1])
    assert {file.name: (file.sha256, file.size_bytes) for file in known.files} == {
        "a.bin": ("2" * 64, 7),
        "b.bin": ("1" * 64, 6),
    }


async def test_closing_again_changes_nothing(gateways: Gateways) -> None:
    """The response got lost, and the client asks the other gateway."""
    version = await announced(gateways)
    assert (await gateways.post(0, "artifacts/state", artifactVersionId=version, state="CLOSED"))[0] == 200
    before = await appended(gateways)
    for gateway in (1, 0):
        assert (await gateways.post(gateway, "artifacts/state", artifactVersionId=version, state="CLOSED"))[0] == 200
    assert await appended(gateways) == before


async def test_a_version_that_failed_is_given_up_and_its_name_is_free_again(gateways: Gateways) -> None:
    version = await announced(gateways, version="2.0.0")
    status, told = await gateways.post(1, "artifacts/upsert", **UPSERT, version="2.0.0", versionMetadata="{}")
    assert (status, "2.0.0" in told["msg"]) == (400, True), "it is announced"
    assert (await gateways.post(1, "artifacts/state", artifactVersionId=version, state="ERROR"))[0] == 200
    state = await state_of(gateways)
    assert (list(state.versions), list(state.reserved)) == ([], [])
    again = await announced(gateways, version="2.0.0")
    assert again != version, "a number is never given twice"


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("artifacts/upsert", UPSERT | {"version": "two"}, "two"),
        ("artifacts/upsert", UPSERT | {"experimentKey": "f" * 32}, "f" * 32),
        ("artifacts/state", {"artifactVersionId": "nonsense", "state": "CLOSED"}, "nonsense"),
        ("artifacts/state", {"artifactVersionId": "nonsense", "state": "OPEN"}, "OPEN"),
        ("artifacts/version/labels", {"artifactVersionId": "nonsense", "alias": ["x"]}, "nonsense"),
        ("artifacts/details", {"artifactId": "e" * 32, "tags": ["x"]}, "e" * 32),
    ],
)
async def test_what_is_not_there_or_cannot_be_is_refused_by_name(
    gateways: Gateways, path: str, body: dict[str, Any], word: str
) -> None:
    status, told = await gateways.post(0, path, **body)
    assert status in (400, 404)
    assert word in told["msg"]
    assert await appended(gateways) == 0
