"""The gateway's part of Comet's model registry: several gateways over one log, and what came of what was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from runstream.events import limits
from runstream.events.artifacts import ArtifactEvent, ArtifactVersionLogged
from runstream.events.control import decode_event
from runstream.events.frame import decode_frame
from runstream.events.positions import Positions
from runstream.service.comet import LINK, MODEL, REMARKS_TYPE, registered, registry_model_id, remarks_id
from runstream.service.log import LogUnavailable
from runstream.service.lookup import (
    ArtifactOutcome,
    KnownArtifact,
    KnownFile,
    KnownRun,
    KnownVersion,
    ProjectTexts,
)
from runstream.service.problems import problem_middleware
from runstream.service.visibility import Progress
from runstream_ingest.assets.local import LocalAssets
from runstream_ingest.comet.deciding import REFUSALS
from runstream_ingest.comet.renaming import _Move
from runstream_ingest.comet.routes import add_comet_writes
from runstream_ingest.gateway.routes import add_gateway
from runstream_ingest.gateway.settings import GatewaySettings
from runstream_ingest.log.memory import MemoryLog
from runstream_processors.folds import artifacts as fold

RUN, WORKSPACE, NAME = "a" * 32, "w", "net"
CREATE = {"experimentKey": RUN, "experimentModelName": NAME, "version": "1.0.0"}
FILES = [KnownFile("weights.bin", "0" * 64, 5, "application/octet-stream", {MODEL: NAME, "epoch": 3})]


@dataclass(frozen=True)
class Decided:
    """What the fold made of an event."""

    key: str
    writer: str
    seq: int
    offset: int
    event: ArtifactEvent
    decision: fold.Decision


@dataclass
class FoldedLookup:
    """A `Lookup` that folds the whole log for each question. `blind`: it cannot see it yet."""

    log: MemoryLog
    blind: bool = False
    files: Sequence[KnownFile] = field(default_factory=lambda: FILES)

    async def decided(self) -> list[Decided]:
        """What came of each event. What comes twice counts once."""
        states: dict[str, fold.ArtifactState | None] = {}
        decided: dict[tuple[str, int], Decided] = {}
        for record in await self.log.read(0, 0, 1 << 30, 0.0):
            frame = decode_frame(record.value)
            for seq, body in json.loads(frame.events):
                writer = frame.header.writer_id
                event = decode_event(json.dumps(body))
                if (writer, seq) in decided or not isinstance(event, ArtifactEvent):
                    continue
                decision = fold.fold_artifact(states.get(event.artifact), event)
                states[event.artifact] = decision.state
                decided[writer, seq] = Decided(frame.header.key, writer, seq, record.offset, event, decision)
        return list(decided.values())

    async def state(self, artifact_id: str) -> fold.ArtifactState | None:
        states = [one.decision.state for one in await self.decided() if one.event.artifact == artifact_id]
        return states[-1] if states else None

    async def run(self, run_id: str) -> KnownRun | None:
        return KnownRun(WORKSPACE, "p", "n", frozenset(), alive=False, deleted=False) if run_id == RUN else None

    async def model_files(self, run_id: str, model: str) -> Sequence[KnownFile]:
        return self.files if model == NAME else ()

    async def artifact(self, artifact_id: str) -> KnownArtifact | None:
        state = await self.state(artifact_id)
        if state is None or state.deleted:
            return None
        about = {name: getattr(state, name) for name in ("created_at_us", "description", "notes", "tags", "public")}
        return KnownArtifact(artifact_id, state.workspace, state.project, state.artifact_type, state.name, **about)

    async def artifact_ordinals(self, artifact_id: str, removed_at: Positions | None = None) -> Sequence[int]:
        if removed_at is None:
            state = await self.state(artifact_id)
            return sorted(state.versions) if state else ()
        ((_, offset),) = removed_at
        return [
            gone.ordinal
            for one in await self.decided()
            if one.event.artifact == artifact_id and one.offset == offset
            for gone in one.decision.removed
        ]

    async def artifact_versions(self, artifact_id: str, ordinals: Sequence[int]) -> Sequence[KnownVersion]:
        states: dict[int, fold.VersionState] = {}
        events: dict[int, ArtifactVersionLogged] = {}
        for one in await self.decided():
            if one.event.artifact == artifact_id:
                states |= {state.ordinal: state for state in (*one.decision.removed, *one.decision.changed)}
                if isinstance(one.event, ArtifactVersionLogged) and not one.decision.refused:
                    events[one.decision.ordinal] = one.event
        same = ("ordinal", "version", "created_at_us", "comment", "status", "tags", "aliases", "stages", "run")
        return [
            KnownVersion(
                **{name: getattr(states[ordinal], name) for name in same},
                metadata=events[ordinal].metadata,
                files=events[ordinal].files,
            )
            for ordinal in sorted(ordinals)
        ]

    async def artifact_outcome(self, key: str, writer: str, seq: int) -> ArtifactOutcome | None:
        for one in [] if self.blind else await self.decided():
            if (one.key, one.writer, one.seq) == (key, writer, seq):
                return ArtifactOutcome(one.decision.refused, one.decision.ordinal, one.decision.version)
        return None

    async def experiment_model(self, model_id: str) -> tuple[str, str] | None:
        raise NotImplementedError

    async def assets_named(self, run_id: str, name: str) -> Sequence[str]:
        raise NotImplementedError

    async def project_texts(self, workspace: str, project: str) -> ProjectTexts:
        raise NotImplementedError

    async def project_exists(self, workspace: str, project: str) -> bool:
        raise NotImplementedError

    async def project_of(self, project_id: str) -> tuple[str, str] | None:
        raise NotImplementedError

    async def runs_of(self, workspace: str, project: str) -> Sequence[str]:
        raise NotImplementedError


class Visible(Progress):
    """All that was appended can be read."""

    async def wait_for(self, wanted: Positions, timeout_s: float) -> bool:
        return True


@dataclass
class Gateways:
    """Two gateways over one log."""

    clients: Sequence[TestClient[Any, Any]]
    lookup: FoldedLookup

    async def ask(self, gateway: int, path: str, body: Any = None, **query: str) -> tuple[int, dict[str, Any]]:
        client, where = self.clients[gateway], f"/api/rest/v2/write/registry-model{path}"
        asked = client.get(where, params=query) if body is None else client.post(where, json=body)
        async with asked as answer:
            return answer.status, await answer.json(content_type=None)

    async def versions(self, name: str = NAME) -> dict[int, fold.VersionState]:
        state = await self.lookup.state(registry_model_id(WORKSPACE, name))
        return {} if state is None else dict(state.versions)

    async def rename(self, name: str, gateway: int = 0) -> tuple[int, dict[str, Any]]:
        return await self.ask(
            gateway, "/update", {"registryModelId": registry_model_id(WORKSPACE, NAME), "registryModelName": name}
        )


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[Gateways]:
    log = MemoryLog()
    lookup, storage, visibility = FoldedLookup(log), LocalAssets(tmp_path), Visible()

    def server() -> TestServer:
        app = web.Application(middlewares=[problem_middleware()])
        gateway = add_gateway(
            app,
            log=log,
            assets=storage,
            visibility=visibility,
            settings=GatewaySettings(is_only_gateway=False),
            registry=CollectorRegistry(),
        )
        add_comet_writes(app, gateway=gateway, assets=storage, visibility=visibility, lookup=lookup)
        return TestServer(app, host="127.0.0.1")

    async with TestClient(server()) as one, TestClient(server()) as other:
        yield Gateways((one, other), lookup)


async def test_of_gateways_that_race_for_a_version_one_gets_it(gateways: Gateways) -> None:
    bodies = [CREATE | {"versionComment": f"number {number}"} for number in range(8)]
    answers = await asyncio.gather(*(gateways.ask(n % 2, "/item/create", body) for n, body in enumerate(bodies)))
    (won,) = [number for number, (status, _) in enumerate(answers) if status == 200]
    for number, (status, answer) in enumerate(answers):
        if number != won:
            assert status == 400
            assert answer["msg"] == "there is a version 1.0.0 of net already: give another version"
    versions = await gateways.versions()
    assert [version.comment for version in versions.values()] == [f"number {won}"]
    item = registered(answers[won][1]["registryModelItemId"])
    assert item == (registry_model_id(WORKSPACE, NAME), *versions, None)


async def test_each_version_that_is_made_at_once_gets_a_number_of_its_own(gateways: Gateways) -> None:
    bodies = [CREATE | {"version": f"1.{number}.0"} for number in range(8)]
    answers = await asyncio.gather(*(gateways.ask(n % 2, "/item/create", body) for n, body in enumerate(bodies)))
    assert {status for status, _ in answers} == {200}
    made = {}
    for (_, answer), body in zip(answers, bodies, strict=True):
        made[registered(answer["registryModelItemId"])] = body["version"]
    model = registry_model_id(WORKSPACE, NAME)
    folded = {(model, ordinal, None): one.version for ordinal, one in (await gateways.versions()).items()}
    assert made == folded


async def test_what_cannot_be_seen_yet_is_asked_again_and_counts_once(gateways: Gateways) -> None:
    """What the client does by itself at a 503: the same words, until there is an answer."""
    gateways.lookup.blind = True
    for _ in range(2):
        status, answer = await gateways.ask(0, "/item/create", CREATE)
        assert (status, "cannot be read yet" in answer["msg"]) == (503, True)
    gateways.lookup.blind = False
    status, answer = await gateways.ask(0, "/item/create", CREATE)
    assert (status, registered(answer["registryModelItemId"])) == (200, (registry_model_id(WORKSPACE, NAME), 1, None))
    assert list(await gateways.versions()) == [1]
    assert (await gateways.ask(0, "/item/create", CREATE))[0] == 400, "it was answered: this is another time"


async def test_a_tag_that_is_added_while_another_is_taken_away(gateways: Gateways) -> None:
    """What is said about tags is what is to change, so that no one undoes what another said."""
    _, answer = await gateways.ask(0, "/item/create", CREATE | {"tags": ["a", "b"]})
    item = answer["registryModelItemId"]
    answers = await asyncio.gather(
        gateways.ask(0, "/item/stage", modelItemId=item, stage="c"),
        gateways.ask(1, "/item/stage/delete", modelItemId=item, stage="a"),
        gateways.ask(1, "/item/stage", modelItemId=item, stage="d"),
    )
    assert [status for status, _ in answers] == [200, 200, 200]
    assert set((await gateways.versions())[1].tags) == {"b", "c", "d"}


async def test_a_version_made_anew_under_a_deleted_name_is_another_one(gateways: Gateways) -> None:
    _, first = await gateways.ask(0, "/item/create", CREATE)
    assert (await gateways.ask(1, "/delete", workspaceName=WORKSPACE, modelName=NAME))[0] == 200
    status, answer = await gateways.ask(1, "/item/status", {"modelItemId": first["registryModelItemId"], "status": "x"})
    assert (status, "no version" in answer["msg"]) == (404, True)
    _, second = await gateways.ask(0, "/item/create", CREATE)
    assert second["registryModelId"] == first["registryModelId"]
    assert list(await gateways.versions()) == [2]


async def test_remarks_do_not_outlive_their_model(gateways: Gateways) -> None:
    _, answer = await gateways.ask(0, "/item/create", CREATE)
    said = {"metadata": [{"key": "acc", "value": 0.5}]}
    assert (await gateways.ask(1, f"/item/{answer['registryModelItemId']}/metadata", said))[0] == 200
    assert (await gateways.ask(1, "/delete", workspaceName=WORKSPACE, modelName=NAME))[0] == 200
    decided = await gateways.lookup.decided()
    remarks = [one.decision.state for one in decided if one.event.artifact_type == REMARKS_TYPE]
    assert remarks[-1] is not None
    assert remarks[-1].deleted


async def three_versions(gateways: Gateways) -> list[str]:
    """Ids of three versions, of which the second is deleted."""
    items = []
    for minor in range(3):
        body = CREATE | {"version": f"1.{minor}.0", "tags": [f"t{minor}"], "registryModelDescription": "ünï"}
        items.append((await gateways.ask(0, "/item/create", body))[1]["registryModelItemId"])
    said = {"metadata": [{"key": "acc", "value": 0.5}]}
    assert (await gateways.ask(0, f"/item/{items[2]}/metadata", said))[0] == 200
    assert (await gateways.ask(1, "/item/delete", modelItemId=items[1]))[0] == 200
    return items


async def remarks_on(gateways: Gateways, name: str) -> list[dict[str, Any]]:
    held = remarks_id(WORKSPACE, name)
    found = await gateways.lookup.artifact_versions(held, await gateways.lookup.artifact_ordinals(held))
    return [dict(one.metadata) for one in found]


def as_told(versions: dict[int, fold.VersionState]) -> list[tuple[Any, ...]]:
    return [(one.version, one.created_at_us, one.tags, one.status, one.run) for one in versions.values()]


async def test_a_renamed_model_has_all_that_it_had(gateways: Gateways) -> None:
    await three_versions(gateways)
    before = as_told(await gateways.versions())
    status, answer = await gateways.rename("other", 1)
    assert (status, answer["registryModelId"]) == (200, registry_model_id(WORKSPACE, "other"))
    assert await gateways.lookup.artifact(registry_model_id(WORKSPACE, NAME)) is None
    assert as_told(await gateways.versions("other")) == before
    renamed = await gateways.lookup.artifact(registry_model_id(WORKSPACE, "other"))
    assert renamed is not None
    assert renamed.description == "ünï"
    assert await remarks_on(gateways, "other") == [{"of": 2, "metadata": {"acc": 0.5}}]
    (file,) = (await gateways.lookup.artifact_versions(renamed.artifact, [1]))[0].files
    assert file.name == "weights.bin"


async def test_what_is_said_while_a_model_is_renamed_goes_with_it(
    gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another gateway registers, tags and deletes between the first round and the delete."""
    items = await three_versions(gateways)
    deleting = _Move.delete

    async def late(self: _Move) -> Positions:
        assert (await gateways.ask(1, "/item/create", CREATE | {"version": "2.0.0"}))[0] == 200
        assert (await gateways.ask(1, "/item/stage", modelItemId=items[2], stage="late"))[0] == 200
        assert (await gateways.ask(1, "/item/delete", modelItemId=items[0]))[0] == 200
        said = {"metadata": [{"key": "acc", "value": 0.75}]}
        assert (await gateways.ask(1, f"/item/{items[2]}/metadata", said))[0] == 200
        return await deleting(self)

    monkeypatch.setattr(_Move, "delete", late)
    assert (await gateways.rename("other"))[0] == 200
    versions = {one.version: one.tags for one in (await gateways.versions("other")).values()}
    assert versions == {"1.2.0": ("t2", "late"), "2.0.0": ()}
    said = [remark["metadata"]["acc"] for remark in await remarks_on(gateways, "other")]
    assert said == [0.5, 0.75]


