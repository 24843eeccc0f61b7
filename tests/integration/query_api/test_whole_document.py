"""The OpenAPI documents of the embedded server: every route of the application is in exactly one, whoever answers it,
and the responses have the form that it promises."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientResponse, FormData, web
from aiohttp.test_utils import TestClient, TestServer

from kit.query.schemas import conforms
from kit.stores import place_tables
from runstream.errors import Unusable
from runstream.events.control import RunStarted, encode_event
from runstream.events.encoding import encode_frame
from runstream.events.names import project_id
from runstream.panels.serving import ServedPanel
from runstream_infra.embedded import application, open_parts
from runstream_infra.panels.hosting import PANELS
from runstream_infra.routes import OWN_ROUTES
from runstream_infra.settings import ServerSettings
from runstream_protocols.all import PROTOCOLS
from runstream_protocols.bender.protocol import BENDER
from runstream_protocols.comet.protocol import COMET
from runstream_protocols.kit.statements import digest
from runstream_protocols.mlaide.protocol import MLAIDE
from runstream_protocols.sagemaker.operations import OPERATIONS
from runstream_protocols.saved_views.paths import ADDRESS as VIEWS
from runstream_protocols.sweeps.paths import ADDRESS as SWEEPS
from runstream_protocols.ubiops.protocol import UBIOPS
from runstream_service.access import Action
from runstream_service.auth import ApiKeys
from runstream_service.routing import routes_of

CONTENT = b"weights"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
DOCUMENTS = ("openapi", "openapi/panels", *(f"openapi/{protocol.name}" for protocol in PROTOCOLS))


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestClient[Any, Any]]:
    """The embedded server, once for all tests of this file: it takes seconds to start."""
    settings = ServerSettings(data_dir=tmp_path_factory.mktemp("server"))
    place_tables(settings.data_dir)
    async with open_parts(settings) as parts:
        stop = asyncio.Event()
        worker = asyncio.create_task(parts.worker.run(stop))
        server = TestServer(application(settings, ApiKeys(), parts), host="127.0.0.1")
        async with TestClient(server) as client:
            yield client
        stop.set()
        await worker


def application_of(client: TestClient[Any, Any]) -> web.Application:
    app: web.Application | None = client.app
    assert app is not None
    return app


async def document_of(client: TestClient[Any, Any], name: str = "openapi") -> dict[str, Any]:
    async with client.get(f"/api/v1/{name}.json") as response:
        document: dict[str, Any] = await response.json()
        return document


async def test_every_route_of_the_server_is_in_exactly_one_document(client: TestClient[Any, Any]) -> None:
    app = application_of(client)
    assert set(app.router.routes()) == set(routes_of(app)), "a route was added in another way than by `add_routes`"
    documents = [await document_of(client, name) for name in DOCUMENTS]
    documented = [
        (method.upper(), path) for document in documents for path, item in document["paths"].items() for method in item
    ]
    assert len(set(documented)) == len(documented)
    # The page's own routes are for browsers and in no document.
    for_programs = [route for route in routes_of(app).values() if not route.is_page]
    assert set(documented) == {(route.method, route.template) for route in for_programs}
    own = {route.path for route in for_programs if route.path.startswith(("/api/v1/", "/ingest/")) or route.head}
    # Gateways serve sweeps and saved views as they serve protocols, in documents of their own. So has what only a
    # server on one machine serves.
    assert set(documents[0]["paths"]) == {
        path for path in own if not path.startswith((SWEEPS, VIEWS, "/api/v1/panels"))
    }


async def test_every_route_has_an_action_and_models(client: TestClient[Any, Any]) -> None:
    for route in routes_of(application_of(client)).values():
        assert isinstance(route.action, Action), route.path
        assert route.summary
        assert route.tags, route.path
        empty = route.method == "HEAD" or route.statuses == (204,)
        assert route.response is not None or route.media or empty, route.path
        if route.method not in ("GET", "HEAD", "DELETE"):
            assert route.request is not None or route.request_media, route.path


async def test_examples_of_requests_are_good_ones(client: TestClient[Any, Any]) -> None:
    document = await document_of(client)
    own = [route for route in routes_of(application_of(client)).values() if route.path in document["paths"]]
    routes = [route for route in own if route.examples]
    for route in routes:
        assert route.request is not None
        shown = document["paths"][route.path][route.method.lower()]["requestBody"]["content"]["application/json"]
        assert {name: example["value"] for name, example in shown["examples"].items()} == route.examples
        for example in route.examples.values():
            assert route.request.model_validate(example)
    assert {route.path for route in routes} == {
        route.path for route in own if route.method == "POST" and route.request is not None
    }


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_every_reference_of_a_document_leads_somewhere(client: TestClient[Any, Any], name: str) -> None:
    document = await document_of(client, name)
    text = json.dumps(document)
    wanted = {piece.split('"')[0] for piece in text.split('"$ref": "#/components/schemas/')[1:]}
    assert wanted <= document["components"]["schemas"].keys()
    own = {"ServerStatus", "Commands", "Writer", "Summaries"}
    assert own <= wanted if name == "openapi" else not own & wanted


async def test_the_routes_of_the_other_parts_answer_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client)
    started = json.loads(encode_event(RunStarted(at_us=1, workspace="w", project="p")))
    frame = encode_frame("0" * 32, "a", 0, 1, json.dumps([[0, started]]).encode())
    notes = {"key": "a", "event": {"type": "run_notes_set.v1", "notes": "x"}}
    command = {"commands": [{"key": "a", "event": started}, notes]}
    asset = f"/ingest/v1/assets/{SHA256}"
    bytes_of = {"Content-Type": "application/octet-stream"}
    requested: list[tuple[str, str, dict[str, Any], int]] = [
        ("POST", "/ingest/v1/frames", {"data": frame, "headers": bytes_of}, 200),
        ("POST", "/ingest/v1/commands", {"json": command}, 200),
        ("HEAD", asset, {}, 404),
        ("PUT", asset, {"data": CONTENT, "headers": bytes_of}, 201),
        ("PUT", asset, {"data": CONTENT, "headers": bytes_of}, 200),
        ("HEAD", asset, {}, 200),
        ("GET", "/api/v1/server", {}, 200),
        ("GET", "/api/v1/server/settings", {}, 200),
        ("GET", "/api/v1/server/settings", {}, 200),
        ("GET", "/healthz", {}, 200),
        ("GET", "/readyz", {}, 200),
        ("GET", "/metrics", {}, 200),
        ("POST", "/api/v1/server/rebuild", {"json": {"replace": False}}, 202),
    ]
    checked = set()
    for method, path, content, status in requested:
        async with client.request(method, path, **content) as response:
            assert response.status == status, (method, path, await response.text())
            known = path.replace(SHA256, "{sha256}")
            await fits(response, document["paths"][known][method.lower()]["responses"][str(status)], document)
            checked.add((method, known))
    assert checked == {(route.method, route.path) for route in OWN_ROUTES}


async def log_artifact(client: TestClient[Any, Any]) -> None:
    """Log a version of an artifact with one file, as Comet's client does."""
    root, of = "/api/rest/v2/write", {"experimentKey": "a"}
    announced = of | {"artifactName": "rows", "artifactType": "dataset"}
    async with client.post(f"{root}/artifacts/upsert", json=announced) as response:
        assert response.status == 200, await response.text()
        version = {"artifactVersionId": json.loads(await response.text())["artifactVersionId"]}
    file = version | {"link": "s3://bucket/rows.csv", "fileName": "rows.csv", "metadata": '{"n": 1}'}
    batch = of | {"remoteArtifactAssetRequests": [file]}
    async with client.post(f"{root}/artifact/assets/remote/batch", json=batch) as response:
        assert response.status == 200, await response.text()
    async with client.post(f"{root}/artifacts/state", json=of | version | {"state": "CLOSED"}) as response:
        assert response.status == 200, await response.text()


