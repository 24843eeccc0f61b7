"""How UbiOps' client shows its key, and how it learns of a refusal."""

from collections.abc import Iterable, Mapping
from typing import Final

from runstream_protocols.ubiops.errors import as_client_reads
from runstream_protocols.ubiops.paths import ADDRESS, TICKET_PATHS
from runstream_service.problems import Problem
from runstream_service.protocols import ProtocolAccess

_SCHEME: Final = "token"


def keys_of(credential: str) -> Iterable[str]:
    """Return the key of `Token KEY`."""
    scheme, _, key = credential.partition(" ")
    return (key.strip(),) if scheme.lower() == _SCHEME and key.strip() else ()


def refuse(path: str, headers: Mapping[str, str], problem: Problem) -> Problem:
    """Return the problem in the form that the client shows, with how to give it a key."""
    if not path.startswith(f"{ADDRESS}/"):
        return problem
    if problem.status == 401:
        how = "Give a key of this server: UBIOPS_API_TOKEN, or configuration.api_key['Authorization'] = 'Token KEY'."
        problem.detail = f"{problem.detail} {how}"
    return as_client_reads(problem)


ACCESS: Final = ProtocolAccess(name="ubiops", ticket_paths=TICKET_PATHS, keys=keys_of, refuse=refuse)
