"""A principal of one workspace writes to no other by any route of a foreign client: every writing route of every
protocol is walked with requests that aim at another workspace, and the log stays as it is."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient, TestServer

from kit.stores import place_tables
from runstream.events.artifacts import artifact_id
from runstream.events.names import project_id
from runstream_infra.embedded import Parts, application, open_parts
from runstream_infra.settings import ServerSettings
from runstream_protocols.all import PROTOCOLS
from runstream_protocols.bender.protocol import BENDER
from runstream_protocols.comet.conventions import experiment_model_id, registry_item_id, registry_model_id
from runstream_protocols.comet.paths import OPTIMIZER
from runstream_protocols.kit.statements import digest
from runstream_protocols.mlaide.keys import number_of_run
from runstream_protocols.mlaide.paths import ADDRESS
from runstream_protocols.sagemaker.operations import OPERATIONS
from runstream_protocols.sagemaker.s3.operations import OPERATIONS as FILE_OPERATIONS
from runstream_protocols.saved_views.paths import ADDRESS as VIEWS
from runstream_protocols.sweeps.paths import ADDRESS as SWEEPS
from runstream_protocols.ubiops.paths import ADDRESS as UBIOPS
from runstream_protocols.ubiops.paths import AGENTS
from runstream_protocols.ubiops.presets import DEPLOYMENT
from runstream_service.access import READING, Action, Grant, Principal, Scope, full_principal
from runstream_service.auth import ApiKeys
from runstream_service.routing import Route

ROOT: Final = "/clientlib"
REST: Final = "/api/rest/v2/write"
MINE, THEIRS, NEW = "a" * 32, "b" * 32, "c" * 32
#: Keys are named as their principals.
OF_A: Final = Principal("of-workspace-a", (Grant(frozenset(Action), Scope(frozenset({"a"}))),))
ALL: Final = full_principal("all-workspaces")
#: Bender's find what they are about by ids that the server gives, and those of files by paths of any length: they have
#: tests of their own.
WRITING: Final = [
    route
    for one in PROTOCOLS
    if one is not BENDER
    for route in one.writes
    if route.action not in READING and not route.path.startswith(f"{OPTIMIZER}/") and "files" not in route.tags
]
#: Routes that keep nothing, and whose response says nothing of what is kept.
KEEP_NOTHING: Final = frozenset({"asset/3d-limits", "notification/experiment", "notify/event"})
#: What begins something: under a name that is not there yet.
ANEW: Final = {
    "logger/add/run": {"experimentKey": NEW},
    "project/create": {"projectName": "new"},
    "registry-model": {"version": "9.1.0"},
    "registry-model/item": {"version": "9.2.0"},
}
#: Where two protocols give a member other values.
MLAIDE: Final = {"status": "COMPLETED", "metadata": {"k": "v"}, "type": "t", "stage": "STAGING"}
#: Parts of the paths of UbiOps; what has an id is not there.
IN_UBIOPS: Final = {
    "api": "v2.1",
    "deployment": DEPLOYMENT,
    "version": "u",
    "bucket": "default",
    **dict.fromkeys(("id", "file", "run", "ticket"), "0" * 32),
}
#: What ends or empties something: last, so that it is there for all others.
LAST: Final = ("registry-model/item/delete", "registry-model/delete", "experiment/delete", "project/delete")


@dataclass
class Server:
    client: TestClient[Any, Any]
    parts: Parts

    async def send(self, key: str, method: str, path: str, form: bool = False, /, **fields: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"}
        query = {name: value for name, value in fields.items() if isinstance(value, str)}
        if form:
            data = FormData()
            data.add_field("file", b"content", filename="file")
            data.add_field("requestParams", json.dumps(fields))
            sent = self.client.request(method, path, params=query, data=data, headers=headers)
        elif method == "GET":
            sent = self.client.request(method, path, params=query, headers=headers)
        else:
            sent = self.client.request(method, path, json=fields, headers=headers)
        async with sent as response:
            return response.status, await response.json(content_type=None) if response.status != 204 else None

    async def held(self) -> int:
        """How many records the log has."""
        return sum((await self.parts.log.next_offsets()).values())


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    settings = ServerSettings(data_dir=tmp_path)
    keys = ApiKeys(tuple((hashlib.sha256(one.name.encode()).digest(), one) for one in (OF_A, ALL)))
    place_tables(settings.data_dir)
    async with (
        open_parts(settings) as parts,
        TestClient(TestServer(application(settings, keys, parts), host="127.0.0.1")) as client,
    ):
        stop = asyncio.Event()
        folding = asyncio.create_task(parts.worker.run(stop))
        server = Server(client, parts)
        for workspace, run in (("a", MINE), ("b", THEIRS)):
            begun = {"experimentKey": run, "teamName": workspace, "projectName": "p", "local_timestamp": 1}
            assert (await server.send(ALL.name, "POST", f"{ROOT}/logger/add/run", **begun))[0] == 200
            project = {"workspaceName": workspace, "projectName": "made"}
            assert (await server.send(ALL.name, "POST", f"{REST}/project/create", **project))[0] == 200
            await with_model(server, run)
            await with_artifact(server, run)
        yield server
        stop.set()
        await folding


async def with_model(server: Server, run: str) -> None:
    """Log a model to the run and register it."""
    model = {"experimentKey": run, "modelName": "net", "remoteEntities": [{"remoteUrl": "s3://x/net", "fileName": "w"}]}
    assert (await server.send(ALL.name, "POST", f"{ROOT}/asset/log-remote-model", **model))[0] == 200
    made = {"experimentKey": run, "experimentModelName": "net", "registryModelName": "net", "version": "1.0.0"}
    status, told = await server.send(ALL.name, "POST", f"{REST}/registry-model/item/create", **made)
    assert status == 200, told


async def with_artifact(server: Server, run: str) -> None:
    """Announce the first version of an artifact of the run's project."""
    announced = {"experimentKey": run, "artifactName": "set", "artifactType": "dataset", "version": "1.0.0"}
    status, told = await server.send(ALL.name, "POST", f"{REST}/artifacts/upsert", **announced)
    assert status == 200, told


