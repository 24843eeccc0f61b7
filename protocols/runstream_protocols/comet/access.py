"""How Comet's client shows its key, where it needs none, and how it learns of a refusal."""

from collections.abc import Iterable, Mapping
from typing import Final

from runstream_protocols.comet.paths import LIVE_PATHS, LIVE_ROOTS, ROOTS
from runstream_service.problems import Problem
from runstream_service.protocols import ProtocolAccess

#: What the client asks first, before it has shown a key. It takes a refusal for a fault of the network and tries again
#: for many seconds, so that everybody gets the response: the version of an interface, which is no secret.
VERSION_PATH: Final = "/clientlib/isAlive/ver"
#: What its live experiments ask again and again; whatever fails there makes them keep their data to themselves.
OPEN_PATHS: Final = frozenset({VERSION_PATH, "/clientlib/health/ping", "/health/ping"})
#: Where its live experiments begin. They recognise a refused key by this status and number only.
_LOGGER_PATHS: Final = tuple(f"{root}/logger/" for root in LIVE_ROOTS)
_BAD_KEY: Final = 90212
#: By which the client recognises a key that may not write.
_READ_ONLY: Final = 7000011
_PATHS: Final = (
    *(f"{root}/" for root in ROOTS),
    *(f"{root}/{path}/" for root in LIVE_ROOTS for path in LIVE_PATHS),
)
_EXACT_PATHS: Final = frozenset(f"{root}/asset" for root in LIVE_ROOTS)


def keys_of(credential: str) -> Iterable[str]:
    """Return KEY of `KEY*REST`: the client takes an address from REST and sends all of it."""
    key, asterisk, _ = credential.partition("*")
    return (key,) if asterisk else ()


def refuse(path: str, headers: Mapping[str, str], problem: Problem) -> Problem:
    """Return the problem with the status and the members by which Comet's client recognises it."""
    if problem.status == 401 and path.startswith(_LOGGER_PATHS):
        return _numbered(Problem(403, problem.kind, problem.title, problem.detail), _BAD_KEY)
    if problem.status == 403 and (path.startswith(_PATHS) or path in _EXACT_PATHS):
        return _numbered(problem, _READ_ONLY)
    return problem


def _numbered(problem: Problem, number: int) -> Problem:
    problem.extensions = {"msg": problem.detail, "sdk_error_code": number, **problem.extensions}
    return problem


ACCESS: Final = ProtocolAccess(
    name="comet", open_paths=OPEN_PATHS, keys=keys_of, program_headers=("x-comet-",), refuse=refuse
)
