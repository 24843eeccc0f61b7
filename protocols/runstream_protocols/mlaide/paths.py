"""The addresses of ML Aide's interface."""

from typing import Final

from runstream_protocols.protocol import Location, Side

#: What users give as `server_url`.
ADDRESS: Final = "/mlaide/api/v1"
#: The client writes to the paths that it reads, so that no front can tell its requests apart.
LOCATIONS: Final = (Location("/mlaide/", Side.GATEWAY),)
