"""The addresses of sweeps. They lie among the server's own, and gateways serve all of them: one that asks writes."""

from typing import Final

from runstream_protocols.protocol import Location, Side

ADDRESS: Final = "/api/v1/sweeps"
LOCATIONS: Final = (Location(ADDRESS, Side.GATEWAY), Location(f"{ADDRESS}/", Side.GATEWAY))
