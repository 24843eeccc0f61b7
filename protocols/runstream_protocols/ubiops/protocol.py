"""UbiOps' client, as the rest of the server knows it."""

from typing import Final

from runstream_protocols.protocol import Protocol
from runstream_protocols.ubiops.access import ACCESS
from runstream_protocols.ubiops.agents.routes import ROUTES as AGENT_ROUTES
from runstream_protocols.ubiops.paths import ADDRESS, LOCATIONS
from runstream_protocols.ubiops.routes import ROUTES, add_ubiops

UBIOPS: Final = Protocol(
    name="ubiops",
    title="UbiOps Training",
    address=ADDRESS,
    access=ACCESS,
    locations=LOCATIONS,
    writes=(*ROUTES, *AGENT_ROUTES),
    add_writes=add_ubiops,
)
