"""Refusals of ML Aide's artifacts and models, which this server does not keep."""

from typing import NoReturn

from runstream_protocols.mlaide.models import Done
from runstream_protocols.mlaide.side import MlaideSide
from runstream_service.problems import Problem
from runstream_service.routing import Call


async def refuse(side: MlaideSide, call: Call[object]) -> Done:
    """Refuse the first request of each of the client's methods about artifacts. Raises Problem (501)."""
    refuse_artifacts()


def refuse_artifacts() -> NoReturn:
    """Refuse a request that needs artifacts, with what to do instead. Raises Problem (501)."""
    detail = (
        "this server does not keep ML Aide's artifacts and models: log files and models with runstream's log_artifact, "
        "or start the run without used_artifacts and name what it used with log_parameter"
    )
    raise Problem(501, "no-artifacts", "Artifacts are not kept for this client", detail)
