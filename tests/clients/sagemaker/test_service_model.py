"""The models of operations are those of the client's own service model."""

import types
import typing
from typing import Any

import pytest
from pydantic import BaseModel

from kit.sagemaker.server import Server
from runstream_protocols.sagemaker.documents import AnyRequest, AnyResponse
from runstream_protocols.sagemaker.operations import OPERATIONS

#: Members of requests that nothing is made of: by which commit a thing was made, which SDKs find out themselves, and
#: which things of other accounts are searched.
PASSED_OVER = {"MetadataProperties", "CrossAccountFilterOption", "VisibilityConditions"}


@pytest.fixture(scope="module")
def model(server: Server) -> dict[str, Any]:
    """The client's service model, by operation."""
    found: dict[str, Any] = server.told("model")["model"]["value"]
    return found


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """The fields of a model by the names that they have in JSON."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def words_of(annotation: Any) -> list[str]:
    """The words of a literal, also of one that may be left out."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return [word for part in typing.get_args(annotation) for word in words_of(part)]
    return list(typing.get_args(annotation)) if typing.get_origin(annotation) is typing.Literal else []


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_request_has_the_members_of_the_service_model(model: dict[str, Any], name: str) -> None:
    promised, ours = model[name]["request"], fields_of(OPERATIONS[name].request)
    assert set(ours) == promised.keys() - PASSED_OVER
    assert {one for one, field in ours.items() if field.is_required()} == {
        one for one, told in promised.items() if told["required"]
    }
    for one, field in ours.items():
        assert sorted(words_of(field.annotation)) == sorted(promised[one]["enum"]), one


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_response_has_members_of_the_service_model(model: dict[str, Any], name: str) -> None:
    assert fields_of(OPERATIONS[name].response).keys() <= model[name]["response"].keys()


def test_the_document_has_the_models_of_all_operations() -> None:
    requests = set(typing.get_args(AnyRequest.model_fields["root"].annotation))
    responses = set(typing.get_args(AnyResponse.model_fields["root"].annotation))
    assert requests == {operation.request for operation in OPERATIONS.values()}
    assert responses == {operation.response for operation in OPERATIONS.values()}
