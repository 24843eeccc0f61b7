"""Refusals as boto3 reads them."""

import pytest

from runstream_protocols.sagemaker.access import ACCESS
from runstream_protocols.sagemaker.errors import as_client_reads, not_found
from runstream_service.problems import Problem


@pytest.mark.parametrize(
    ("status", "code", "shown"),
    [
        (400, "ValidationException", 400),
        (401, "UnrecognizedClientException", 400),
        (403, "AccessDeniedException", 403),
        (404, "ResourceNotFound", 400),
        (405, "ValidationException", 400),
        (408, "RequestTimeout", 503),
        (409, "ConflictException", 400),
        (413, "ValidationException", 400),
        (422, "ValidationException", 400),
        (429, "ThrottlingException", 400),
        (500, "InternalFailure", 500),
        (503, "ServiceUnavailable", 503),
        (504, "InternalFailure", 504),
    ],
)
def test_every_refusal_has_a_code_of_aws(status: int, code: str, shown: int) -> None:
    problem = as_client_reads(Problem(status, "kind", "Title", "what to do", retry_after_s=3, name="x"))
    assert problem.status == shown
    assert problem.extensions == {"__type": code, "message": "what to do", "name": "x"}
    assert problem.headers == {"Retry-After": "3"}


def test_a_refusal_with_a_code_keeps_it() -> None:
    problem = as_client_reads(not_found("Trial component", "x"))
    assert (problem.status, problem.extensions["__type"]) == (400, "ResourceNotFound")


def test_who_has_no_key_is_told_how_to_give_one() -> None:
    refused = ACCESS.refuse("/sagemaker", {}, Problem(401, "k", "T", "This key is not known here."))
    assert refused.extensions["message"].startswith("This key is not known here. Give a key")
    assert "AWS_ACCESS_KEY_ID" in refused.extensions["message"]


@pytest.mark.parametrize(
    ("headers", "is_told_in_xml"),
    [
        ({"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}, True),
        ({"content-type": "application/x-www-form-urlencoded", "x-amz-target": "SageMaker.ListTrials"}, False),
        ({"Content-Type": "application/x-amz-json-1.1"}, False),
        ({}, False),
    ],
)
def test_the_service_for_tokens_refuses_a_key_in_xml(headers: dict[str, str], is_told_in_xml: bool) -> None:
    refused = ACCESS.refuse("/sagemaker", headers, Problem(401, "k", "T", "This key is <not> known here."))
    response = refused.response()
    assert (response.content_type == "text/xml") == is_told_in_xml
    if is_told_in_xml:
        assert isinstance(response.body, bytes)
        text = response.body.decode()
        assert response.status == 403
        assert "<Code>InvalidClientTokenId</Code><Message>This key is &lt;not&gt; known here. Give a key" in text


@pytest.mark.parametrize("path", ["/api/v1/runs", "/sagemakers", "/clientlib/logger/add/run"])
def test_refusals_of_other_paths_stay(path: str) -> None:
    problem = Problem(401, "kind", "Title", "detail")
    assert ACCESS.refuse(path, {}, problem) is problem
    assert problem.extensions == {}
