"""The addresses of saved views. They lie among the server's own, and gateways serve all of them: views are written."""

from typing import Final

from runstream_protocols.protocol import Location, Side

ADDRESS: Final = "/api/v1/views"
LOCATIONS: Final = (Location(ADDRESS, Side.GATEWAY), Location(f"{ADDRESS}/", Side.GATEWAY))
