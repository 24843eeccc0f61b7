"""How ML Aide's client shows its key and learns of a refusal."""

import pytest

from runstream_protocols.mlaide.access import ACCESS
from runstream_protocols.mlaide.errors import as_client_reads
from runstream_service.problems import Problem


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        *((status, status) for status in (400, 401, 403, 404, 500, 501, 503, 504)),
        *((status, 400) for status in (405, 409, 413, 415, 422)),
        (429, 503),
    ],
)
def test_every_refusal_has_a_status_that_the_client_raises(status: int, shown: int) -> None:
    problem = as_client_reads(Problem(status, "kind", "Title", "what to do", retry_after_s=3, name="x"))
    assert problem.status == shown
    assert problem.extensions == {"code": shown, "message": "what to do", "name": "x"}
    assert problem.headers == {"Retry-After": "3"}


def test_who_has_no_key_is_told_how_to_give_one() -> None:
    refused = ACCESS.refuse("/mlaide/api/v1/projects/p/runs", {}, Problem(401, "k", "T", "This key is not known here."))
    assert refused.extensions["message"].startswith("This key is not known here. Give a key")
    assert "MLAIDE_API_KEY" in refused.extensions["message"]


@pytest.mark.parametrize("path", ["/api/v1/runs", "/mlaide/other", "/clientlib/logger/add/run"])
def test_refusals_of_other_paths_stay(path: str) -> None:
    problem = Problem(401, "kind", "Title", "detail")
    assert ACCESS.refuse(path, {}, problem) is problem
    assert problem.extensions == {}
