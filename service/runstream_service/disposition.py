"""How a browser is told to save what it gets, and under which name."""

import re
from typing import Final
from urllib.parse import quote

from runstream.filenames import last_part

#: For whoever gets bytes that somebody else chose: no script of theirs runs with the rights of this server's pages.
FILE_POLICY: Final = "default-src 'none'; sandbox; frame-ancestors 'self'"
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9 ._\-]")


def content_disposition(name: str, *, inline: bool = False) -> str:
    """The value of `Content-Disposition` for a file of that name: its last part, made safe; in ASCII for old clients,
    and as it is (RFC 6266). Whatever the name, the value is one line of less than 1,200 characters."""
    safe = last_part(name)
    plain = _NOT_PLAIN.sub("_", safe)
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"
