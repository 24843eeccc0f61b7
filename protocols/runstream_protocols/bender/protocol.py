"""Bender's client, as the rest of the server knows it."""

from typing import Final

from runstream_protocols.bender.access import ACCESS, NAME
from runstream_protocols.bender.paths import ADDRESS, LOCATIONS
from runstream_protocols.bender.routes import ROUTES, add_bender
from runstream_protocols.protocol import Protocol

BENDER: Final = Protocol(
    name=NAME,
    title="Bender",
    address=ADDRESS,
    access=ACCESS,
    locations=LOCATIONS,
    writes=ROUTES,
    add_writes=add_bender,
)