async def test_comets_routes_answer_as_the_document_says(client: TestClient[Any, Any]) -> None:
    started = json.loads(encode_event(RunStarted(at_us=1, workspace="w", project="p", tags=["t"])))
    events: list[dict[str, Any]] = [
        {"type": "parameters_logged.v1", "values": {"lr": 0.5}},
        {"type": "others_logged.v1", "values": {"o": 1}},
    ]
    asset = {"asset_id": "f", "name": "f.bin", "kind": "model", "sha256": SHA256, "size_bytes": len(CONTENT)}
    events += [{"type": "asset_logged.v1", "content_type": "application/octet-stream", **asset}]
    bytes_of = {"Content-Type": "application/octet-stream"}
    async with client.put(f"/ingest/v1/assets/{SHA256}", data=CONTENT, headers=bytes_of) as response:
        assert response.status in (200, 201), "another test may have sent it"
    for event in (started, *events):
        async with client.post("/ingest/v1/commands", json={"key": "a", "event": event}) as response:
            assert response.status == 200, await response.text()
    model = {"experimentKey": "a", "experimentModelName": "f.bin", "version": "1.0.0"}
    async with client.post("/api/rest/v2/write/registry-model/item/create", json=model) as response:
        assert response.status == 200, await response.text()
        item = json.loads(await response.text())["registryModelItemId"]
    await log_artifact(client)
    rules = {"condition": "AND", "rules": [{"field": "lr", "operator": "less", "value": 1, "source": "params"}]}
    names = {"workspaceName": "w", "projectName": "p"}
    bodies = {
        "project/query": names | {"predicates": [{"source": "params", "query": rules}]},
        "experiments/search": {"projectId": project_id("w", "p"), "rulesTree": rules},
        "experiments/multi-metric-chart": {"targetedExperiments": ["a"], "metrics": ["loss"], "params": ["lr"]},
        "registry-model/history/item": {"registryModelItemId": item, "groupedBy": "DAY"},
    }
    query = names | {
        "experimentKey": "a",
        "metricName": "x",
        "assetId": "f",
        "assetName": "f.bin",
        "modelName": "f.bin",
        "workspace": "w",
        "artifactName": "rows",
    }
    document = await document_of(client, "openapi/comet")
    for route in COMET.reads:
        content: dict[str, Any] = (
            {"params": query} if route.method == "GET" else {"json": bodies[route.path.partition("/v2/")[2]]}
        )
        async with client.request(route.method, route.path.replace("{item}", item), **content) as response:
            assert response.status == 200, (route.path, await response.text())
            if route.path.endswith("git/patch"):
                continue  # of a run without one it is a message, which is the client's way of being told
            await fits(response, document["paths"][route.path][route.method.lower()]["responses"]["200"], document)


