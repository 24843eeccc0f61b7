"""The addresses of UbiOps' interface."""

from typing import Final

from runstream_protocols.protocol import Location, Side

#: What users give as host, with or without the version of the interface behind it.
ADDRESS: Final = "/ubiops"
#: The client appends the first to an address without a version; the second is in its documentation.
VERSIONS: Final = ("v2", "v2.1")
#: Below them URLs authorise themselves: the client sends no key there.
TICKET_PATHS: Final = tuple(f"{ADDRESS}/{version}/{kind}/" for version in VERSIONS for kind in ("uploads", "downloads"))
#: Where agents take runs that this client created.
AGENTS: Final = "/agents"
#: The client writes to the paths that it reads, so that no front can tell its requests apart.
LOCATIONS: Final = (Location("/ubiops/", Side.GATEWAY), Location(f"{AGENTS}/", Side.GATEWAY))
