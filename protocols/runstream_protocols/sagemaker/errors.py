"""Errors as boto3 reads them: the code in `__type` is the class that it raises."""

from collections.abc import Mapping
from typing import Final

from pydantic import ValidationError

from runstream_protocols.kit.errors import Refused
from runstream_service.problems import Problem

INVALID: Final = "ValidationException"
NOT_FOUND: Final = "ResourceNotFound"
INVALID_SIGNATURE: Final = "InvalidSignatureException"

#: Codes, and the statuses that they come with, of refusals that do not say theirs. Other statuses below 500 are
#: INVALID. The client repeats requests with 500 and above, and those that are throttled.
_BY_STATUS: Final[Mapping[int, tuple[str, int]]] = {
    401: ("UnrecognizedClientException", 400),
    403: ("AccessDeniedException", 403),
    404: (NOT_FOUND, 400),
    408: ("RequestTimeout", 503),
    409: ("ConflictException", 400),
    429: ("ThrottlingException", 400),
    501: ("UnsupportedOperationException", 400),
    503: ("ServiceUnavailable", 503),
}
_FAILURE: Final = "InternalFailure"
_MAX_SHOWN: Final = 3
_MAX_CHARS: Final = 1_000


class AwsError(Refused):
    """A refusal with a code of its own."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message, status=status)
        self.code = code


def invalid(message: str) -> AwsError:
    """Return the refusal of a request that cannot be done as it is."""
    return AwsError(INVALID, message)


def bad_token(token: str) -> AwsError:
    """Return the refusal of a NextToken that is none, or of another request."""
    return invalid(
        f"Value {token[:40]!r} at 'NextToken' failed to satisfy constraint: give the token of a response as it was, "
        "with the other members of its request"
    )


def not_found(kind: str, name: str) -> AwsError:
    """Return the refusal of a request about a thing that is not there."""
    return AwsError(NOT_FOUND, f"{kind} {name[:200]!r} does not exist: take a name that a list of them shows")


def invalid_members(error: ValidationError) -> AwsError:
    """Return the refusal of a request whose members do not fit, in the words of AWS."""
    listed = error.errors(include_url=False, include_context=False)[:_MAX_SHOWN]
    shown = []
    for one in listed:
        name = ".".join(str(part) for part in one["loc"])
        given = repr(one["input"])[:100]
        shown.append(f"Value {given} at '{name[:200]}' failed to satisfy constraint: {one['msg'][:_MAX_CHARS]}")
    count = error.error_count()
    return invalid(f"{count} validation error{'s' if count > 1 else ''} detected: {'; '.join(shown)}")


def as_client_reads(problem: Problem) -> Problem:
    """Return the problem with the status, the code and the message that the client raises and shows."""
    code, status = _BY_STATUS.get(problem.status, (INVALID if problem.status < 500 else _FAILURE, problem.status))
    if isinstance(problem, AwsError):
        code, status = problem.code, problem.status
    elif code == INVALID:
        status = 400
    problem.status = status
    problem.extensions = {"__type": code, "message": problem.detail, **problem.extensions}
    return problem
