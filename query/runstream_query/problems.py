"""What this service's errors mean to a client."""

from typing import Any, Final

from runstream_query.errors import FilterError, InvalidRequest, LimitExceeded, NotFound, NotVisible, TooBusy
from runstream_service.problems import Problem
from runstream_service.store import (
    QueryClass,
    QueryLimitExceeded,
    StoreCorrupt,
    StoreInvalid,
    StoreOverloaded,
    StoreUnavailable,
)

RETRY_AFTER_S: Final = 1
#: How to ask for less, by the limit that was met.
_LESS: Final = {
    "time_s": "ask for fewer runs or metrics, a narrower filter, or a range of steps",
    "memory_bytes": "ask for fewer runs or metrics, a narrower filter, or a smaller limit",
    "rows_read": "ask for fewer runs or metrics, or a narrower filter",
    "result_rows": "ask for fewer runs or metrics, page by page (limit and cursor), or for curves with max_points",
    "result_bytes": "ask for fewer runs or metrics, page by page (limit and cursor), or for curves as an Arrow stream",
}


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
        case LimitExceeded():
            return Problem(
                422,
                "query-limit",
                "The question is too large",
                detail,
                limit=error.limit,
                value=error.value,
                setting=_variable(error.limit),
            )
        case QueryLimitExceeded():
            return _limit_problem(error)
        case StoreOverloaded():
            setting = _variable(f"{error.of.value}_{error.setting}")
            return Problem(
                503,
                "query-busy",
                "All places for such questions are taken",
                f"{detail} ({setting} is the limit)",
                retry_after_s=error.retry_after_s,
                setting=setting,
            )
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


def _limit_problem(error: QueryLimitExceeded) -> Problem:
    setting = _variable(f"{error.of.value}_{error.limit}" if error.of in _LIMITED else "heavy_" + error.limit)
    detail = f"the query was ended because {error}: {_LESS[error.limit]} ({setting} is the limit)"
    return Problem(
        422,
        "query-limit",
        "The question is too large",
        detail[0].upper() + detail[1:],
        limit=error.limit,
        value=error.value,
        setting=setting,
    )


_LIMITED: Final = (QueryClass.LOOKUP, QueryClass.LIGHT, QueryClass.HEAVY, QueryClass.LIVE, QueryClass.TAIL)


def _variable(field: str) -> str:
    """The environment variable of a field of QuerySettings."""
    return f"RUNSTREAM_QUERY_{field}".upper()
