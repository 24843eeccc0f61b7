"""The files of Streamlit's own page, which are the same for all panels: served at one address, so that a browser keeps
them, and packed once. Nothing of a panel is among them."""

import asyncio
import gzip
import importlib.util
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from aiohttp import web

from runstream_service.auth import FRAME_PATH
from runstream_service.problems import Problem
from runstream_service.routing import Call

ASSETS_PATH: Final = f"{FRAME_PATH}static/"
#: How the panel's own page names them.
_RELATIVE: Final = b'"./static/'
#: Packing less saves nothing.
_LEAST_BYTES: Final = 1_000
_LEVEL: Final = 6
#: Their names have a hash of their content.
_HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Accept-Encoding",
}


@dataclass
class PageAssets:
    """Used from one event loop. What is packed is as large as the package: 10 MB."""

    _packed: dict[str, bytes] = field(default_factory=dict)

    @cached_property
    def files(self) -> Mapping[str, Path]:
        """The files by their names; none where Streamlit is not installed."""
        found = importlib.util.find_spec("streamlit")
        if found is None or found.origin is None:
            return {}
        root = Path(found.origin).parent / "static" / "static"
        return {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}

    async def packed(self, name: str, path: Path) -> bytes:
        """Return a file, packed. Raises OSError."""
        if name not in self._packed:
            self._packed[name] = await asyncio.to_thread(lambda: gzip.compress(path.read_bytes(), _LEVEL, mtime=0))
        return self._packed[name]


async def send_asset(assets: PageAssets, call: Call[None]) -> web.StreamResponse:
    """Return a file of the page. Raises Problem (404)."""
    name = call.path["name"]
    path = assets.files.get(name)
    if path is None:
        raise Problem(404, "no-such-file", "There is no such file", "It is none of the panels' page.")
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    headers = {**_HEADERS, "Content-Type": content_type}
    is_text = content_type.startswith("text/") or content_type.endswith(("javascript", "json", "wasm"))
    if "gzip" in call.request.headers.get("Accept-Encoding", "") and is_text and path.stat().st_size >= _LEAST_BYTES:
        body = await assets.packed(name, path)
        return web.Response(body=body, headers={**headers, "Content-Encoding": "gzip"})
    return web.Response(body=await asyncio.to_thread(path.read_bytes), headers=headers)


def with_shared_assets(page: bytes) -> bytes:
    """Return the page of a panel with the shared addresses of its files. Pure."""
    return page.replace(_RELATIVE, f'"{ASSETS_PATH}'.encode())
