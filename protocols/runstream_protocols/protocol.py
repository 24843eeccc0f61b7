"""What the rest of a server has to know of a foreign client: one `Protocol` per client, in its folder.

The composition roots mount it, authentication takes its `access`, the fronts of a cluster route by its `locations`, and
the OpenAPI document describes its routes. Nothing else outside of the folder knows the client.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

from runstream_ingest.gateway.routes import Gateway
from runstream_query.settings import QuerySettings
from runstream_service.assets import AssetReader, AssetStorage
from runstream_service.lookup import Lookup
from runstream_service.protocols import ProtocolAccess
from runstream_service.routing import Route
from runstream_service.sealing import Sealing
from runstream_service.store import StoreReader
from runstream_service.visibility import Visibility


class Side(StrEnum):
    """The kind of process that serves a path."""

    GATEWAY = "gateway"
    QUERY = "query-server"


@dataclass(frozen=True, slots=True)
class Location:
    """Which side serves the paths that begin with `path`; one that does not end with a slash is that path alone.

    one_machine: the client uses it where its address has no path of its own. Only the front of a cluster on one machine
    routes it: it stands among the paths of the server itself.
    """

    path: str
    side: Side
    one_machine: bool = False

    def covers(self, path: str) -> bool:
        """Return whether a request for the path belongs here."""
        return path.startswith(self.path) if self.path.endswith("/") else path == self.path


@dataclass(frozen=True, slots=True)
class ReadingSide:
    """What a query server gives to the protocols."""

    store: StoreReader
    visibility: Visibility
    assets: AssetReader
    settings: QuerySettings


@dataclass(frozen=True, slots=True)
class WritingSide:
    """What a gateway gives to the protocols. `reading`: for a client that reads at the paths that it writes to, which
    no front can tell apart; all of its paths are the gateway's. `sealing`: encrypts secrets of users, because the
    log must not hold them in clear."""

    gateway: Gateway
    assets: AssetStorage
    lookup: Lookup
    reading: ReadingSide
    sealing: Sealing


def _add_nothing(app: web.Application, side: WritingSide | ReadingSide) -> None:
    """Leave the application as it is: the protocol has no routes at this side."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A foreign client.

    name: of its folder. title: what people call it. address: the path of the address that its users are told, behind
    the server's own. writes, reads: the routes of a gateway and of a query server, as the OpenAPI document shows them;
    a client may have all at one side. add_writes, add_reads: add them to an application before it starts.
    """

    name: str
    title: str
    address: str
    access: ProtocolAccess
    locations: tuple[Location, ...]
    writes: tuple[Route, ...] = ()
    reads: tuple[Route, ...] = ()
    add_writes: Callable[[web.Application, WritingSide], None] = _add_nothing
    add_reads: Callable[[web.Application, ReadingSide], None] = _add_nothing


def side_of(path: str, locations: Iterable[Location]) -> Side:
    """Return who serves the path: the longest location that covers it tells; by none, it is the query servers."""
    covering = [location for location in locations if location.covers(path)]
    return max(covering, key=lambda location: len(location.path)).side if covering else Side.QUERY
