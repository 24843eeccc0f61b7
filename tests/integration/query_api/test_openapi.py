"""The document says what the service does: every route is in it, and answers have the form that it promises."""

import re
from typing import Any

import numpy as np
from query_rows import NOW_US, asset, attribute, insert_points, run, watermark
from query_service import Service

from runstream_query.http.routes import ENDPOINTS


class Mismatch(AssertionError):
    """An answer does not fit its schema."""


def conforms(value: Any, schema: dict[str, Any], document: dict[str, Any], at: str = "$") -> None:
    """Raise Mismatch unless `value` fits `schema`: the parts of JSON Schema that the document uses, members that are
    not in the schema refused."""
    if "$ref" in schema:
        conforms(value, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document, at)
    elif "anyOf" in schema:
        for choice in schema["anyOf"]:
            try:
                return conforms(value, choice, document, at)
            except Mismatch:
                continue
        raise Mismatch(f"{at}: {value!r} fits none of {schema['anyOf']}")
    elif "enum" in schema and value not in schema["enum"]:
        raise Mismatch(f"{at}: {value!r} is none of {schema['enum']}")
    elif "type" in schema:
        kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
        kinds |= {"integer": int, "number": (int, float)}
        if not isinstance(value, kinds[schema["type"]]) or (schema["type"] != "boolean" and isinstance(value, bool)):
            raise Mismatch(f"{at}: {value!r} is no {schema['type']}")
        for number, item in enumerate(value if schema["type"] == "array" else ()):
            conforms(item, schema["items"], document, f"{at}[{number}]")
        if "properties" in schema:
            missing = set(schema.get("required", ())) - value.keys()
            unknown = value.keys() - schema["properties"].keys()
            if missing or unknown:
                raise Mismatch(f"{at}: missing {missing}, unknown {unknown}")
            for name, item in value.items():
                conforms(item, schema["properties"][name], document, f"{at}.{name}")
    return None


async def filled(service: Service) -> None:
    await service.insert("run_states", run("a", tags=["t"], experiment="e"), run("b", ended_at=None, status="running"))
    await service.insert("watermark_states", watermark("a", "w", 1.0))
    kinds = ("parameter", "other", "environment")
    await service.insert("attribute_states", *(attribute("a", "x", float("nan"), kind=kind) for kind in kinds))
    await service.insert("asset_states", asset("a", "x", "f.bin", "0" * 64, 3, step=4))
    line = {"run": "a", "writer": 1, "seq": 1, "at": NOW_US, "stream": "stdout", "text": "x", "part": 0, "offset": 1}
    await service.insert("output", line)
    event = {"key": "a", "part": 0, "offset": 1, "writer": "w", "seq": 1, "at": NOW_US, "type": "t", "body": "{}"}
    await service.insert("events", event)
    await insert_points(service.store, "a", "m", np.arange(5), np.array([1.0, np.nan, np.inf, -np.inf, 2.0]))


async def test_every_route_is_in_the_document(service: Service) -> None:
    document = await service.get("openapi.json")
    routes = {
        (route.method, route.resource.canonical)
        for route in service.client.server.app.router.routes()
        if route.method != "HEAD"
    }
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert documented == routes == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}
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
        if endpoint.method == "POST":
            answer = await service.post(path, bodies[endpoint.path])
        else:
            answer = await service.get(path, **({"metrics": "m"} if path.endswith("series") else {}))
        conforms(answer, schema, document)
        assert any(answer.values()), f"{endpoint.path} answered nothing that could be checked"
        checked += 1
    assert checked >= 15


async def test_problems_fit_their_schema(service: Service) -> None:
    document = await service.get("openapi.json")
    problem = await service.get("runs", status=400, filter="metric.x <")
    conforms(problem, {"$ref": "#/components/schemas/Problem"}, document)
