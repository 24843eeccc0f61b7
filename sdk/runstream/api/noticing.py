"""What the server tells beside a response: names that a request has and nothing there has."""

from __future__ import annotations

import json
import sys
import warnings
from contextlib import suppress
from typing import Any, Final

from runstream.api.errors import UnknownName
from runstream.connections import readable

_MAX_TOLD: Final = 20
_MAX_CHARS: Final = 500


def warn_of_unknown(payload: dict[str, Any]) -> None:
    """Warn, where the caller of the API stands, of each name in `payload` that the server does not know."""
    unknown = payload.get("unknown")
    if not isinstance(unknown, list):
        return
    level = _outside()
    for one in unknown[:_MAX_TOLD]:
        warnings.warn(readable(str(one), _MAX_CHARS), UnknownName, stacklevel=level)


def warn_of_header(header: str | None) -> None:
    """The same of a response that is no JSON: what its header tells (`UNKNOWN_HEADER`)."""
    with suppress(ValueError, RecursionError):
        warn_of_unknown({"unknown": json.loads(header or "[]")})


def _outside() -> int:
    """Return the `stacklevel` of the first caller that is no part of this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("runstream."):
        level, frame = level + 1, frame.f_back
    return level
