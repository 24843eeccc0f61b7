"""The document says what the service does: every route is in it, and responses have the form that it promises."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from kit.query.artifacts import insert_artifacts
from kit.query.schemas import conforms
from kit.query.service import Service
from kit.query.tables import NOW_US, asset, attribute, insert_points, run, watermark
from runstream.events.artifacts import ArtifactFile, ArtifactVersionLogged, ArtifactVersionRemarked, artifact_id
from runstream.events.control import RunArchived
from runstream_protocols.comet.reads.routes import ROUTES as COMET
from runstream_query.http.routes import ROUTES
from runstream_service.routing import Route


async def filled(service: Service) -> None:
    await service.insert("run_states", run("a", tags=["t"], experiment="e"), run("b", ended_at=None, status="running"))
    await service.insert("watermark_states", watermark("a", "w", 1.0), watermark("b", "v", 1.0))
    kinds = ("parameter", "other", "environment")
    await service.insert("attribute_states", *(attribute("a", "x", float("nan"), kind=kind) for kind in kinds))
    await service.insert("asset_states", asset("a", "x", "f.bin", "1" * 64, 3, step=4))
    line = {"run": "a", "writer": 1, "seq": 1, "at": NOW_US, "stream": "stdout", "text": "x", "part": 0, "offset": 1}
    await service.insert("output", line)
    event = {"key": "a", "part": 0, "offset": 1, "writer": "w", "seq": 1, "at": NOW_US, "type": "t", "body": "{}"}
    ahead = {"key": "b", "writer": "v", "at": NOW_US + 7_200_000_000, "type": "run_started.v1"}
    archived = {"writer": "c" * 32, "seq": 0, "type": "run_archived.v1", "offset": 2}
    archived["body"] = RunArchived(at_us=NOW_US).model_dump_json()
    place = {"workspace": "w", "artifact_type": "model", "name": "m"}
    file = ArtifactFile(name="f.bin", sha256="0" * 64, size_bytes=3)
    await insert_artifacts(
        service,
        ArtifactVersionLogged(at_us=NOW_US, **place, run="a", metadata={"x": 1.5}, files=(file,)),
        ArtifactVersionRemarked(at_us=NOW_US, **place, ordinal=1, remark={"x": float("nan")}),
    )
    await service.insert("events", event, event | ahead, event | {"key": "c"} | archived)
    await insert_points(service.store, "a", "m", np.arange(5), np.array([1.0, np.nan, np.inf, -np.inf, 2.0]))


@pytest.mark.parametrize(("name", "routes"), [("openapi.json", ROUTES), ("openapi/comet.json", COMET)])
async def test_a_document_has_the_routes_of_one_interface(service: Service, name: str, routes: Sequence[Route]) -> None:
    document = await service.get(name)
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert documented == {(route.method, route.path) for route in routes}
    operations = [item for path in document["paths"].values() for item in path.values()]
    assert len({item["operationId"] for item in operations}) == len(operations)
    assert {tag for item in operations for tag in item["tags"]} == {tag["name"] for tag in document["tags"]}
    assert all(item["tags"] for item in operations)


async def test_a_protocol_that_is_not_there_has_no_document(service: Service) -> None:
    for name in ("nobody", "runstream"):
        problem = await service.get(f"openapi/{name}.json", 404)
        assert "there are comet" in problem["detail"]


async def test_every_json_response_fits_its_schema(service: Service) -> None:
    await filled(service)
    document = await service.get("openapi.json")
    bodies: dict[str, dict[str, Any]] = {
        "/api/v1/runs/query": {"columns": "param.*,metric.m.min", "count": True},
        "/api/v1/summaries": {"runs": ["a"]},
        "/api/v1/series": {"runs": ["a"], "metrics": ["m"], "max_points": 3, "by": "time"},
        "/api/v1/runs/fields": {"kinds": ["run", "metric", "param"]},
        "/api/v1/tickets": {"assets": [{"run": "a", "asset": "x"}, {"run": "a", "asset": "none"}]},
        "/api/v1/points": {"runs": ["a"], "metrics": ["m"], "near": 3},
        "/api/v1/charts": {"runs": ["a"], "metrics": ["m"], "max_points": 3},
        "/api/v1/charts/groups": {"runs": ["a"], "metrics": ["m"], "max_points": 3, "group_by": ["user"]},
    }
    checked = 0
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        content = operation["responses"]["200"]["content"]
        schema = content.get("application/json", {}).get("schema")
        if schema is None:
            continue
        path = re.sub(r"\{run\}", "a", route.path).removeprefix("/api/v1/")
        path = path.replace("{command}", f"{'c' * 32}-0").replace("{ordinal}", "1").replace("{protocol}", "comet")
        path = path.replace("{artifact}", artifact_id("w", None, "model", "m"))
        if route.method == "POST":
            response = await service.post(path, bodies[route.path])
        else:
            needed = {"series": {"metrics": "m"}, "commands": {"key": "c"}, "search": {"search": "x"}}
            query = next((needed[word] for word in path.split("/") if word in needed), {})
            response = await service.get(path, **query)
        conforms(response, schema, document)
        assert any(response.values()), f"{route.path} answered nothing that could be checked"
        checked += 1
    assert checked >= 15


async def test_problems_fit_their_schema(service: Service) -> None:
    document = await service.get("openapi.json")
    problem = await service.get("runs", 400, filter="metric.x <")
    conforms(problem, {"$ref": "#/components/schemas/Problem"}, document)
