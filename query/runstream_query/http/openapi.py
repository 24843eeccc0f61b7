"""OpenAPI 3.1, made from the table of endpoints and the models: what is not in a model is not in the document."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import BaseModel, RootModel
from pydantic.json_schema import models_json_schema

from runstream_query.answers import Changes
from runstream_query.http.described import Described
from runstream_query.http.endpoint import POSITION_HEADER, Endpoint

PROBLEM: Final = "application/problem+json"
_PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "urn:runstream:problem:KIND"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "this case: the thing, the value, the next step"},
        "name": {"type": "string", "description": "the parameter or field that is wrong"},
        "column": {"type": "integer", "description": "of a filter: where the mistake is, counted from 1"},
        "pointed": {"type": "string", "description": "the line with the mistake, and a caret below it"},
        "request_id": {"type": "string"},
    },
}
_PROBLEM_RESPONSE: Final[dict[str, Any]] = {
    "description": "a problem (RFC 9457)",
    "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class Document(RootModel[dict[str, Any]]):
    """The document as an answer."""


def document(endpoints: Sequence[Endpoint], version: str, described: Sequence[Described] = ()) -> dict[str, Any]:
    """The OpenAPI document of the endpoints, and of the routes that others answer."""
    answers: list[type[BaseModel]] = [endpoint.answer for endpoint in endpoints if endpoint.answer is not None]
    answers += [answer for route in described for answer in route.answers.values() if answer is not None]
    bodies: list[type[BaseModel]] = [endpoint.asked for endpoint in endpoints if endpoint.method == "POST"]
    bodies += [route.body for route in described if route.body is not None]
    models: list[tuple[type[BaseModel], Literal["serialization", "validation"]]] = []
    answers.append(Changes)
    models += [(model, "serialization") for model in dict.fromkeys(answers)]
    models += [(model, "validation") for model in dict.fromkeys(bodies)]
    _, shared = models_json_schema(models, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    for route in described:
        paths.setdefault(route.path, {})[route.method.lower()] = _described_operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Runstream API",
            "version": version,
            "description": "NaN and the infinities are the strings NaN, Infinity and -Infinity in all JSON.",
        },
        "paths": paths,
        "components": {
            "schemas": {**shared.get("$defs", {}), "Problem": _PROBLEM_SCHEMA},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _described_operation(route: Described) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, answer in route.answers.items():
        media: dict[str, Any] = {name: {} for name in route.media} if answer is None else _json_of(answer)
        responses[str(status)] = {"description": HTTPStatus(status).phrase, **({"content": media} if media else {})}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.name,
        "parameters": _path_parameters(route.path),
        "responses": {**responses, "default": _PROBLEM_RESPONSE},
    }
    if route.body is not None or route.body_media:
        content = {name: {} for name in route.body_media} | (_json_of(route.body) if route.body else {})
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _json_of(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {} if endpoint.answer is None else _json_of(endpoint.answer)
    content.update({media: {} for media in endpoint.media})
    position = {POSITION_HEADER: {"schema": {"type": "string"}, "description": "what is visible: wait_for takes it"}}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": endpoint.name,
        "parameters": _path_parameters(endpoint.path),
        "responses": {
            "200": {"description": "the answer", "content": content, "headers": position},
            "default": _PROBLEM_RESPONSE,
        },
    }
    if endpoint.method == "POST":
        operation["requestBody"] = {"required": True, "content": _json_of(endpoint.asked)}
    else:
        operation["parameters"] += _query_parameters(endpoint)
    return operation


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    schema = endpoint.asked.model_json_schema()
    required = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": field.get("description", ""),
            "schema": {key: value for key, value in field.items() if key not in ("description", "title")},
        }
        for name, field in schema.get("properties", {}).items()
    ]
