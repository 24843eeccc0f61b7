"""Errors as ML Aide's client reads them: it raises by the status, and shows `code` and `message`."""

from typing import Final

from runstream_service.problems import Problem

#: The client takes every other status below 500 for a success.
_RAISED: Final = frozenset({400, 401, 403, 404})
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503


def as_client_reads(problem: Problem) -> Problem:
    """Return the problem with a status that makes the client raise, and the members that it shows."""
    if problem.status == _TOO_MANY:
        problem.status = _UNAVAILABLE
    elif problem.status < 500 and problem.status not in _RAISED:
        problem.status = 400
    problem.extensions = {"code": problem.status, "message": problem.detail, **problem.extensions}
    return problem
