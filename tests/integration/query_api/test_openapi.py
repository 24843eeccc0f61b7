"""The document says what the service does: every route is in it, and answers have the form that it promises."""

import re
from typing import Any

import numpy as np
from query_artifacts import insert_artifacts
from query_rows import NOW_US, asset, attribute, insert_points, run, watermark
from query_service import Service
from schemas import conforms

from runstream.events.artifacts import ArtifactFile, ArtifactVersionLogged, artifact_id
from runstream.events.control import RunArchived
from runstream_protocols.comet.reads.routes import DESCRIBED as COMET
from runstream_query.http.routes import ENDPOINTS


async def filled(service: Service) -> None:
    await service.insert("run_states", run("a", tags=["t"], experiment="e"), run("b", ended_at=None, status="running"))
    await service.insert("watermark_states", watermark("a", "w", 1.0), watermark("b", "v", 1.0))
    kinds = ("parameter", "other", "environment")
    await service.insert("attribute_states", *(attribute("a", "x", float("nan"), kind=kind) for kind in kinds))
    await service.insert("asset_states", asset("a", "x", "f.bin", "0" * 64, 3, step=4))
    line = {"run": "a", "writer": 1, "seq": 1, "at": NOW_US, "stream": "stdout", "text": "x", "part": 0, "offset": 1}
    await service.insert("output", line)
    event = {"key": "a", "part": 0, "offset": 1, "writer": "w", "seq": 1, "at": NOW_US, "type": "t", "body": "{}"}
    ahead = {"key": "b", "writer": "v", "at": NOW_US + 7_200_000_000, "type": "run_started.v1"}
    archived = {"writer": "c" * 32, "seq": 0, "type": "run_archived.v1", "offset": 2}
    archived["body"] = RunArchived(at_us=NOW_US).model_dump_json()
    place = {"workspace": "w", "artifact_type": "model", "name": "m"}
    file = ArtifactFile(name="f.bin", sha256="0" * 64, size_bytes=3)
    await insert_artifacts(
        service, ArtifactVersionLogged(at_us=NOW_US, **place, run="a", metadata={"x": 1.5}, files=(file,))
    )
    await service.insert("events", event, event | ahead, event | {"key": "c"} | archived)
    await insert_points(service.store, "a", "m", np.arange(5), np.array([1.0, np.nan, np.inf, -np.inf, 2.0]))


async def test_every_route_is_in_the_document(service: Service) -> None:
    document = await service.get("openapi.json")
    routes = {
        (route.method, route.resource.canonical)
        for route in service.client.server.app.router.routes()
        if route.method != "HEAD"
    }
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert documented == routes == {(route.method, route.path) for route in (*ENDPOINTS, *COMET)}
    names = [item["operationId"] for path in document["paths"].values() for item in path.values()]
    assert len(set(names)) == len(names)


async def test_every_json_answer_fits_its_schema(service: Service) -> None:
    await filled(service)
    document = await service.get("openapi.json")
    bodies: dict[str, dict[str, Any]] = {
        "/api/v1/runs/query": {"columns": "param.*,metric.m.min", "count": True},
        "/api/v1/summaries": {"runs": ["a"]},
        "/api/v1/series": {"runs": ["a"], "metrics": ["m"], "max_points": 3, "by": "time"},
    }
    checked = 0
    for endpoint in ENDPOINTS:
        operation = document["paths"][endpoint.path][endpoint.method.lower()]
        content = operation["responses"]["200"]["content"]
        schema = content.get("application/json", {}).get("schema")
        if schema is None:
            continue
        path = re.sub(r"\{run\}", "a", endpoint.path).removeprefix("/api/v1/")
        path = path.replace("{command}", f"{'c' * 32}-0").replace("{ordinal}", "1")
        path = path.replace("{artifact}", artifact_id("w", None, "model", "m"))
        if endpoint.method == "POST":
            answer = await service.post(path, bodies[endpoint.path])
        else:
            needed = {"series": {"metrics": "m"}, "commands": {"key": "c"}}
            query = next((needed[word] for word in path.split("/") if word in needed), {})
            answer = await service.get(path, **query)
        conforms(answer, schema, document)
        assert any(answer.values()), f"{endpoint.path} answered nothing that could be checked"
        checked += 1
    assert checked >= 15


async def test_problems_fit_their_schema(service: Service) -> None:
    document = await service.get("openapi.json")
    problem = await service.get("runs", status=400, filter="metric.x <")
    conforms(problem, {"$ref": "#/components/schemas/Problem"}, document)
