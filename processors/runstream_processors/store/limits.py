"""The limits of a query as the engine takes them, and what its errors say about which of them was met."""

from collections.abc import Mapping
from typing import Final

from runstream_processors.store.failures import error_code
from runstream_service.store import QueryClass, QueryLimitExceeded, QueryLimits

#: Error code -> the fields of QueryLimits that may be meant, in the order in which the message is looked through.
_BY_CODE: Final[Mapping[int, tuple[str, ...]]] = {
    158: ("rows_read",),  # too many rows
    159: ("time_s",),  # timeout exceeded
    160: ("time_s",),  # estimated to take too long
    241: ("memory_bytes",),  # of the query, see below
    307: ("rows_read",),  # too many bytes
    396: ("result_rows", "result_bytes"),  # too many rows or bytes
}
_MEANING: Final[Mapping[str, str]] = {
    "time_s": "it took more than {value:g} s",
    "memory_bytes": "it needs more than {value} bytes of memory",
    "rows_read": "it reads more than {value} rows",
    "result_rows": "it returns more than {value} rows",
    "result_bytes": "it returns more than {value} bytes",
}
#: What the engine says where one query needs too much, and not all that run together.
_OF_THE_QUERY: Final = ("Query memory limit exceeded", "(for query)")


def engine_limits(limits: QueryLimits) -> dict[str, str]:
    """The limits as settings of ClickHouse's."""
    settings: dict[str, str] = {}
    if limits.time_s is not None:
        settings |= {"max_execution_time": f"{limits.time_s:g}", "timeout_overflow_mode": "throw"}
    if limits.memory_bytes is not None:
        # It groups and sorts on disk from half of it on.
        spill = str(limits.memory_bytes // 2)
        settings |= {
            "max_memory_usage": str(limits.memory_bytes),
            "max_bytes_before_external_group_by": spill,
            "max_bytes_before_external_sort": spill,
        }
    if limits.threads is not None:
        settings["max_threads"] = str(limits.threads)
    if limits.rows_read is not None:
        settings |= {"max_rows_to_read": str(limits.rows_read), "read_overflow_mode": "throw"}
    if limits.result_rows is not None:
        settings["max_result_rows"] = str(limits.result_rows)
    if limits.result_bytes is not None:
        settings["max_result_bytes"] = str(limits.result_bytes)
    if limits.result_rows is not None or limits.result_bytes is not None:
        settings["result_overflow_mode"] = "throw"
    return settings


def limit_met(error: BaseException, of: QueryClass, limits: QueryLimits) -> QueryLimitExceeded | None:
    """The limit of its class that a query met, from what the engine raised; None if it was none."""
    code = error_code(error)
    fields = _BY_CODE.get(code, ()) if code is not None else ()
    text = str(error)
    if code == 241 and not any(words in text for words in _OF_THE_QUERY):
        return None
    if len(fields) == 2 and "max bytes" in text:
        fields = fields[1:]
    for field in fields:
        value = getattr(limits, field)
        if value is not None:
            return QueryLimitExceeded(_MEANING[field].format(value=value), of=of, limit=field, value=value)
    return None