async def test_what_comets_client_writes_is_answered_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client, "openapi/comet")
    key = {"experimentKey": "0" * 32}
    begun = {**key, "teamName": "w", "projectName": "p", "local_timestamp": 1_000_000}
    async with client.post("/clientlib/logger/add/run", json=begun) as response:
        begun_as = json.loads(await response.text())
        assert response.status == 200, begun_as
    parameters = {
        "logger/add/run": begun,
        "logger/get/run": {"previousExperiment": "0" * 32, "local_timestamp": 2_000_000},
        "status-report/update": key | {"runId": begun_as["runId"], "is_alive": True},
        "batch/logger/experiment/metric": key | {"values": [{"metricName": "m", "metricValue": "NaN"}]},
        "write/experiment/output": key | {"outputLines": [{"output": "a\n", "offset": 0}]},
        "health/ping": {},
    }
    for route in COMET.writes:
        path = next((end for end in parameters if route.path.endswith("/" + end)), None)
        if path is None:
            continue
        content: dict[str, Any] = {"params": parameters[path]} if route.method == "GET" else {"json": parameters[path]}
        async with client.request(route.method, route.path, **content) as response:
            assert response.status == 200, (route.path, await response.text())
            assert response.headers["Content-Type"] == "application/json"
            await fits(response, document["paths"][route.path][route.method.lower()]["responses"]["200"], document)


