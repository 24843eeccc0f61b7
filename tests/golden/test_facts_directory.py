"""A data directory of an earlier build opens, is folded anew, and reads the same (kit.golden.facts_directory)."""

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kit.golden.facts_directory import HERE, Client, Read, running_server
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.migrate import migrate
from runstream_processors.store.profiles import EMBEDDED

READS: list[Read] = json.loads((HERE / "reads.json").read_text())


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of this build over the directory, once all of its read models are of this build."""
    folder = tmp_path_factory.mktemp("facts")
    with tarfile.open(HERE / "data.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    with running_server(folder / "data") as address:
        asyncio.run(folded_anew(address))
        yield address


async def folded_anew(address: str) -> None:
    """Wait until the server has no other generation to build."""
    async with aiohttp.ClientSession() as session:
        for _ in range(1_200):
            async with session.get(f"{address}/api/v1/server") as response:
                status = (await response.json())["read_models"]
            if status is not None and status["building"] is None and not status["differences"]:
                return
            assert status is None or status["obstacle"] is None, status
            await asyncio.sleep(0.1)
    raise AssertionError(f"not within two minutes: {status}")


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession(headers={"Runstream-Client": "golden"}) as session:
        yield Client(session, url)


def title(read: Read) -> str:
    return f"{read['path']} {' '.join(read['query'].values())}".strip()


@pytest.mark.parametrize("read", READS, ids=title)
async def test_comets_client_reads_what_it_read_of_the_build_that_wrote_it(client: Client, read: Read) -> None:
    assert await client.response(read) == of_this_build(read["response"])


def of_this_build(then: Any) -> Any:
    """Return a response with what later builds tell on purpose and that build did not: who owns a project, which user
    the environment names, and what a file is called within its model."""
    if isinstance(then, list):
        return [of_this_build(one) for one in then]
    if not isinstance(then, dict):
        return then
    now = {name: of_this_build(value) for name, value in then.items()}
    if "ownerUserName" in now:
        now["ownerUserName"] = now["workspaceName"]
    if now.get("type") == "model-element" and not now["dir"].startswith("models/"):
        model = now["dir"].partition("/")[0]
        now |= {"fileName": now["fileName"].removeprefix(f"{model}/"), "dir": f"models/{model}"}
    if "userName" in now and now.get("experimentName") == "linked":
        now["userName"] = "ada"
    return now


async def native(client: Client, path: str) -> Any:
    return await client.response({"method": "GET", "path": f"../../v1/{path}", "query": {}, "payload": None})


async def run_named(client: Client, name: str) -> str:
    runs = (await native(client, "runs"))["runs"]
    return str(next(run["run"] for run in runs if run["name"] == name))


async def test_native_reads_tell_what_each_file_is_and_where(client: Client) -> None:
    run = await run_named(client, "files")
    assets = {asset["name"]: asset for asset in (await native(client, f"runs/{run}/assets"))["assets"]}
    facts = {name: (asset["role"], asset["location"], asset["model"]) for name, asset in assets.items()}
    assert facts == {
        "a.png": (None, None, None),
        "comet/code.txt": ("code", None, None),
        "comet/git_patch.zip": ("patch", None, None),
        "comet/graph.txt": ("graph", None, None),
        "comet/html.html": ("page", None, None),
        "far/far.bin": (None, "gs://bucket/far.bin", "far"),
        "net/layers/sizes.txt": (None, None, "net"),
        "net/weights.bin": (None, None, "net"),
        "train.csv": (None, "s3://bucket/train.csv", None),
    }
    assert [assets[name]["metadata"] for name in ("train.csv", "far/far.bin", "net/weights.bin")] == [
        {"rows": 10, "source": "lake"},
        {"size": 5},
        {"epoch": 3},
    ]


async def test_native_reads_tell_which_projects_a_run_is_shown_in(client: Client) -> None:
    links = {run["name"]: run["links"] for run in (await native(client, "runs"))["runs"]}
    assert links == {"files": ["other/shown"], "linked": ["research/best", "other/shown"], "plain": []}
    environment = await native(client, f"runs/{await run_named(client, 'linked')}/environment")
    assert {one["name"]: one["value"] for one in environment["values"]} == {
        "comet.os": "Linux-6",
        "comet.pid": 7,
        "host.user": "ada",
    }


async def test_native_reads_tell_what_was_remarked_on_each_version(client: Client) -> None:
    artifacts = (await native(client, "artifacts"))["artifacts"]
    assert [(one["artifact_type"], one["name"]) for one in artifacts] == [("model", "network")]
    path = f"artifacts/{artifacts[0]['artifact']}/versions"
    counted = {one["ordinal"]: one["remarks"] for one in (await native(client, path))["versions"]}
    remarks = {
        ordinal: [one["remark"] for one in (await native(client, f"{path}/{ordinal}/remarks"))["remarks"]]
        for ordinal in counted
    }
    configured = [{"isReviewRequired": False, "status": status} for status in ("Staging", "Production")]
    assert remarks[1] == [
        {"metadata": {"checked": 0}},
        {"metadata": {"by": {"level": 0, "name": "ada"}, "checked": True}},
        *({"statusConfiguration": one} for one in configured),
    ]
    assert remarks[2][-1] == {"metadata": {"after": "the rename"}}
    assert counted == {ordinal: len(found) for ordinal, found in remarks.items()} == {1: 4, 2: 5}


async def test_files_of_the_old_generation_have_their_facts_as_soon_as_its_tables_have_the_columns(
    tmp_path: Path,
) -> None:
    with tarfile.open(HERE / "data.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    store = await ChdbStore.open(tmp_path / "data" / "store")
    try:
        await migrate(store, profile=EMBEDDED)
        rows = await store.query("SELECT name, role, location, model FROM assets WHERE role || location || model != ''")
    finally:
        await store.close()
    assert sorted(tuple(row.values()) for row in rows.to_pylist()) == [
        ("comet/code.txt", "code", "", ""),
        ("comet/git_patch.zip", "patch", "", ""),
        ("comet/graph.txt", "graph", "", ""),
        *[("comet/html.html", "page", "", "")] * 3,
        ("far/far.bin", "", "gs://bucket/far.bin", "far"),
        ("net/layers/sizes.txt", "", "", "net"),
        ("net/weights.bin", "", "", "net"),
        ("train.csv", "", "s3://bucket/train.csv", ""),
    ]


def test_the_directory_has_what_it_was_written_for() -> None:
    responses: dict[str, list[Any]] = {}
    for read in READS:
        responses.setdefault(read["path"].rpartition("experiment/")[2].rpartition("registry-model/")[2], []).append(
            read["response"]
        )
    assert [one["code"] for one in responses["code"]] == ["print(1)", None, None]
    assert [one["graph"] for one in responses["graph"]] == ["Linear(3, 1)", None, None]
    assert [one["html"] for one in responses["html"]] == ["<h1>new</h1><p>more</p>", None, None]
    assert responses["git/patch"][0] == {"git_diff.patch": "+print(1)"}
    remote = [one["link"] for one in responses["asset/list"][0]["assets"] if one["remote"]]
    assert sorted(remote) == ["gs://bucket/far.bin", "s3://bucket/train.csv"]
    linked = [[one["experimentName"] for one in page["experiments"]] for page in responses["experiments"]]
    assert linked == [["files", "linked", "plain"], ["linked"], ["files", "linked"]]
