"""The addresses of Comet's interface, on both of its sides."""

from typing import Final
from urllib.parse import urlencode

from aiohttp import web

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


def address_of(request: web.Request) -> str:
    """Return the address that the client used: links in responses begin with it."""
    return f"{request.scheme}://{request.headers.get('Host', '')}"


def asset_link(request: web.Request, **parameters: str) -> str:
    """Return where an asset's bytes are. `parameters`: the query, experimentKey and assetId at least."""
    return f"{address_of(request)}{ROOTS[0]}/experiment/asset/get-asset?{urlencode(parameters)}"