async def test_comets_optimizer_answers_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client, "openapi/comet")
    config = {"algorithm": "bayes", "parameters": {"x": {"type": "integer", "min": 1, "max": 2}}, "spec": {}}
    ids: dict[str, Any] = {"algorithmName": "bayes", "id": "0" * 32}

    async def walked(method: str, last: str, **fields: Any) -> dict[str, Any]:
        path = f"/optimizer/{last}"
        content: dict[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
        async with client.request(method, path, headers={"X-COMET-DEBUG-SDK-VERSION": "3"}, **content) as response:
            assert response.status == 200, await response.text()
            await fits(response, document["paths"][path][method.lower()]["responses"]["200"], document)
            return {"told": await response.json()}

    for last in ("spec", "algorithms", "status", "next"):
        await walked("GET", last, **ids)
    assert (await walked("POST", "create", algorithm="none", parameters={}, spec={}))["told"]["code"] == 400
    ids["id"] = (await walked("POST", "create", **config))["told"]["id"]
    for number in range(2):
        given = (await walked("GET", "next", **ids))["told"]["parameters"]
        result = {"id": ids["id"], "pid": given["pid"], "trial": 0, "status": "completed", "score": number}
        await walked("POST", "update", **result, metadata={"k": "v"}, epoch=1)
    assert (await walked("GET", "next", **ids))["told"] == {
        "code": 204,
        "parameters": None,
        "message": "nothing is left to try",
    }
    assert (await walked("GET", "status", **ids))["told"]["status"] == "completed"
    for code in (200, 404):
        assert (await walked("POST", "delete", id=ids["id"]))["told"]["code"] == code
    assert (await walked("GET", "next", **ids))["told"]["code"] == 404


async def test_sweeps_answer_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client, "openapi/sweeps")
    about = {"workspace": "w", "project": "p", "name": "searched"}
    config = {"space": {"x": [1, 2]}, "metric": "loss"}
    sent: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "", {**about, "config": config}),
        ("POST", "", about),
        ("GET", "", {"workspace": "w", "project": "p"}),
        *(("POST", "/trials", {**about, "token": token * 8}) for token in "aabc"),
        ("GET", "/trials", about),
    ]
    told = []
    for method, last, fields in sent:
        path = f"/api/v1/sweeps{last}"
        content: dict[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
        async with client.request(method, path, **content) as response:
            assert response.status == 200, await response.text()
            await fits(response, document["paths"][path][method.lower()]["responses"]["200"], document)
            told.append(await response.json())
    run = told[3]["trial"]["run"]
    for number, whose, status in ((0, run, 200), (0, "another", 200), (9, run, 404)):
        query = {**about, "number": str(number), "run": whose}
        async with client.get("/api/v1/sweeps/stop", params=query) as response:
            assert response.status == status, await response.text()
            if status == 200:
                await fits(response, document["paths"]["/api/v1/sweeps/stop"]["get"]["responses"]["200"], document)
                assert (await response.json())["stop"] == (whose != run), "another one has the trial"
    assert told[0] == told[1] == told[2]["sweeps"][0]
    first, again, second, none = told[3:7]
    assert first["trial"] == again["trial"], "the same request sent again"
    assert sorted(one["trial"]["parameters"]["x"] for one in (first, second)) == [1, 2]
    assert (none["trial"], none["given"], none["open"], none["repeatable"]) == (None, 2, 2, 2)
    assert [one["status"] for one in told[7]["trials"]] == ["given", "given"]
    for last, fields, status in (
        ("", {**about, "config": {**config, "metric": "acc"}}, 409),
        ("", {**about, "name": "nothing"}, 404),
        ("/trials", {**about, "token": "short"}, 400),
        ("", {**about, "name": "a/b", "config": config}, 400),
    ):
        async with client.post(f"/api/v1/sweeps{last}", json=fields) as response:
            assert response.status == status, await response.text()
    for was_there in (True, False):
        async with client.post("/api/v1/sweeps/delete", json=about) as response:
            assert response.status == 200, await response.text()
            await fits(response, document["paths"]["/api/v1/sweeps/delete"]["post"]["responses"]["200"], document)
            assert await response.json() == {"deleted": was_there}


async def test_panels_answer_as_the_document_says(
    client: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    document = await document_of(client, "openapi/panels")
    monkeypatch.setattr(application_of(client)[PANELS], "_start", no_process)
    address = "/api/v1/panels"
    kept = {"workspace": "w", "project": "p"}
    frames: list[str] = []

    async def sent(method: str, path: str, last: str = "", status: int = 200, **content: Any) -> Any:
        at = path.replace("{workspace}/{project}/{name}", "w/p/shown").replace("{frame}", "".join(frames[:1]))
        async with client.request(method, f"{address}{at}{last}", **content) as response:
            assert response.status == status, await response.text()
            known = document["paths"][f"{address}{path}"][method.lower()]["responses"][str(status)]
            await fits(response, known, document)
            return await response.json()

    made = await sent("POST", "/kept/{workspace}/{project}/{name}", json={"source": "1\n"})
    assert made == await sent("GET", "/kept/{workspace}/{project}/{name}", "?version=1")
    assert [one["name"] for one in (await sent("GET", "", "?workspace=w&project=p"))["panels"]] == ["shown"]
    assert (await sent("GET", "/server"))["running"] == 0
    opened = [
        await sent("POST", "/frames", status=201, json={**kept, "panel": "shown"}),
        await sent("POST", "/previews", status=201, json={**kept, "source": "2\n"}),
    ]
    frames += [one["frame"] for one in opened]
    await sent("PUT", "/frames/{frame}", json={"options": {"Metric": "loss"}})
    assert (await sent("GET", "/frames/{frame}"))["address"] == opened[0]["address"]
    await sent("DELETE", "/frames/{frame}")
    assert len(document["paths"]) == 6


def no_process(*unused: Any, **options: Any) -> ServedPanel:
    raise Unusable("no process is started here")


async def test_saved_views_answer_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client, "openapi/saved_views")
    path, shown = f"{VIEWS}/w/p/by rank", f"{VIEWS}/{{workspace}}/{{project}}/{{name}}"

    async def sent(method: str, status: int = 200, /, **content: Any) -> Any:
        at, known = (path, shown) if "params" not in content else (VIEWS, VIEWS)
        async with client.request(method, at, **content) as response:
            assert response.status == status, await response.text()
            if status == 200:
                await fits(response, document["paths"][known][method.lower()]["responses"]["200"], document)
            return await response.json(content_type=None)

    view = {"charts": [{"metrics": ["loss"], "smoothing": 0.5}], "ü": None}
    of_project = {"workspace": "w", "project": "p"}
    await sent("GET", 404)
    made = await sent("PUT", json={"view": view, "author": "ada", "type": "dashboard"})
    assert (made["revision"], made["view"], made["author"], made["changed_by"]) == (1, view, "ada", "ada")
    assert made == await sent("GET")
    taken = await sent("PUT", 409, json={"view": {}})
    assert (taken["reason"], taken["revision"]) == ("view-exists", 1)
    changed = await sent("PUT", json={"view": {"a": 1}, "revision": 1, "author": "bob"})
    assert (changed["revision"], changed["author"], changed["changed_by"]) == (2, "ada", "bob")
    assert changed["id"] == made["id"]
    stale = await sent("PUT", 409, json={"view": {"a": 2}, "revision": 1})
    assert (stale["reason"], stale["revision"]) == ("view-changed", 2)
    assert "saved meanwhile by bob" in stale["detail"]
    for name in ("a", "b"):
        async with client.put(f"{VIEWS}/w/p/{name}", json={"view": {}}) as response:
            assert response.status == 200
    first = await sent("GET", params={**of_project, "limit": "2"})
    assert [one["name"] for one in first["views"]] == ["a", "b"]
    behind = await sent("GET", params={**of_project, "after": first["next"]})
    listed = {name: value for name, value in changed.items() if name != "view"}
    assert behind == {"views": [listed], "next": None}
    only = await sent("GET", params={**of_project, "type": "dashboard"})
    assert only["views"] == [], "it was replaced by one of another type"
    assert (await sent("DELETE", 409, json={"revision": 1}))["reason"] == "view-changed"
    assert (await sent("DELETE", json={"revision": 2}))["view"] == {"a": 1}
    await sent("DELETE", 404)
    await sent("PUT", 404, json={"view": {}, "revision": 2})
    deep: Any = {}
    for _ in range(40):
        deep = {"x": [deep]}
    for body, status in (
        ({"view": deep}, 400),
        ({"view": {"x": "y" * 200_000}}, 413),
        ({"view": []}, 400),
        ({"view": {}, "revision": 0}, 400),
        ({"view": {}, "other": 1}, 400),
        ({}, 400),
    ):
        await sent("PUT", status, json=body)
    async with client.put(path, data='{"view": {"x": NaN}}', headers={"Content-Type": "application/json"}) as response:
        assert response.status == 400, await response.text()


async def test_ml_aides_routes_answer_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client, "openapi/mlaide")
    git = {"commitHash": "c0ffee", "isDirty": True, "repositoryUri": "https://user:secret@example.org/it.git"}
    bodies: dict[str, Any] = {
        "POST projects": {"key": "aide", "name": "An aide"},
        "POST experiments": {"key": "e", "name": "e", "status": "IN_PROGRESS"},
        "POST runs": {"name": "first", "experimentRefs": [{"experimentKey": "e"}], "git": git},
        "PATCH metrics": {"loss": 0.5, "matrix": [[1, 0]]},
        "PATCH parameters": {"lr": 0.1},
        "PATCH {run_key}": {"status": "FAILED"},
        "POST artifacts": {"name": "set", "type": "dataset", "metadata": {"rows": "2"}},
        "PUT model": {"stage": "STAGING", "note": "good"},
    }
    number = ""
    named = {"project_key": "aide", "experiment_key": "e", "artifact_name": "set", "artifact_version": "1"}
    named["file_id"] = hashlib.sha256(b"a.bin").hexdigest()[:32]
    # What is read was written before.
    for route in sorted(MLAIDE.writes, key=lambda route: route.method == "GET"):
        last = route.path.rpartition("/")[2]
        path = route.path.format(**named, run_key=number)
        content: dict[str, Any] = {"json": bodies.get(f"{route.method} {last}")} if route.method != "GET" else {}
        if route.request_media:
            form = FormData()
            form.add_field("file", b"x", filename="a.bin")
            content = {"data": form}
        async with client.request(route.method, path, **content) as response:
            body = await response.json() if response.content_type == "application/json" else None
            assert response.status == 200, (path, await response.text(errors="replace"))
            await fits(response, document["paths"][route.path][route.method.lower()]["responses"]["200"], document)
        if body is not None and f"{route.method} {last}" == "POST runs":
            number = str(body["key"])
    async with client.get(f"/mlaide/api/v1/projects/aide/runs/{number}") as response:
        shown = await response.json()
    assert (shown["status"], shown["metrics"]) == ("FAILED", {"loss": 0.5, "matrix": [[1, 0]]})
    assert shown["git"]["commitHash"] == "c0ffee"
    assert "secret" not in json.dumps(shown)