def aimed(workspace: str, run: str, project: str) -> dict[str, Any]:
    """The members of all requests at once, about that workspace: each route takes its own."""
    model = registry_model_id(workspace, "net")
    item = registry_item_id(model, 1)
    artifact = artifact_id(workspace, "p", "dataset", "set")
    return {
        "experimentKey": run,
        "experimentKeys": [run],
        "experimentId": run,
        "previousExperiment": run,
        "runId": "d" * 32,
        "is_alive": False,
        "local_timestamp": 2,
        "teamName": workspace,
        "workspaceName": workspace,
        "targetWorkspaceName": workspace,
        "projectName": project,
        "targetProjectName": "elsewhere",
        "values": [{"metricName": "m", "metricValue": 1.0, "parameterName": "p", "parameterValue": 1, "step": 1}],
        "addedTags": ["t"],
        "tags": ["t"],
        "outputLines": [{"output": "line", "offset": 0}],
        "metricName": "m",
        "metricValue": 1.0,
        "items": [{"experimentKey": run, "parameterName": "p"}],
        "parameterName": "p",
        "parameterValue": 1,
        "key": "k",
        "value": "v",
        "fileName": "file",
        "assetId": "an-asset",
        "modelName": "net",
        "remoteEntities": [{"remoteUrl": "s3://x/other"}],
        "status": "running",
        "projectId": project_id(workspace, project),
        "newProjectDescription": "changed",
        "notes": "changed",
        "registryModelId": model,
        "registryModelName": "net",
        "registryModelItemId": item,
        "modelItemId": item,
        "experimentModelName": "net",
        "experimentModelId": experiment_model_id(run, "net"),
        "version": "9.0.0",
        "metadata": [{"key": "k", "value": "v"}],
        "TrialComponentName": run,
        "MetricData": [{"MetricName": "m", "Timestamp": 1, "Value": 1.0}],
        "startTimeMillis": 1,
        "endTimeMillis": 2,
        "startTimestamp": 1,
        "endTimestamp": 2,
        "filePath": "train.py",
        "logDependencies": ["numpy==1"],
        "stage": "t",
        "deleteAllExperiments": True,
        "artifactName": "set",
        "artifactType": "dataset",
        "artifactId": artifact,
        "artifactVersionId": registry_item_id(artifact, 1),
        "versionId": registry_item_id(artifact, 1),
        "consumerExperimentKey": run,
        "alias": ["best"],
        "versionTags": ["t"],
        "state": "CLOSED",
        "remoteArtifactAssetRequests": [
            {"artifactVersionId": registry_item_id(artifact, 1), "link": "s3://x/part", "fileName": "part"}
        ],
    }


