"""OpenAPI 3.1, made from the table of endpoints and the models: what is not in a model is not in the document."""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, RootModel
from pydantic.json_schema import models_json_schema

from runstream_query.answers import Answer, Changes
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


class Document(RootModel[dict[str, Any]]):
    """The document as an answer."""


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """The OpenAPI document of the endpoints."""
    answers: list[type[Answer]] = [endpoint.answer for endpoint in endpoints if endpoint.answer is not None]
    bodies = [endpoint.asked for endpoint in endpoints if endpoint.method == "POST"]
    models: list[tuple[type[BaseModel], Literal["serialization", "validation"]]] = []
    shown: dict[type[BaseModel], None] = dict.fromkeys([*answers, Changes])
    models += [(model, "serialization") for model in shown]
    models += [(model, "validation") for model in dict.fromkeys(bodies)]
    _, shared = models_json_schema(models, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Runstream query API",
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


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if endpoint.answer is not None:
        content["application/json"] = {"schema": {"$ref": f"#/components/schemas/{endpoint.answer.__name__}"}}
    content.update({media: {} for media in endpoint.media})
    position = {POSITION_HEADER: {"schema": {"type": "string"}, "description": "what is visible: wait_for takes it"}}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": endpoint.name,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"\{(\w+)\}", endpoint.path)
        ],
        "responses": {
            "200": {"description": "the answer", "content": content, "headers": position},
            "default": {
                "description": "a problem (RFC 9457)",
                "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    }
    if endpoint.method == "POST":
        schema = {"$ref": f"#/components/schemas/{endpoint.asked.__name__}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
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
