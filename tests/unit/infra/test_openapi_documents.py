"""The OpenAPI documents are ones that generators of clients can read: schemas are JSON Schema, every reference leads
somewhere, and each class and method gets a name of its own."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runstream_infra.routes import OWN_ROUTES
from runstream_protocols.all import ROUTES as PROTOCOL_ROUTES
from runstream_query.http.routes import ROUTES
from runstream_service.openapi import document

ALL_ROUTES = {"runstream": (*ROUTES, *OWN_ROUTES), **PROTOCOL_ROUTES}
DOCUMENTS = {name: document(routes, name, "1") for name, routes in ALL_ROUTES.items()}
PREFIX = "#/components/schemas/"


def operations(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in found["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The media types of an operation's body and responses, with what is said of each."""
    yield from operation.get("requestBody", {}).get("content", {}).items()
    for response in operation["responses"].values():
        yield from response.get("content", {}).items()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schemas_are_json_schema_with_names_of_their_own(name: str) -> None:
    schemas = DOCUMENTS[name]["components"]["schemas"]
    assert len(schemas) > 5
    for key, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", key), f"{key} can be no class"
        assert schema.get("title", key) == key, f"{key} would be a class of another name"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_leads_to_a_schema(name: str) -> None:
    found = DOCUMENTS[name]
    referred = set(references(found))
    assert len(referred) > 5
    assert referred <= {f"{PREFIX}{key}" for key in found["components"]["schemas"]}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_operations_have_names_parameters_and_contents(name: str) -> None:
    found = dict(operations(DOCUMENTS[name]))
    names = [operation["operationId"] for operation in found.values()]
    assert len(set(names)) == len(names) > 0
    for at, operation in found.items():
        assert re.fullmatch(r"[a-z][A-Za-z0-9_]*", operation["operationId"]), at
        parameters = operation["parameters"]
        assert {one["name"] for one in parameters if one["in"] == "path"} == set(re.findall(r"\{(\w+)\}", at)), at
        assert len({(one["in"], one["name"]) for one in parameters}) == len(parameters), at
        for parameter in parameters:
            Draft202012Validator.check_schema(parameter["schema"])
        for media, content in contents(operation):
            # A body without a schema is one that generated clients cannot send or read.
            assert content["schema"], (at, media)


def test_a_model_of_requests_and_responses_is_two_classes() -> None:
    schemas = DOCUMENTS["runstream"]["components"]["schemas"]
    assert set(schemas["ArtifactFileInput"]["required"]) < set(schemas["ArtifactFile"]["required"])