def below(route: Route) -> str:
    """The path of a route below the root that it stands under."""
    return next(
        route.path.removeprefix(f"{root}/")
        for root in ("/clientlib/rest/v2/write", REST, ROOT, ADDRESS, "")
        if route.path.startswith(f"{root}/")
    )


def fields_for(route: Route, workspace: str, run: str) -> dict[str, Any]:
    """The members of a request for a route, about that workspace."""
    if route.path.startswith(SWEEPS):
        config = {"space": {"x": [1, 2]}, "metric": "loss"}
        return {"workspace": workspace, "project": "p", "name": "searched", "config": config, "token": "0" * 32}
    if route.path.startswith(VIEWS):
        return {"workspaceName": workspace, "view": {}} if route.method == "PUT" else {"workspaceName": workspace}
    fields = aimed(workspace, run, "made") | ANEW.get(below(route), {})
    if route.path.startswith(f"{UBIOPS}/"):
        names = {"projects": f"{workspace}:by-ubiops", "deployments": DEPLOYMENT, "buckets": "made"}
        made = {"name": names.get(below(route).rpartition("/")[2], "NAME"), "value": "v", "secret": True}
        source = {"source_deployment": DEPLOYMENT, "source_version": "u"}
        runs = {"items": [{"name": "r", "training_code": "f"}]}
        return fields | made | source | runs | {"version": "u", "environment": "python3-8"}
    if route.path.startswith(f"{AGENTS}/"):
        held = {"lease": "0" * 32, "token": 1, "status": "failed"}
        return fields | held | {"agent": "a", "host": "h", "read": "code"}
    if not route.path.startswith(f"{ADDRESS}/"):
        return fields
    if route.path.endswith("/experiments"):
        return fields | {"key": "e", "status": "IN_PROGRESS"}
    named = {"name": "made"} if route.path.endswith("/artifacts") else {}
    return fields | MLAIDE | named | {"key": f"{workspace}:created"}


async def sent_to(server: Server, key: str, route: Route, fields: dict[str, Any]) -> tuple[int, Any]:
    if route.path.startswith(SWEEPS):
        return await server.send(key, route.method, route.path, **fields)
    if route.path.startswith(VIEWS):
        path = f"{VIEWS}/{fields.pop('workspaceName')}/p/saved"
        return await server.send(key, route.method, path, **fields)
    path = route.path.replace("{asset}", "an-asset").replace("{item}", fields["registryModelItemId"])
    path = path.replace("{project_key}", f"{fields['workspaceName']}:p")
    path = path.replace("{run_key}", str(number_of_run(fields["experimentKey"])))
    path = path.replace("{artifact_name}", "made").replace("{artifact_version}", "1")
    for name, value in {**IN_UBIOPS, "project": f"{fields['workspaceName']}:p"}.items():
        path = path.replace(f"{{{name}}}", value)
    return await server.send(key, route.method, path, bool(route.request_media), **fields)


def in_order(routes: list[Route]) -> list[Route]:
    """What needs the run in its project, before it is moved away; and what ends something, last."""

    def place(route: Route) -> int:
        return -2 if route.path.startswith(f"{ADDRESS}/") else -1

    return sorted(routes, key=lambda route: LAST.index(below(route)) if below(route) in LAST else place(route))


async def test_no_route_of_a_foreign_client_writes_to_a_workspace_of_others(server: Server) -> None:
    before, refused = await server.held(), 0
    wrong: list[tuple[str, int, Any]] = []
    for route in in_order(WRITING):
        if below(route) in KEEP_NOTHING:
            continue
        status, told = await sent_to(server, OF_A.name, route, fields_for(route, "b", THEIRS))
        refused += status == 403
        if status != 403 or await server.held() != before:
            wrong.append((route.path, status, told.get("detail")))
    assert not wrong, "\n".join(map(str, wrong))
    assert await server.held() == before
    assert refused > 100, "hardly any route was walked: the test tests nothing"