async def test_the_operations_of_sagemaker_answer_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client, "openapi/sagemaker")
    promised = document["paths"]["/sagemaker"]["post"]["responses"]["200"]
    experiment, trial = {"ExperimentName": "described"}, {"TrialName": "described"}
    component = {"TrialComponentName": "described"}
    tagged = {"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:experiment-trial-component/described"}
    made = digest(16, b"call", b"s3://b/k").hex()
    artifact = {"ArtifactArn": f"arn:aws:sagemaker:us-east-1:000000000000:artifact/{made}"}
    ends = {"SourceArn": tagged["ResourceArn"], "DestinationArn": artifact["ArtifactArn"]}
    values = {"lr": {"NumberValue": 0.1}, "loss": {"StringValue": "mse"}}
    artifacts = {"data": {"Value": "s3://bucket/data", "MediaType": "text/csv"}}
    requests: dict[str, dict[str, Any]] = {
        "CreateExperiment": experiment | {"Description": "d", "Tags": [{"Key": "k", "Value": "v"}]},
        "UpdateExperiment": experiment | {"DisplayName": "shown"},
        "DescribeExperiment": experiment,
        "ListExperiments": {"MaxResults": 1},
        "CreateTrial": experiment | trial,
        "UpdateTrial": trial | {"DisplayName": "shown"},
        "DescribeTrial": trial,
        "ListTrials": experiment,
        "CreateTrialComponent": component | {"Parameters": values, "InputArtifacts": artifacts},
        "UpdateTrialComponent": component | {"Status": {"PrimaryStatus": "Failed", "Message": "why"}, "EndTime": 1.8e9},
        "AssociateTrialComponent": component | trial,
        "DescribeTrialComponent": component,
        "ListTrialComponents": {"MaxResults": 1},
        "AddTags": tagged | {"Tags": [{"Key": "k", "Value": "v"}]},
        "ListTags": tagged,
        "Search": {"Resource": "ExperimentTrialComponent", "MaxResults": 1},
        "DeleteTags": tagged | {"TagKeys": ["k"]},
        "DisassociateTrialComponent": component | trial,
        "CreateArtifact": {"ArtifactType": "DataSet", "Source": {"SourceUri": "s3://b/k"}, "ArtifactName": "a"},
        "UpdateArtifact": artifact | {"Properties": {"rows": "5"}},
        "DescribeArtifact": artifact,
        "ListArtifacts": {"MaxResults": 1},
        "AddAssociation": ends | {"AssociationType": "Produced"},
        "ListAssociations": {"MaxResults": 1},
        "DeleteAssociation": ends,
        "DeleteArtifact": artifact,
        "DeleteTrialComponent": component,
        "DeleteTrial": trial,
        "DeleteExperiment": experiment,
    }
    assert requests.keys() == OPERATIONS.keys()
    for operation, members in requests.items():
        headers = {"X-Amz-Target": f"SageMaker.{operation}", "amz-sdk-invocation-id": "call"}
        async with client.post("/sagemaker", json=members, headers=headers) as response:
            assert response.status == 200, await response.text()
            await fits(response, promised, document)


