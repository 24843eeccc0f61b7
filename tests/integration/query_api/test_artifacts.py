"""Artifacts, versions and their files over HTTP."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kit.query.artifacts import WRITER, insert_artifacts
from kit.query.service import Service
from kit.query.tables import NOW_US, run
from runstream.events.artifacts import (
    AddedFile,
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactFile,
    ArtifactFilesAdded,
    ArtifactUpdated,
    ArtifactVersionDeleted,
    ArtifactVersionLogged,
    ArtifactVersionUpdated,
    artifact_id,
)

CONTENT = b"<script>0123456789" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MODEL: dict[str, Any] = {"at_us": NOW_US, "workspace": "w", "artifact_type": "model", "name": "m"}
ID = artifact_id("w", None, "model", "m")


def panel(workspace: str, project: str, name: str) -> ArtifactCreated:
    return ArtifactCreated(at_us=NOW_US, workspace=workspace, project=project, artifact_type="panel", name=name)


def names(response: Any) -> list[tuple[str, str | None, str]]:
    return [(item["workspace"], item["project"], item["name"]) for item in response["artifacts"]]


async def bytes_of(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_artifacts_are_listed_by_place_type_and_name(service: Service) -> None:
    gone = {"at_us": NOW_US, "workspace": "w", "project": "p", "artifact_type": "panel", "name": "gone"}
    await insert_artifacts(
        service,
        panel("w", "p", "b"),
        panel("w", "p", "a"),
        panel("w", "q", "a"),
        panel("w2", "p", "a"),
        ArtifactCreated(**MODEL),
        ArtifactCreated(**MODEL | {"name": "p"}),
        ArtifactCreated(**gone),
        ArtifactDeleted(**gone),
    )
    everything = await service.get("artifacts")
    wanted = [
        ("w", None, "m"),
        ("w", None, "p"),
        ("w", "p", "a"),
        ("w", "p", "b"),
        ("w", "q", "a"),
        ("w2", "p", "a"),
    ]
    assert (names(everything), everything["next_cursor"]) == (wanted, None)
    for question, found in (
        ({"workspace": "w", "project": "p"}, wanted[2:4]),
        ({"project": "p"}, [*wanted[2:4], wanted[5]]),
        ({"workspace": "w", "project": ""}, wanted[:2]),
        ({"workspace": "w2"}, wanted[5:]),
        ({"type": "model", "name": "m"}, wanted[:1]),
        ({"workspace": "%"}, []),
    ):
        assert names(await service.get("artifacts", **question)) == found, question
    paged = []
    cursor: dict[str, str] = {}
    while True:
        page = await service.get("artifacts", limit=2, workspace="w", **cursor)
        paged += names(page)
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert paged == wanted[:5]
    other = await service.get("artifacts", 400, workspace="w2", **cursor)
    assert "cursor" in other["detail"]


async def test_an_artifact_and_its_versions(service: Service) -> None:
    await insert_artifacts(
        service,
        ArtifactVersionLogged(**MODEL, version="1.0.0", aliases=("best",), run="r"),
        ArtifactVersionLogged(**MODEL, comment="c", tags=("t",), stages=("s",), status="new", aliases=("best",)),
        ArtifactVersionLogged(**MODEL),
        ArtifactVersionDeleted(**MODEL, ordinal=3),
        ArtifactUpdated(**MODEL, description="d", notes="n", tags=("x",), public=True),
    )
    shown = await service.get(f"artifacts/{ID}")
    assert shown == {
        "artifact": ID,
        "workspace": "w",
        "project": None,
        "artifact_type": "model",
        "name": "m",
        "description": "d",
        "notes": "n",
        "tags": ["x"],
        "public": True,
        "created_at": "2026-01-31T12:00:00Z",
        "updated_at": "2026-01-31T12:00:00Z",
        "versions": 2,
        "latest_ordinal": 2,
        "latest_version": "2",
    }
    listed = await service.get(f"artifacts/{ID}/versions")
    assert [(item["ordinal"], item["version"], item["aliases"], item["run"]) for item in listed["versions"]] == [
        (2, "2", ["best"], None),
        (1, "1.0.0", [], "r"),
    ]
    second = listed["versions"][0]
    assert (second["comment"], second["tags"], second["stages"], second["status"]) == ("c", ["t"], ["s"], "new")
    for question, ordinals in (({"version": "1.0.0"}, [1]), ({"alias": "best"}, [2]), ({"version": "3"}, [])):
        found = await service.get(f"artifacts/{ID}/versions", **question)
        assert [item["ordinal"] for item in found["versions"]] == ordinals
    page = await service.get(f"artifacts/{ID}/versions", limit=1)
    rest = await service.get(f"artifacts/{ID}/versions", limit=1, cursor=page["next_cursor"])
    assert ([item["ordinal"] for item in rest["versions"]], rest["next_cursor"]) == ([1], None)
    assert "no version 3" in (await service.get(f"artifacts/{ID}/versions/3", 404))["detail"]
    assert "no artifact" in (await service.get("artifacts/nothing/versions", 404))["detail"]
    assert "'1.0.0'" in (await service.get(f"artifacts/{ID}/versions/1.0.0", 400))["detail"]


async def test_a_file_of_a_version(service: Service) -> None:
    await service.assets.write(SHA256, bytes_of(CONTENT), 10_000)
    files = (
        ArtifactFile(name="web/grün.html", sha256=SHA256, size_bytes=len(CONTENT), content_type="text/html"),
        ArtifactFile(name="elsewhere", link="s3://bucket/key"),
        ArtifactFile(name="lost", sha256="1" * 64, size_bytes=1),
    )
    await insert_artifacts(
        service,
        ArtifactVersionLogged(**MODEL, files=files, metadata={"loss": float("nan"), "n": [1]}),
        ArtifactVersionLogged(**MODEL, files=files),
        ArtifactVersionDeleted(**MODEL, ordinal=2),
    )
    detail = await service.get(f"artifacts/{ID}/versions/1")
    assert detail["metadata"] == {"loss": "NaN", "n": [1]}
    assert [file["name"] for file in detail["files"]] == ["elsewhere", "lost", "web/grün.html"]
    assert detail["files"][0] | {"name": ""} == {
        "name": "",
        "sha256": None,
        "size_bytes": 0,
        "content_type": "application/octet-stream",
        "link": "s3://bucket/key",
        "added_at": None,
    }
    assert (detail["version"]["files"], detail["version"]["size_bytes"]) == (3, len(CONTENT) + 1)
    path = f"/api/v1/artifacts/{ID}/versions/1/file"
    async with service.client.get(path, params={"name": "web/grün.html"}) as response:
        assert await response.read() == CONTENT
        assert response.headers["Content-Disposition"].startswith('attachment; filename="gr_n.html"')
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    async with service.client.get(path, params={"name": "web/grün.html"}, headers={"Range": "bytes=8-17"}) as response:
        assert (response.status, await response.read()) == (206, b"0123456789")
    get = f"artifacts/{ID}/versions"
    assert "s3://bucket/key" in (await service.get(f"{get}/1/file", 400, name="elsewhere"))["detail"]
    assert "not in the storage" in (await service.get(f"{get}/1/file", 404, name="lost"))["detail"]
    for name in ("../../secrets", "web/../web/grün.html", "/etc/passwd", SHA256):
        assert "no file" in (await service.get(f"{get}/1/file", 404, name=name))["detail"]
    await service.get(f"{get}/2/file", 404, name="web/grün.html")


async def test_files_that_are_added_to_an_open_version(service: Service) -> None:
    staged = await service.assets.receive(bytes_of(CONTENT), 10**6)
    await staged.keep()
    first = ArtifactFile(name="a", sha256="a" * 64, size_bytes=1)
    await insert_artifacts(
        service,
        ArtifactVersionLogged(**MODEL, open=True, files=(first,), metadata={"a": 1}),
        ArtifactVersionLogged(**MODEL, files=(first,)),
        ArtifactFilesAdded(
            **MODEL | {"at_us": NOW_US + 1_000_000},
            ordinal=1,
            files=(AddedFile(name="../b", sha256="b" * 64, size_bytes=2), AddedFile(name="c", link="s3://x/c")),
        ),
        ArtifactFilesAdded(**MODEL, ordinal=2, files=(AddedFile(name="x", sha256="c" * 64),)),
        ArtifactFilesAdded(
            **MODEL | {"at_us": NOW_US + 2_000_000},
            ordinal=1,
            files=(AddedFile(name="a", sha256=SHA256, size_bytes=len(CONTENT), content_type="text/html"),),
        ),
    )
    path = f"artifacts/{ID}/versions"
    seconds = {place: f"2026-01-31T12:00:0{place}Z" for place in (1, 2)}

    async def files(ordinal: int, **question: str) -> list[tuple[Any, ...]]:
        detail = await service.get(f"{path}/{ordinal}", **question)
        assert detail["version"]["files"] == len(detail["files"])
        assert detail["version"]["size_bytes"] == sum(file["size_bytes"] for file in detail["files"])
        return [(file["name"], file["sha256"], file["link"], file["added_at"]) for file in detail["files"]]

    added = [("../b", "b" * 64, None, seconds[1]), ("c", None, "s3://x/c", seconds[1])]
    assert await files(1) == [added[0], ("a", SHA256, None, seconds[2]), added[1]]
    assert await files(1, as_of="0:100") == [("a", "a" * 64, None, None)]
    assert await files(1, as_of="0:103") == [added[0], ("a", "a" * 64, None, None), added[1]]
    assert await files(2) == [("a", "a" * 64, None, None)]
    assert (await service.get(f"{path}/1"))["metadata"] == {"a": 1}
    assert [one["open"] for one in (await service.get(path))["versions"]] == [False, True]
    async with service.client.get(f"/api/v1/{path}/1/file", params={"name": "a"}) as response:
        assert (await response.read(), response.content_type) == (CONTENT, "text/html")
    assert "b" * 64 in (await service.get(f"{path}/1/file", 404, name="../b"))["detail"]
    refused = await service.get(f"commands/{WRITER}-103", key="w/m")
    assert (refused["changed"], refused["refused"], refused["ordinal"]) == (False, "version sealed", 2)


async def test_a_version_whose_files_are_not_visible_yet(service: Service) -> None:
    events = (ArtifactCreated(**MODEL), ArtifactVersionLogged(**MODEL, run="r"))
    await insert_artifacts(service, *events, late=("artifact_contents",))
    artifact = (await service.get("artifacts"))["artifacts"][0]["artifact"]
    problem = await service.get(f"artifacts/{artifact}/versions/1", 404)
    assert "not whole yet" in problem["detail"]


async def test_as_of_a_moment(service: Service) -> None:
    await insert_artifacts(
        service,
        ArtifactVersionLogged(**MODEL, aliases=("best",), metadata={"a": 1}),
        panel("w", "m", "another of the same key"),
        ArtifactVersionLogged(**MODEL, aliases=("best",)),
        ArtifactDeleted(**MODEL),
    )
    await service.get(f"artifacts/{ID}", 404)
    assert "not there" in (await service.get(f"artifacts/{ID}", 404, as_of="0:103"))["detail"]
    assert (await service.get(f"artifacts/{ID}", as_of="0:100"))["latest_ordinal"] == 1
    assert (await service.get(f"artifacts/{ID}", as_of="0:102"))["versions"] == 2
    listed = await service.get(f"artifacts/{ID}/versions", as_of="0:102", limit=1)
    assert [(item["ordinal"], item["aliases"]) for item in listed["versions"]] == [(2, ["best"])]
    rest = await service.get(f"artifacts/{ID}/versions", as_of="0:102", limit=1, cursor=listed["next_cursor"])
    assert [(item["ordinal"], item["aliases"]) for item in rest["versions"]] == [(1, [])]
    found = await service.get(f"artifacts/{ID}/versions", as_of="0:100", alias="best")
    assert [item["ordinal"] for item in found["versions"]] == [1]
    assert (await service.get(f"artifacts/{ID}/versions/1", as_of="0:101"))["metadata"] == {"a": 1}
    await service.get(f"artifacts/{ID}/versions/2", 404, as_of="0:101")


@pytest.mark.parametrize(
    ("offset", "outcome"),
    [
        (100, {"changed": True, "refused": "", "ordinal": 1, "version": "1.0.0"}),
        (101, {"changed": False, "refused": "version taken", "ordinal": 1, "version": "1.0.0"}),
        (102, {"changed": True, "refused": "", "ordinal": 2, "version": "2"}),
        (103, {"changed": False, "refused": "no such version", "ordinal": 9, "version": None}),
        (104, {"changed": False, "refused": "name taken", "ordinal": None, "version": None}),
    ],
)
async def test_what_came_of_a_command(service: Service, offset: int, outcome: dict[str, Any]) -> None:
    await insert_artifacts(
        service,
        ArtifactVersionLogged(**MODEL, version="1.0.0"),
        ArtifactVersionLogged(**MODEL, version="1.0.0"),
        ArtifactVersionLogged(**MODEL),
        ArtifactVersionUpdated(**MODEL, ordinal=9),
        ArtifactCreated(**MODEL),
    )
    found = await service.get(f"commands/{WRITER}-{offset}", key="w/m")
    assert found | outcome == found
    assert found["artifact"] == ID


async def test_what_came_from_a_run(service: Service) -> None:
    await service.insert("run_states", run("r"), run("idle"))
    place = {"at_us": NOW_US, "workspace": "w", "artifact_type": "dataset", "name": "d"}
    await insert_artifacts(
        service,
        ArtifactVersionLogged(**MODEL, run="r"),
        ArtifactVersionLogged(**MODEL, run="other"),
        ArtifactVersionLogged(**MODEL, run="r", comment="c"),
        ArtifactVersionUpdated(**MODEL, ordinal=1, comment="changed"),
        ArtifactVersionLogged(**place, project="p", run="r"),
        ArtifactVersionLogged(**MODEL, run="r"),
        ArtifactVersionDeleted(**MODEL, ordinal=4),
        ArtifactVersionLogged(**MODEL | {"name": "gone"}, run="r"),
        ArtifactDeleted(**MODEL | {"name": "gone"}),
    )
    found = (await service.get("runs/r/artifacts"))["versions"]
    assert [(row["artifact_type"], row["project"], row["name"], row["ordinal"], row["comment"]) for row in found] == [
        ("dataset", "p", "d", 1, ""),
        ("model", None, "m", 1, "changed"),
        ("model", None, "m", 3, "c"),
    ]
    assert (await service.get("runs/idle/artifacts"))["versions"] == []
    await service.get("runs/unknown/artifacts", 404)
