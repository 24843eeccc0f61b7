"""Errors have the form of the protocol that the request came by."""

import pytest

from runstream.events.names import InvalidName
from runstream_protocols.comet.errors import CUSTOM, as_client_reads
from runstream_protocols.kit.errors import Refused, shaped
from runstream_service.problems import Problem


def renamed(problem: Problem) -> Problem:
    return Problem(problem.status, f"x-{problem.kind}", problem.title, problem.detail)


def unavailable(error: Exception) -> Problem | None:
    return Problem(503, "away", "Away", str(error)) if isinstance(error, TimeoutError) else None


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (Refused("no"), 400, "x-refused"),
        (Refused("no", status=413), 413, "x-refused"),
        (InvalidName("no"), 422, "x-invalid-name"),
        (TimeoutError("no"), 503, "x-away"),
    ],
)
def test_what_means_something_to_a_client_is_shaped(error: Exception, status: int, kind: str) -> None:
    with pytest.raises(Problem, match="no") as raised, shaped(renamed, (unavailable,)):
        raise error
    assert (raised.value.status, raised.value.kind) == (status, kind)


def test_a_fault_of_ours_passes_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), shaped(renamed, (unavailable,)):
        raise ZeroDivisionError


def test_comets_client_reads_a_message_and_of_a_refusal_a_number() -> None:
    refusal = as_client_reads(Refused("give a name", name="x"))
    assert refusal.extensions == {"msg": "give a name", "sdk_error_code": CUSTOM, "name": "x"}
    assert (refusal.status, refusal.kind) == (400, "comet")
    other = as_client_reads(Problem(429, "busy", "Busy", "later", cause="lag"))
    assert (other.kind, other.extensions) == ("busy", {"msg": "later", "cause": "lag"})
