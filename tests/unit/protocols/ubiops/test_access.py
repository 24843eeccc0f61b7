"""How UbiOps' client shows its key and learns of a refusal."""

import pytest

from runstream_protocols.ubiops.access import ACCESS
from runstream_protocols.ubiops.errors import as_client_reads
from runstream_service.problems import Problem


@pytest.mark.parametrize(
    ("credential", "keys"),
    [
        ("Token KEY", ["KEY"]),
        ("token  KEY", ["KEY"]),
        ("KEY", []),
        ("Token", []),
        ("Token ", []),
        ("Basic KEY", []),
        ("", []),
    ],
)
def test_a_key_stands_behind_the_word_token(credential: str, keys: list[str]) -> None:
    assert list(ACCESS.keys(credential)) == keys


@pytest.mark.parametrize(
    ("status", "shown"),
    [*((status, status) for status in (400, 401, 403, 404, 409, 413, 500, 501, 503)), (422, 400), (429, 503)],
)
def test_a_refusal_has_a_status_that_the_client_knows(status: int, shown: int) -> None:
    problem = as_client_reads(Problem(status, "kind", "Title", "what to do", retry_after_s=3, name="x"))
    assert problem.status == shown, "at 429 the client waits for a minute and tries again, for ever"
    assert problem.extensions == {"error": "what to do", "name": "x"}
    assert problem.headers == {"Retry-After": "3"}


def test_who_has_no_key_is_told_how_to_give_one() -> None:
    path = "/ubiops/v2.1/projects"
    refused = ACCESS.refuse(path, {}, Problem(401, "k", "T", "This key is not known here."))
    assert refused.extensions["error"].startswith("This key is not known here. Give a key")
    assert "UBIOPS_API_TOKEN" in refused.extensions["error"]


@pytest.mark.parametrize("path", ["/api/v1/runs", "/ubiops", "/ubiopsy/v2", "/mlaide/api/v1/projects"])
def test_refusals_of_other_paths_stay(path: str) -> None:
    problem = Problem(401, "kind", "Title", "detail")
    assert ACCESS.refuse(path, {}, problem) is problem
    assert problem.extensions == {}
