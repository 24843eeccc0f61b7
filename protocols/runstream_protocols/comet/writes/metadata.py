"""Metadata of files, as Comet's client sends them."""

import json
from typing import Any, Final

from runstream_protocols.comet.errors import refused
from runstream_protocols.kit.payloads import cleaned
from runstream_protocols.kit.values import bounded, size_of

#: Metadata stand in an event.
MAX_METADATA_BYTES: Final = 100_000


def object_of(content: Any) -> dict[str, Any]:
    """Return a JSON object, also one within a JSON text, each member `bounded`; empty for anything else, because no
    file is refused for it."""
    for _ in range(2):
        if isinstance(content, bytes | str):
            try:
                content = cleaned(json.loads(content))
            except (ValueError, RecursionError):
                return {}
    return {name: bounded(value) for name, value in content.items()} if isinstance(content, dict) else {}


def metadata_of(content: Any) -> dict[str, Any]:
    """Return `object_of` of what did not come as a part of its own. Raises Problem where it is too large for an
    event."""
    found = object_of(content)
    if size_of(found) > MAX_METADATA_BYTES:
        raise refused(f"metadata have more than {MAX_METADATA_BYTES} bytes: log them as an asset", name="metadata")
    return found