async def test_a_rename_that_broke_off_goes_on(gateways: Gateways, monkeypatch: pytest.MonkeyPatch) -> None:
    await three_versions(gateways)
    before = as_told(await gateways.versions())

    async def breaks_off(self: _Move) -> Positions:
        raise LogUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(_Move, "delete", breaks_off)
        assert (await gateways.rename("other"))[0] == 503
    assert as_told(await gateways.versions()) == as_told(await gateways.versions("other")) == before
    for gateway in (1, 0):
        status, answer = await gateways.rename("other", gateway)
        assert (status, "no registered model" in answer.get("msg", "")) == ((200, False) if gateway else (404, True))
    assert as_told(await gateways.versions("other")) == before
    assert len(await remarks_on(gateways, "other")) == 1


async def test_a_name_that_is_taken_stays_the_others(gateways: Gateways) -> None:
    await three_versions(gateways)
    assert (await gateways.ask(0, "/item/create", CREATE | {"registryModelName": "other"}))[0] == 200
    status, answer = await gateways.rename("other")
    assert (status, answer["msg"]) == (400, "there is a registered model other already: give another name")
    assert len(await gateways.versions()) == 2
    assert len(await gateways.versions("other")) == 1


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
    status, answer = await gateways.ask(0, "/item/create", CREATE | body)
    assert (status, text in answer["msg"]) == (400, True), answer
    assert await gateways.lookup.decided() == []


