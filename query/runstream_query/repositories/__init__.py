"""The data-access layer: every SELECT over the read models, behind methods that take a scope.

A method takes typed arguments and returns records or Arrow tables. What is outside of the scope is to it as if it were
not there. Handlers, foreign clients and the writing side's look-ups call these and nothing else of the store.
"""

from typing import Self

from runstream_query.repositories.artifacts import ArtifactRepository
from runstream_query.repositories.events import EventRepository
from runstream_query.repositories.reader import Reader
from runstream_service.store import QueryClass, StoreReader


class Repositories:
    """Every repository over one reader: what one request reads, in slots of one class of queries."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.artifacts = ArtifactRepository(reader)
        self.events = EventRepository(reader)

    @classmethod
    def over(cls, store: StoreReader, of: QueryClass) -> Self:
        """Return the repositories of a store for queries of one class."""
        return cls(Reader(store, of))