async def test_metrics_of_sagemaker_are_logged_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client, "openapi/sagemaker")
    component = {"TrialComponentName": "measured"}
    headers = {"X-Amz-Target": "SageMaker.CreateTrialComponent"}
    async with client.post("/sagemaker", json=component, headers=headers) as response:
        assert response.status == 200, await response.text()
    points = [{"MetricName": "loss", "Timestamp": 1.7e9, "Value": 0.5, "Step": 1}]
    async with client.put("/sagemaker/BatchPutMetrics", json=component | {"MetricData": points}) as response:
        assert response.status == 200, await response.text()
        await fits(response, document["paths"]["/sagemaker/BatchPutMetrics"]["put"]["responses"]["200"], document)


async def test_ubiops_routes_answer_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client, "openapi/ubiops")
    deployment, variable = "training-base-deployment", {"name": "SECRET", "value": "v", "secret": True}
    bodies: dict[str, Any] = {
        "POST projects": {"name": "ubi"},
        "POST deployments": {"name": deployment},
        "POST buckets": {"name": "b", "labels": {"a": "b"}},
        "POST versions": {"version": "e", "environment": "python3-8", "labels": {"a": "b"}},
        "PATCH {version}": {"description": "d"},
        "POST environment-variables": variable,
        "PATCH {id}": variable,
        "POST copy-environment-variables": {"source_deployment": deployment, "source_version": "e"},
        "POST batch": [{"name": "r", "training_code": "ubiops-file://b/f", "parameters": {"lr": 0.1}}],
        "PATCH {run}": {"status": "cancelled"},
    }
    names = {"api": "v2.1", "project": "ubi", "deployment": deployment, "bucket": "b", "file": "f", "version": "e"}
    names |= {"environment": "python3-8", "tag": "latest"}
    # What is read was written before, and is deleted last; an experiment goes after its variables.
    order = ["POST", "PATCH", "PUT", "GET", "DELETE"]
    ends = ("{version}", "downloads/{ticket}")
    own = [one for one in UBIOPS.writes if one.path.startswith(f"{UBIOPS.address}/")]
    for route in sorted(own, key=lambda one: (order.index(one.method), one.path.endswith(ends))):
        last, held = route.path.rpartition("/")[2], "version" if "{version}" in route.path else "project"
        path = route.path.format_map({**names, "id": names.get(f"{held} id", "")})
        body = bodies.get(f"{route.method} {last}")
        async with client.request(route.method, path, **({} if body is None else {"json": body})) as response:
            assert response.status == 200, (path, await response.text())
            await fits(response, document["paths"][route.path][route.method.lower()]["responses"]["200"], document)
            told = await response.json() if response.content_type == "application/json" else {}
        match f"{route.method} {last}":
            case "POST environment-variables":
                names[f"{held} id"] = told["id"]
            case "POST revisions":
                names["revision"] = told["revision"]
            case "POST batch":
                names["run"] = told[0]["id"]
            case "POST {file}" | "GET download":
                names["ticket"] = told["url"].rpartition("/")[2]
        if isinstance(told, dict) and "secret" in told:
            assert told["value"] is None


