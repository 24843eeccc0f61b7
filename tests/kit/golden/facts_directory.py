"""Writes the golden data directory `0.1/directories/facts`: what Comet's clients wrote before facts were events.

    PYTHONPATH=tests python -m kit.golden.facts_directory DIRECTORY

The build that it is run with starts a server over a new data directory, writes links, remarks on versions of models,
files with a role and files that are elsewhere by Comet's REST methods, and reads everything back. DIRECTORY then has
`data.tar.xz`, the data directory of the stopped server, and `reads.json`, each request that reads with its response.
The directory that is committed was made by the last build that kept these facts in names and metadata. It never
changes: running this again with a later build makes another one, of what that build writes.
"""

import asyncio
import io
import json
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from kit.children import TESTS
from kit.servers.up import running_up

HERE: Final = TESTS / "golden" / "0.1" / "directories" / "facts"
#: What stands in responses for the address of the server.
ADDRESS: Final = "http://server"
_WRITE: Final = "/api/rest/v2/write"
_READ: Final = "/api/rest/v2"
_WORKSPACE: Final = "research"

Read = dict[str, Any]


@contextmanager
def running_server(data: Path) -> Iterator[str]:
    """Give the address of `runstream up` over a data directory, without keys."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("RUNSTREAM_")}
    with running_up(data, environment=environment, errors=Path(os.devnull)) as url:
        yield url


class Client:
    """A client of one server, which writes and reads as Comet's does."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def post(self, path: str, **payload: Any) -> dict[str, Any]:
        """Write by a method that takes JSON."""
        return await self._written("POST", path, json=payload)

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Write by a method that takes a query string."""
        return await self._written("GET", path, params=query)

    async def upload(
        self, path: str, content: bytes | None, link: str = "", metadata: object = None, **query: str
    ) -> dict[str, Any]:
        """Write a file, or where it is."""
        form = aiohttp.FormData(default_to_multipart=True)
        if metadata is not None:
            form.add_field("metadata", json.dumps(metadata))
        if link:
            form.add_field("link", link)
        if content is not None:
            form.add_field("file", content, filename="file")
        return await self._written("POST", path, data=form, params=query)

    async def _written(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        async with self._session.request(method, f"{self._url}{_WRITE}/{path}", **request) as response:
            assert response.status == 200, (path, await response.text())
            return dict(await response.json(content_type=None))

    async def live(self, path: str, **payload: Any) -> None:
        """Write by a method of the live client."""
        async with self._session.post(f"{self._url}/clientlib/{path}", json=payload) as response:
            assert response.status == 200, (path, await response.text())

    async def response(self, read: Read) -> Any:
        """Read: JSON, an archive as the texts of its files, or a text."""
        body = {"json": read["payload"]} if read["payload"] is not None else {}
        url = f"{self._url}{_READ}/{read['path']}"
        async with self._session.request(read["method"], url, params=read["query"], **body) as response:
            content = await response.read()
        assert response.status == 200, (read, content)
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return {name: archive.read(name).decode() for name in sorted(archive.namelist())}
        text = content.decode().replace(self._url, ADDRESS)
        return json.loads(text) if response.content_type == "application/json" else text


def zipped(name: str, text: str) -> bytes:
    """Return an archive with one file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, text)
    return content.getvalue()


async def write_runs(client: Client) -> dict[str, str]:
    """Write three runs: one with files of every role, one that is linked, one that has nothing; their keys by name."""
    keys = {}
    for name in ("files", "linked", "plain"):
        created = await client.post(
            "experiment/create", workspaceName=_WORKSPACE, projectName="digits", experimentName=name
        )
        keys[name] = key = created["experimentKey"]
        await client.post("experiment/parameter", experimentKey=key, parameterName="lr", parameterValue=0.1)
        await client.post("experiment/log-other", experimentKey=key, key="data", value=name)
        for step in range(5):
            await client.post(
                "experiment/metric", experimentKey=key, metricName="loss", metricValue=1 / (step + 1), step=step
            )
    await write_roles(client, keys["files"])
    await write_assets(client, keys["files"])
    await client.get("project/symlink", experimentKey=keys["linked"], projectName="best")
    moved = {"targetProjectName": "shown", "targetWorkspaceName": "other", "symlink": True}
    await client.post("experiment/move", experimentKeys=[keys["linked"], keys["files"]], **moved)
    details = {"os": "Linux-6", "pid": 7, "user": "ada"}
    await client.post("experiment/system-details", experimentKey=keys["linked"], **details)
    return keys


async def write_roles(client: Client, key: str) -> None:
    """Write code, graph, patch and a page that was begun anew."""
    for code in ("print(0)", "print(1)"):
        await client.post("experiment/code", experimentKey=key, code=code)
    await client.post("experiment/graph", experimentKey=key, graph="Linear(3, 1)")
    await client.post("experiment/html", experimentKey=key, html="<p>old</p>")
    await client.post("experiment/html", experimentKey=key, html="<h1>new</h1>", override=True)
    await client.post("experiment/html", experimentKey=key, html="<p>more</p>")
    await client.upload("experiment/git/patch", zipped("git_diff.patch", "+print(1)"), experimentKey=key)


