"""What this service's errors mean to a client."""

from typing import Any, Final

from runstream.service.problems import Problem
from runstream.service.store import StoreCorrupt, StoreInvalid, StoreUnavailable
from runstream_query.errors import FilterError, InvalidRequest, NotFound, NotVisible, TooBusy

RETRY_AFTER_S: Final = 1


def problem_of(error: Exception) -> Problem | None:
    """The problem to answer with; None for an error that has no meaning here."""
    detail = str(error)
    match error:
        case FilterError():
            pointed = error.pointed()
            extensions: dict[str, Any] = {"column": error.column, "pointed": pointed} if pointed else {}
            return Problem(
                400,
                "invalid-filter",
                "The expression cannot be understood",
                detail,
                name=error.name or "filter",
                **extensions,
            )
        case InvalidRequest():
            named: dict[str, Any] = {"name": error.name} if error.name else {}
            return Problem(400, "invalid-request", "The request cannot be answered", detail, **named)
        case NotFound():
            return Problem(404, "not-found", "There is no such thing", detail)
        case NotVisible():
            return Problem(504, "not-visible", "The position is not visible yet", detail, retry_after_s=RETRY_AFTER_S)
        case TooBusy():
            return Problem(503, "too-busy", "There is no room for this now", detail, retry_after_s=RETRY_AFTER_S)
        case StoreUnavailable():
            return Problem(
                503, "store-unavailable", "The store cannot answer at the moment", detail, retry_after_s=RETRY_AFTER_S
            )
        case StoreCorrupt():
            return Problem(500, "store-damaged", "The store is damaged", detail)
        case StoreInvalid():
            # What we send is checked before; what is left is what only the engine can judge, such as a pattern.
            return Problem(400, "refused-by-store", "The store refuses the question", detail)
        case _:
            return None