async def test_agents_routes_answer_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client, "openapi/ubiops")
    v2, leases = "/ubiops/v2/projects/leased", "/agents/v1/projects/leased/leases"
    experiments = f"{v2}/deployments/training-base-deployment/versions"
    for path, body in (
        (experiments, {"version": "e", "environment": "python3-11"}),
        (f"{v2}/buckets/default/files/f", {}),
    ):
        async with client.post(path, json=body) as response:
            assert response.status == 200, await response.text()
            told = await response.json()
    ticket = told["url"].rpartition("/")[2]
    async with client.put(f"/ubiops/v2/uploads/{ticket}", data=b"content") as response:
        assert response.status == 200
    run = {"name": "r", "training_code": "ubiops-file://default/f", "parameters": {"lr": 0.1}}
    async with client.post(f"{experiments}/e/requests/batch", json=[run, run]) as response:
        assert response.status == 200, await response.text()

    async def sent(last: str, body: dict[str, Any], run: str = "") -> Any:
        path = f"{leases}/{run}/{last}" if last else leases
        shown = path.replace("/leased/", "/{project}/").replace(f"/{run}/", "/{run}/")
        async with client.post(path, json=body) as response:
            assert response.status == 200, (path, await response.text())
            await fits(response, document["paths"][shown]["post"]["responses"]["200"], document)
            return await response.json()

    asking = {"agent": "a", "host": "h"}
    first, second = [(await sent("", asking))["granted"] for _ in range(2)]
    assert (await sent("", asking))["granted"] is None
    held = {name: first[name] for name in ("lease", "token")}
    for last, further in (
        ("renew", {}),
        ("file", {"read": "code"}),
        ("start", {}),
        ("variables", {}),
        ("file", {"write": "model.bin"}),
        ("end", {"status": "finished", "result": {"metrics": {"loss": 0.5}}}),
    ):
        await sent(last, held | further, first["run"])
    await sent("release", {name: second[name] for name in ("lease", "token")}, second["run"])
    walked = {one.path for one in UBIOPS.writes if not one.path.startswith(f"{UBIOPS.address}/")}
    assert {path for path in document["paths"] if path.startswith("/agents/")} == walked


