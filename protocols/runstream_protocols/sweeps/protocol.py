"""Sweeps, as the rest of the server knows them."""

from typing import Final

from runstream_protocols.protocol import Protocol
from runstream_protocols.sweeps.access import ACCESS
from runstream_protocols.sweeps.paths import ADDRESS, LOCATIONS
from runstream_protocols.sweeps.routes import ROUTES, add_sweeps

SWEEPS: Final = Protocol(
    name="sweeps",
    title="Sweeps",
    address=ADDRESS,
    access=ACCESS,
    locations=LOCATIONS,
    writes=ROUTES,
    add_writes=add_sweeps,
)
