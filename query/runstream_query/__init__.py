"""The query service: all SELECTs, the filter language, live updates. `add_query` adds it to an application."""

from runstream_query.as_of import AsOf, FoldedRun, LoggedEvent
from runstream_query.http.routes import add_query
from runstream_query.settings import QuerySettings

__all__ = ["AsOf", "FoldedRun", "LoggedEvent", "QuerySettings", "add_query"]