async def test_benders_routes_answer_as_the_document_says(client: TestClient[Any, Any]) -> None:
    document = await document_of(client, "openapi/bender")
    space = {"low": 0, "high": 9, "step": 1}
    bodies: dict[str, Any] = {
        "login/": {"email": "ada@example.org", "password": "any"},
        "experiments/": {"name": "e", "metrics": [{"metric_name": "loss", "type": "loss"}], "dataset_parameters": [1]},
        "algos/": {"name": "a", "parameters": [{"name": "x", "category": "uniform", "search_space": space}]},
        "trials/": {"parameters": {"x": 1}, "results": {"loss": 0.5}, "comment": "c"},
        "suggest/": {"metric": "loss"},
    }
    ids: dict[str, str] = {}
    walked = sorted(BENDER.writes, key=lambda route: (route.method == "DELETE", route.method == "GET"))
    # What is below goes first, where it is deleted, and last, where it is made.
    walked = [one for one in walked if one.method != "DELETE"] + [one for one in walked if one.method == "DELETE"][::-1]
    for route in walked:
        last = "/".join(route.path.split("/")[-2:])
        body = bodies.get(last, {}) | ids
        path = route.path.replace("{experiment}", ids.get("experiment", "")).replace("{algo}", ids.get("algo", ""))
        path = path.replace("{trial}", ids.get("trial", ""))
        content: dict[str, Any] = {"json": body} if route.method == "POST" else {"params": ids}
        async with client.request(route.method, path, **content) as response:
            told = await response.text()
            assert response.status == route.statuses[0], (route.method, path, told)
            responses = document["paths"][route.path][route.method.lower()]["responses"]
            await fits(response, responses[str(route.statuses[0])], document)
        if route.method == "POST" and response.status == 201:
            ids[last.removesuffix("s/")] = json.loads(told)["id"]
    assert ids.keys() == {"experiment", "algo", "trial"}


async def fits(response: ClientResponse, promised: dict[str, Any], document: dict[str, Any]) -> None:
    content = promised.get("content", {})
    if not content:
        assert await response.read() == b""
        return
    assert response.content_type in content
    schema = content[response.content_type].get("schema")
    if response.content_type != "application/json":
        conforms(await response.text(errors="replace"), schema, document)
    elif schema is not None:
        conforms(await response.json(), schema, document)


async def test_an_unknown_route_is_a_problem(client: TestClient[Any, Any]) -> None:
    document = await document_of(client)
    async with client.get("/api/v1/nothing") as response:
        assert (response.status, response.content_type) == (404, "application/problem+json")
        problem = json.loads(await response.text())
    conforms(problem, {"$ref": "#/components/schemas/Problem"}, document)
