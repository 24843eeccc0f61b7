"""The query service: the repositories, the filter language, live updates. `add_query` adds it to an application.

What needs a server's packages is loaded when it is first named: the filter language works in the base install.
"""

import importlib
from typing import TYPE_CHECKING, Any

from runstream_query.settings import QuerySettings

if TYPE_CHECKING:
    from runstream_query.http.routes import add_query

__all__ = ["QuerySettings", "add_query"]


def __getattr__(name: str) -> Any:
    if name == "add_query":
        return importlib.import_module("runstream_query.http.routes").add_query
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
