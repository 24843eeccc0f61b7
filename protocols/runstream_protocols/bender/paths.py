"""The addresses of Bender's interface."""

from typing import Final

from runstream_protocols.protocol import Location, Side

#: What users give as `host`, behind the server's own address.
ADDRESS: Final = "/bender"
LOGIN: Final = f"{ADDRESS}/login/"
#: The client writes to the paths that it reads, so that no front can tell its requests apart.
LOCATIONS: Final = (Location(f"{ADDRESS}/", Side.GATEWAY),)