async def test_the_same_requests_are_taken_from_whoever_has_the_right(server: Server) -> None:
    """Else those of the test above might be refused for something else."""
    beginnings = (f"{REST}/", f"{ROOT}/", f"{ADDRESS}/")
    once = [route for route in WRITING if any(route.path == f"{root}{below(route)}" for root in beginnings)]
    named = ("{id}", "{file}", "{run}", "{ticket}")
    ubiops = [route for route in WRITING if route.path.startswith(f"{UBIOPS}/") and not route.path.endswith(named)]
    once += [route for route in WRITING if route.path.startswith((SWEEPS, VIEWS))]
    once += sorted(ubiops, key=lambda route: route.method == "DELETE")
    wrong: list[tuple[str, int, Any]] = []
    for route in in_order(once):
        status, told = await sent_to(server, OF_A.name, route, fields_for(route, "a", MINE))
        if status != 200:
            wrong.append((route.path, status, told.get("detail")))
    assert not wrong, "\n".join(map(str, wrong))


async def test_a_run_of_others_cannot_be_taken_over_or_moved_away(server: Server) -> None:
    before = await server.held()
    begun = {
        "experimentKey": THEIRS,
        "teamName": "a",
        "projectName": "p",
        "local_timestamp": 3,
        "getOrCreateEnabled": True,
    }
    status, told = await server.send(OF_A.name, "POST", f"{ROOT}/logger/add/run", **begun)
    assert (status, "b/p" in json.dumps(told)) == (403, False), "nor is it told where it is"
    moved = {"experimentKeys": [MINE, THEIRS], "targetWorkspaceName": "a", "targetProjectName": "p"}
    assert (await server.send(OF_A.name, "POST", f"{REST}/experiment/move", **moved))[0] == 403
    moved = {"experimentKeys": [MINE], "targetWorkspaceName": "b", "targetProjectName": "p"}
    assert (await server.send(OF_A.name, "POST", f"{REST}/experiment/move", **moved))[0] == 403
    assert await server.held() == before


_EXPERIMENT: Final = {"ExperimentName": "e"}
_TRIAL: Final = {"TrialName": "t"}
_ARN: Final = f"arn:aws:sagemaker:us-east-1:000000000000:experiment-trial-component/{THEIRS}"
#: The id of an artifact is made of the call that creates it, and of its source.
_CALL: Final = "call"
_SOURCE: Final = {"SourceUri": "s3://elsewhere/a"}
_ARTIFACT: Final = (
    "arn:aws:sagemaker:us-east-1:000000000000:artifact/"
    f"{digest(16, _CALL.encode(), _SOURCE['SourceUri'].encode()).hex()}"
)
#: What SageMaker's writing operations are about: all go to one address. In an order in which all can be done.
OF_SAGEMAKER: Final[dict[str, dict[str, Any]]] = {
    "CreateExperiment": _EXPERIMENT,
    "UpdateExperiment": _EXPERIMENT | {"Description": "changed"},
    "CreateTrial": _EXPERIMENT | _TRIAL,
    "UpdateTrial": _TRIAL | {"DisplayName": "changed"},
    "CreateTrialComponent": {"TrialComponentName": "new"},
    "UpdateTrialComponent": {"TrialComponentName": THEIRS, "DisplayName": "changed"},
    "AssociateTrialComponent": _TRIAL | {"TrialComponentName": THEIRS},
    "DisassociateTrialComponent": _TRIAL | {"TrialComponentName": THEIRS},
    "AddTags": {"ResourceArn": _ARN, "Tags": [{"Key": "k", "Value": "v"}]},
    "DeleteTags": {"ResourceArn": _ARN, "TagKeys": ["k"]},
    "CreateArtifact": {"ArtifactType": "DataSet", "Source": _SOURCE},
    "AddAssociation": {"SourceArn": _ARN, "DestinationArn": _ARTIFACT},
    "UpdateArtifact": {"ArtifactArn": _ARTIFACT, "ArtifactName": "changed"},
    "DeleteAssociation": {"SourceArn": _ARN, "DestinationArn": _ARTIFACT},
    "DeleteArtifact": {"ArtifactArn": _ARTIFACT},
    "DeleteTrial": _TRIAL,
    "DeleteExperiment": _EXPERIMENT,
    "DeleteTrialComponent": {"TrialComponentName": THEIRS},
}
#: About a run or a trial that the key may not read: it is not there. All else is in a place that it may not write to.
NOT_THERE: Final = frozenset(
    (
        "UpdateTrialComponent",
        "DeleteTrialComponent",
        "AssociateTrialComponent",
        "DisassociateTrialComponent",
        "AddTags",
        "DeleteTags",
    )
)


