"""The addresses of Comet's interface, on both of its sides."""

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from runstream_protocols.protocol import Location, Side

#: The client uses the second for system details and output, and the first for the rest: both have everything.
ROOTS: Final = ("/api/rest/v2", "/clientlib/rest/v2")
#: Where the live client writes: below the address that it was given, which may lack the path.
LIVE_ROOTS: Final = ("/clientlib", "")
#: What the live client writes lies below these; `asset` is one by itself too.
LIVE_PATHS: Final = (
    "logger",
    "status-report",
    "batch",
    "tags",
    "asset",
    "visualizations",
    "git-patch",
    "notification",
    "notify",
    "health",
    "symlink",
)

#: Below ROOTS: a read that records who uses the version.
VERSION_PATH: Final = "artifacts/version"
#: Behind the server's address, where the client's `Optimizer` asks for the next values and tells results.
OPTIMIZER: Final = "/optimizer"
#: What stands behind the server's address in the one that users of the client are told.
ADDRESS: Final = "/clientlib/"
#: The client writes and reads below the same roots.
LOCATIONS: Final = (
    Location("/clientlib/", Side.GATEWAY),
    Location("/clientlib/isAlive/", Side.QUERY),
    Location("/clientlib/rest/v2/", Side.QUERY),
    Location("/clientlib/rest/v2/write/", Side.GATEWAY),
    Location("/api/rest/v2/write/", Side.GATEWAY),
    *(Location(f"{root}/{VERSION_PATH}", Side.GATEWAY) for root in ROOTS),
    Location(f"{OPTIMIZER}/", Side.GATEWAY),
    *(Location(f"/{path}/", Side.GATEWAY, one_machine=True) for path in LIVE_PATHS),
    Location("/asset", Side.GATEWAY, one_machine=True),
)


def address_of(request: web.Request) -> str:
    """Return the address that the client used: links in responses begin with it."""
    return f"{request.scheme}://{request.headers.get('Host', '')}"


def asset_link(request: web.Request, **parameters: str) -> str:
    """Return where an asset's bytes are. `parameters`: the query, experimentKey and assetId at least."""
    return f"{address_of(request)}{ROOTS[0]}/experiment/asset/get-asset?{urlencode(parameters)}"
