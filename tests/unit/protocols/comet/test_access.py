"""How Comet's client shows its key and learns of a refusal."""

import pytest

from runstream_protocols.comet.access import ACCESS, keys_of
from runstream_service.problems import Problem


@pytest.mark.parametrize(
    ("path", "status", "shaped"),
    [
        ("/clientlib/logger/add/run", 401, (403, 90212)),
        ("/logger/get/run", 401, (403, 90212)),
        ("/clientlib/batch/logger/experiment/metric", 401, (401, None)),
        ("/api/rest/v2/experiments", 401, (401, None)),
        ("/clientlib/logger/add/run", 403, (403, 7000011)),
        ("/api/rest/v2/write/experiment/create", 403, (403, 7000011)),
        ("/asset", 403, (403, 7000011)),
        ("/ingest/v1/frames", 403, (403, None)),
        ("/api/v1/runs", 401, (401, None)),
    ],
)
def test_refusals_have_the_numbers_that_the_client_knows(
    path: str, status: int, shaped: tuple[int, int | None]
) -> None:
    problem = ACCESS.refuse(
        path, {}, Problem(status, "kind", "Title", "detail", headers={"WWW-Authenticate": "Bearer"})
    )
    assert (problem.status, problem.extensions.get("sdk_error_code")) == shaped
    assert problem.extensions.get("msg") == (None if shaped[1] is None else "detail")
    assert ("WWW-Authenticate" in problem.headers) == (shaped[1] != 90212)


def test_a_key_stands_before_the_asterisk() -> None:
    assert [*keys_of("a-key*eyJ9*x")] == ["a-key"]
    assert [*keys_of("a-key")] == []
