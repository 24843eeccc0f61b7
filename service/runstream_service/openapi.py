"""OpenAPI 3.1, made from routes and their models: what is not in a model is not in the document."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from runstream_service.routing import Route

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
_REFERENCE: Final = "#/components/schemas/{model}"
#: What pydantic adds to the name of a model that is part of requests and of responses.
_INPUT, _OUTPUT = "-Input", "-Output"
_PROBLEM_RESPONSE: Final[dict[str, Any]] = {
    "description": "a problem (RFC 9457)",
    "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def document(routes: Sequence[Route], title: str, version: str) -> dict[str, Any]:
    """Return the OpenAPI document of the routes."""
    responses = [model for route in routes for model in (route.response, *route.media_models) if model is not None]
    bodies = [route.request for route in routes if route.request is not None and route.method != "GET"]
    models: list[tuple[type[BaseModel], Literal["serialization", "validation"]]] = [
        *((model, "serialization") for model in dict.fromkeys(responses)),
        *((model, "validation") for model in dict.fromkeys(bodies)),
    ]
    _, shared = models_json_schema(models, ref_template=_REFERENCE)
    schemas = _plainly_named(shared.get("$defs", {}))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.template, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": version,
            "description": "NaN and the infinities are the strings NaN, Infinity and -Infinity in all JSON.",
        },
        "tags": [{"name": tag} for tag in dict.fromkeys(tag for route in routes for tag in route.tags)],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM_SCHEMA},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _plainly_named(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schemas under names and titles that generated clients can give to classes: where a model is part of
    requests and of responses, that of responses is `Name`, that of requests `NameInput`."""
    names = {name: name.removesuffix(_OUTPUT).replace(_INPUT, "Input") for name in schemas}
    references = {_REFERENCE.format(model=old): _REFERENCE.format(model=new) for old, new in names.items()}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items()}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return references.get(value, value) if isinstance(value, str) else value

    return {names[old]: {**renamed(schema), "title": names[old]} for old, schema in schemas.items()}


def _operation(route: Route) -> dict[str, Any]:
    responses = {str(status): _response(route, status) for status in route.statuses}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.name,
        "tags": list(route.tags),
        "parameters": [*_path_parameters(route.template), *_query_parameters(route)],
        "responses": {**responses, "default": _PROBLEM_RESPONSE},
    }
    body = _request_body(route)
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _response(route: Route, status: int) -> dict[str, Any]:
    content = {**_json_of(route.response), **_media(route.media)}
    headers = {
        name: {"schema": {"type": "string"}, "description": description} for name, description in route.headers.items()
    }
    return {
        "description": HTTPStatus(status).phrase,
        **({"content": content} if content else {}),
        **({"headers": headers} if headers else {}),
    }


def _request_body(route: Route) -> dict[str, Any] | None:
    if route.method == "GET" or (route.request is None and not route.request_media):
        return None
    body = {**_json_of(route.request), **_media(route.request_media)}
    if route.examples:
        body["application/json"]["examples"] = {name: {"value": value} for name, value in route.examples.items()}
    return body


def _json_of(model: type[BaseModel] | None) -> dict[str, Any]:
    if model is None:
        return {}
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model.__name__)}}}


def _media(media: Iterable[str]) -> dict[str, Any]:
    return {name: _content_of(name) for name in media}


def _content_of(media: str) -> dict[str, Any]:
    """What a body that is described by its type alone consists of."""
    if media == "application/json":
        return {"schema": {"description": "any JSON value"}}
    if media.startswith("text/"):
        return {"schema": {"type": "string"}}
    return {"schema": {"type": "string", "format": "binary"}}


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.method != "GET" or route.request is None:
        return []
    schema = route.request.model_json_schema()
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
