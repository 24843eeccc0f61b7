"""ML Aide's client, as the rest of the server knows it."""

from typing import Final

from runstream_protocols.mlaide.access import ACCESS
from runstream_protocols.mlaide.paths import ADDRESS, LOCATIONS
from runstream_protocols.mlaide.routes import ROUTES, add_mlaide
from runstream_protocols.protocol import Protocol

MLAIDE: Final = Protocol(
    name="mlaide",
    title="ML Aide",
    address=ADDRESS,
    access=ACCESS,
    locations=LOCATIONS,
    writes=ROUTES,
    add_writes=add_mlaide,
)