async def write_assets(client: Client, key: str) -> None:
    """Write files of several kinds, remote ones, and two models."""
    asset = "experiment/upload-asset"
    await client.upload(asset, b"\x89PNG", experimentKey=key, fileName="a.png", type="image", step="3", context="train")
    remote = {"experimentKey": key, "fileName": "train.csv", "type": "dataset"}
    await client.upload(asset, None, "s3://bucket/train.csv", {"rows": 10, "source": "lake"}, **remote)
    files = {"experimentKey": key, "type": "model-element", "groupingName": "net"}
    await client.upload(asset, b"weights", metadata={"epoch": 3}, fileName="weights.bin", **files)
    await client.upload(asset, b"sizes", fileName="layers/sizes.txt", **files)
    entities = [{"remoteUrl": "gs://bucket/far.bin", "fileName": "far.bin", "metadata": {"size": 5}}]
    await client.live("asset/log-remote-model", experimentKey=key, modelName="far", remoteEntities=entities)


async def write_registry(client: Client, key: str) -> list[str]:
    """Write registered models with remarks, of which one is renamed and one deleted; the ids of versions that are
    there."""
    items = []
    for name, model, version in (("net", "net", "1.0.0"), ("net", "net", "1.1.0"), ("far", "far", "1.0.0")):
        payload = {"experimentKey": key, "experimentModelName": model, "registryModelName": name, "version": version}
        created = await client.post("registry-model/item/create", **payload)
        items.append(created["registryModelItemId"])
    for number, item in enumerate(items):
        of_item = f"registry-model/item/{item}"
        await client.post(f"{of_item}/metadata", metadata=[{"key": "checked", "value": number}])
        pairs = [{"key": "checked", "value": True}, {"key": "by", "value": {"name": "ada", "level": number}}]
        await client.post(f"{of_item}/metadata", metadata=pairs)
        for status in ("Staging", "Production"):
            await client.post(f"{of_item}/status-configuration", status=status, isReviewRequired=number == 1)
    net = items[0].partition("-")[0]
    renamed = await client.post("registry-model/update", registryModelId=net, registryModelName="network")
    kept = [f"{renamed['registryModelId']}-{ordinal}" for ordinal in (1, 2)]
    later = [{"key": "after", "value": "the rename"}]
    await client.post(f"registry-model/item/{kept[1]}/metadata", metadata=later)
    await client.post("registry-model/item/status", modelItemId=kept[1], status="Staging")
    await client.get("registry-model/delete", workspaceName=_WORKSPACE, modelName="far")
    return kept


def reads_of(keys: Mapping[str, str], items: list[str]) -> list[Read]:
    """Return the requests that read all of it."""

    def get(path: str, **query: str) -> Read:
        return {"method": "GET", "path": path, "query": query, "payload": None}

    def post(path: str, payload: Mapping[str, Any]) -> Read:
        return {"method": "POST", "path": path, "query": {}, "payload": payload}

    reads = [get("workspaces"), get("registry-model", workspaceName=_WORKSPACE)]
    for workspace, project in ((_WORKSPACE, "digits"), (_WORKSPACE, "best"), ("other", "shown")):
        place = {"workspaceName": workspace, "projectName": project}
        reads += [get("projects", workspaceName=workspace), get("experiments", **place), get("project", **place)]
        rules = [{"field": "loss", "operator": "less", "value": 10}]
        predicates = [{"source": "metrics", "query": {"condition": "AND", "rules": rules}}]
        reads.append(post("project/query", {**place, "predicates": predicates}))
    for key in keys.values():
        of_run = ("metadata", "tags", "parameters", "log-other", "metrics/summary", "asset/list", "model")
        reads += [get(f"experiment/{what}", experimentKey=key) for what in of_run]
        surroundings = ("system-details", "git/metadata", "git/patch", "output", "html", "code", "graph")
        reads += [get(f"experiment/{what}", experimentKey=key) for what in surroundings]
    for model in ("net", "far"):
        reads.append(get("experiment/model/asset/list", experimentKey=keys["files"], modelName=model))
        reads.append(get("experiment/model/download", experimentKey=keys["files"], modelName=model))
    network = {"workspaceName": _WORKSPACE, "modelName": "network"}
    reads += [get(f"registry-model/{what}", **network) for what in ("details", "compact-details", "items", "notes")]
    for number, item in enumerate(items):
        version = {**network, "version": f"1.{number}.0"}
        reads += [get(f"registry-model/item/{what}", **version) for what in ("details", "download-instructions")]
        reads += [get(f"registry-model/item/{item}/{what}") for what in ("metadata", "status-configuration")]
        reads.append(post("registry-model/history/item", {"registryModelItemId": item}))
    return reads


async def write_and_read(url: str) -> list[Read]:
    """Write everything to a server; each read with its response."""
    async with aiohttp.ClientSession(headers={"Runstream-Client": "golden"}) as session:
        client = Client(session, url)
        keys = await write_runs(client)
        reads = reads_of(keys, await write_registry(client, keys["files"]))
        return [read | {"response": await client.response(read)} for read in reads]


def of_nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return a member of the archive without the names of its owner."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def main() -> None:
    """Write the directory and say how large it is."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with running_server(data) as url:
            reads = asyncio.run(write_and_read(url))
        with tarfile.open(target / "data.tar.xz", "w:xz", preset=9) as archive:
            archive.add(data, "data", filter=of_nobody)
    (target / "reads.json").write_text(json.dumps(reads, indent=1, sort_keys=True) + "\n")
    for file in sorted(target.iterdir()):
        print(f"{file.name}: {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
