"""Multipart bodies of Comet's client: a file, or where one is, and its metadata."""

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from runstream_protocols.comet.writes.metadata import MAX_METADATA_BYTES, object_of
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.uploads import Form, Uploads

#: What the client calls the part with the file.
_FILE_PARTS: Final = frozenset(("file", "assetItemContent", "thumbnail"))


@dataclass(frozen=True, slots=True)
class Upload:
    """What a multipart body had. `link`: where the file is instead; its bytes are then the link's."""

    sha256: str
    size_bytes: int
    link: str
    metadata: dict[str, Any]
    #: The members of `requestParams`.
    parameters: dict[str, Any]


async def receive(uploads: Uploads, request: web.Request) -> Upload:
    """Store the file of a multipart body and read the rest. Nothing is kept of a body that is malformed. Raises
    Problem, AssetError."""
    async with uploads.receiving(request, _FILE_PARTS, MAX_METADATA_BYTES) as form:
        link = form.fields.get("link", b"").decode(errors="replace")
        if _is_link(form):
            sha256, size_bytes = await uploads.store(link.encode(errors="replace"))
        elif form.file is not None:
            await form.file.keep()
            sha256, size_bytes = form.file.sha256, form.file.size_bytes
        else:
            raise Refused("the body has no part `file`")
    metadata, parameters = (object_of(form.fields.get(name)) for name in ("metadata", "requestParams"))
    return Upload(sha256, size_bytes, link, metadata, parameters)


def _is_link(form: Form) -> bool:
    """Whether the link counts: of a file and a link what comes last."""
    last = next((name for name in reversed(form.names) if name in ("file", "link")), None)
    return last == "link"
