"""The protocols that every server speaks. A further client is one line here, beside its folder."""

from typing import Final

from aiohttp import web

from runstream_protocols.bender.protocol import BENDER
from runstream_protocols.comet.protocol import COMET
from runstream_protocols.mlaide.protocol import MLAIDE
from runstream_protocols.protocol import Protocol, ReadingSide, WritingSide
from runstream_protocols.sagemaker.protocol import SAGEMAKER
from runstream_protocols.saved_views.protocol import SAVED_VIEWS
from runstream_protocols.sweeps.protocol import SWEEPS
from runstream_protocols.ubiops.protocol import UBIOPS

PROTOCOLS: Final[tuple[Protocol, ...]] = (BENDER, COMET, MLAIDE, SAGEMAKER, SAVED_VIEWS, SWEEPS, UBIOPS)

ACCESS: Final = tuple(protocol.access for protocol in PROTOCOLS)
LOCATIONS: Final = tuple(location for protocol in PROTOCOLS for location in protocol.locations)
#: All routes of each protocol, by its name.
ROUTES: Final = {protocol.name: (*protocol.reads, *protocol.writes) for protocol in PROTOCOLS}


def add_writes(app: web.Application, side: WritingSide) -> None:
    """Add what the clients write to the application of a gateway, before it starts."""
    for protocol in PROTOCOLS:
        protocol.add_writes(app, side)


def add_reads(app: web.Application, side: ReadingSide) -> None:
    """Add what the clients read to the application of a query server, before it starts."""
    for protocol in PROTOCOLS:
        protocol.add_reads(app, side)
