"""Saved views, as the rest of the server knows them."""

from typing import Final

from runstream_protocols.protocol import Protocol
from runstream_protocols.saved_views.access import ACCESS
from runstream_protocols.saved_views.paths import ADDRESS, LOCATIONS
from runstream_protocols.saved_views.routes import ROUTES, add_views

SAVED_VIEWS: Final = Protocol(
    name="saved_views",
    title="Saved views",
    address=ADDRESS,
    access=ACCESS,
    locations=LOCATIONS,
    writes=ROUTES,
    add_writes=add_views,
)
