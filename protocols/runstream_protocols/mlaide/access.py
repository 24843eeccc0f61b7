"""How ML Aide's client shows its key, and how it learns of a refusal."""

from collections.abc import Mapping
from typing import Final

from runstream_protocols.mlaide.errors import as_client_reads
from runstream_protocols.mlaide.paths import ADDRESS
from runstream_service.problems import Problem
from runstream_service.protocols import ProtocolAccess

#: The client's only header of its own; one without a key says `None` in it. No page of another site can send it.
_KEY_HEADER: Final = "x-api-key"


def refuse(path: str, headers: Mapping[str, str], problem: Problem) -> Problem:
    """Return the problem in the form that the client shows, with how to give it a key."""
    if not path.startswith(f"{ADDRESS}/"):
        return problem
    if problem.status == 401:
        how = "Give a key of this server: ConnectionOptions(api_key=KEY), or MLAIDE_API_KEY."
        problem.detail = f"{problem.detail} {how}"
    return as_client_reads(problem)


ACCESS: Final = ProtocolAccess(name="mlaide", key_header=_KEY_HEADER, program_headers=(_KEY_HEADER,), refuse=refuse)
