"""Errors as UbiOps' client reads them: it raises by the status, and shows `error`."""

from typing import Final

from runstream_service.problems import Problem

#: At 429 the client sleeps for a minute and tries again, for ever.
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
#: A value that cannot be used is 400 at UbiOps.
_UNPROCESSABLE: Final = 422


def as_client_reads(problem: Problem) -> Problem:
    """Return the problem with a status that the client knows, and the member that it shows."""
    if problem.status == _TOO_MANY:
        problem.status = _UNAVAILABLE
    elif problem.status == _UNPROCESSABLE:
        problem.status = 400
    problem.extensions = {"error": problem.detail, **problem.extensions}
    return problem