async def test_no_operation_of_sagemaker_writes_to_a_workspace_of_others(server: Server) -> None:
    assert OF_SAGEMAKER.keys() == {name for name, one in OPERATIONS.items() if one.action not in READING}

    async def sent(key: str, operation: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {key}", "X-Amz-Target": f"SageMaker.{operation}"}
        headers["amz-sdk-invocation-id"] = _CALL
        async with server.client.post("/sagemaker", json=OF_SAGEMAKER[operation], headers=headers) as response:
            return response.status, (await response.json(content_type=None)).get("__type", "")

    before = await server.held()
    for operation in OF_SAGEMAKER:
        refused = (400, "ResourceNotFound") if operation in NOT_THERE else (403, "AccessDeniedException")
        assert await sent(OF_A.name, operation) == refused, operation
    assert await server.held() == before
    for operation in OF_SAGEMAKER:
        assert await sent(ALL.name, operation) == (200, ""), operation


_COMPLETE: Final = (
    f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{hashlib.md5(b'content').hexdigest()}</ETag>"
    "</Part></CompleteMultipartUpload>"
).encode()


async def test_no_file_of_sagemaker_is_written_into_a_workspace_of_others(server: Server) -> None:
    """In an order in which all can be done, each by its method, its path and its body."""
    requests: dict[str, tuple[str, str, bytes]] = {
        "CreateBucket": ("PUT", "/abc", b""),
        "PutObject": ("PUT", "/abc/k", b"content"),
        "CreateMultipartUpload": ("POST", "/abc/k?uploads", b""),
        "UploadPart": ("PUT", "/abc/k?partNumber=1&uploadId=UPLOAD", b"content"),
        "CompleteMultipartUpload": ("POST", "/abc/k?uploadId=UPLOAD", _COMPLETE),
        "AbortMultipartUpload": ("DELETE", "/abc/k?uploadId=OTHER", b""),
        "DeleteObject": ("DELETE", "/abc/k", b""),
        "DeleteObjects": ("POST", "/abc?delete", b"<Delete><Object><Key>k</Key></Object></Delete>"),
        "DeleteBucket": ("DELETE", "/abc", b""),
    }
    assert requests.keys() == {one.name for one in FILE_OPERATIONS if one.action not in READING}

    async def sent(key: str, method: str, path: str, body: bytes) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {key}"}
        for name, upload in uploads.items():
            path = path.replace(name, upload)
        async with server.client.request(method, f"/sagemaker{path}", data=body, headers=headers) as response:
            return response.status, await response.text()

    uploads: dict[str, str] = {}

    before = await server.held()
    for name, request in requests.items():
        status, told = await sent(OF_A.name, *request)
        assert (status, "<Code>AccessDenied</Code>" in told) == (403, True), (name, told)
    assert await server.held() == before
    for name, request in requests.items():
        status, told = await sent(ALL.name, *request)
        assert status in (200, 204), (name, told)
        if name == "CreateMultipartUpload":
            again = (await sent(ALL.name, *request))[1]
            uploads["UPLOAD"], uploads["OTHER"] = (
                one.partition("<UploadId>")[2].partition("</UploadId>")[0] for one in (told, again)
            )
    assert (await sent(OF_A.name, "GET", "/abc", b""))[0] == 404, "what is outside of its scope is not there"


async def test_no_route_of_bender_writes_to_a_workspace_of_others(server: Server) -> None:
    metrics = [{"metric_name": "loss", "type": "loss"}]
    space = {"name": "x", "category": "uniform", "search_space": {"low": 0, "high": 1}}
    ids: dict[str, dict[str, Any]] = {"a": {}, "b": {}}

    def fields(last: str, workspace: str, name: str) -> dict[str, Any]:
        of = ids[workspace]
        members: dict[str, dict[str, Any]] = {
            "experiments/": {"name": f"{workspace}/p/{name}", "metrics": metrics},
            "algos/": {"name": name, "parameters": [space], "experiment": of.get("experiment")},
            "trials/": {"algo": of.get("algo"), "parameters": {"x": 0.5}, "results": {"loss": 1}},
            "suggest/": {"metric": "loss"},
        }
        return members.get(last, {})

    async def sent(key: str, route: Route, workspace: str, name: str) -> tuple[int, Any]:
        last = "/".join(route.path.split("/")[-2:])
        path = route.path.format(**ids[workspace] or {"experiment": "", "algo": "", "trial": ""})
        return await server.send(key, route.method, path, **fields(last, workspace, name))

    writing = [route for route in BENDER.writes if route.action not in READING]
    creating = [route for route in writing if route.statuses == (201,)]
    for workspace in ids:
        for route in creating:
            status, told = await sent(ALL.name, route, workspace, "made")
            assert status == 201, told
            ids[workspace][route.path.split("/")[-2].removesuffix("s")] = told["id"]
    before = await server.held()
    for route in writing:
        status, told = await sent(OF_A.name, route, "b", "new")
        # What the key may not read is not there; where an experiment is created, it may not write.
        assert (route.path, status) == (route.path, 403 if route.path.endswith("experiments/") else 404), told
        assert await server.held() == before
    deleting = [route for route in writing if route.method == "DELETE"][::-1]
    for route in [*(route for route in writing if route.method == "POST"), *deleting]:
        status, told = await sent(OF_A.name, route, "a", "new")
        assert status == route.statuses[0], (route.path, told)


async def test_no_route_of_comets_optimizer_writes_to_a_workspace_of_others(server: Server) -> None:
    config = {
        "algorithm": "grid",
        "parameters": {"x": {"type": "integer", "min": 0, "max": 2}},
        "spec": {},
        "trials": 1,
    }

    async def created(key: str, workspace: str) -> tuple[int, Any]:
        return await server.send(key, "POST", f"{OPTIMIZER}/create", **config, name=f"{workspace}/p/search")

    _, theirs = await created(ALL.name, "b")
    _, given = await server.send(ALL.name, "GET", f"{OPTIMIZER}/next", id=theirs["id"])
    result = {"pid": given["parameters"]["pid"], "trial": 0, "status": "completed", "score": 1}
    before = await server.held()
    assert (await created(OF_A.name, "b"))[0] == 403
    status, told = await server.send(OF_A.name, "GET", f"{OPTIMIZER}/next", id=theirs["id"])
    assert (status, told["code"]) == (200, 404), "what the key may not read is not there"
    assert (await server.send(OF_A.name, "POST", f"{OPTIMIZER}/update", id=theirs["id"], **result))[0] == 404
    assert (await server.send(OF_A.name, "POST", f"{OPTIMIZER}/delete", id=theirs["id"]))[1]["code"] == 404
    assert await server.held() == before
    _, mine = await created(OF_A.name, "a")
    _, given = await server.send(OF_A.name, "GET", f"{OPTIMIZER}/next", id=mine["id"])
    result["pid"] = given["parameters"]["pid"]
    assert (await server.send(OF_A.name, "POST", f"{OPTIMIZER}/update", id=mine["id"], **result))[0] == 200
    _, told = await server.send(OF_A.name, "GET", f"{OPTIMIZER}/status", id=mine["id"])
    assert told["state"]["completed"] == 1


async def test_panels_of_another_workspace(server: Server) -> None:
    """Kept, shown, and run by those who may edit there."""
    kept, source = "/api/v1/panels/kept/{}/p/shown", {"source": "1"}
    for workspace in ("a", "b"):
        assert (await server.send(ALL.name, "POST", kept.format(workspace), **source))[0] == 200
    held = await server.held()
    for workspace, status in (("a", 200), ("b", 404)):
        assert (await server.send(OF_A.name, "GET", kept.format(workspace)))[0] == status
    assert (await server.send(OF_A.name, "GET", "/api/v1/panels", workspace="b", project="p"))[1]["panels"] == []
    refused = (
        (kept.format("b"), source, 403),
        ("/api/v1/panels/previews", {"workspace": "b", "project": "p", **source}, 403),
        ("/api/v1/panels/frames", {"workspace": "b", "project": "p", "panel": "shown"}, 404),
    )
    for path, fields, status in refused:
        assert (await server.send(OF_A.name, "POST", path, **fields))[0] == status, path
    assert await server.held() == held