def many_files() -> list[KnownFile]:
    return [KnownFile(f"{number}", "0" * 64, 1, "text/plain") for number in range(limits.MAX_ARTIFACT_FILES + 1)]


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (many_files, "pack them"),
        (lambda: [KnownFile("a", "0" * 64, 1, "text/plain", {"x": "y" * limits.MAX_EVENT_BYTES})], "one archive"),
        (lambda: [KnownFile("a", "0" * 64, 1, "text/plain", {LINK: "no address"})], "no address"),
    ],
)
async def test_a_model_that_does_not_fit(gateways: Gateways, files: Callable[[], list[KnownFile]], text: str) -> None:
    gateways.lookup.files = files()
    status, answer = await gateways.ask(0, "/item/create", CREATE)
    assert (status, text in answer["msg"]) == (400, True), answer["msg"][:300]
    assert await gateways.lookup.decided() == []


async def test_files_keep_what_was_said_about_them_and_get_names_that_can_be_paths(gateways: Gateways) -> None:
    gateways.lookup.files = [
        *FILES,
        KnownFile("../up//a\\b", "1" * 64, 7, "text/plain", {"n": 1}),
        KnownFile("far", "2" * 64, 9, "text/uri-list", {LINK: "s3://bucket/far", "checksum": "x"}),
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
