"""Addresses of git remotes without what stands in them to get in. Pure."""

import re
from typing import Final

from runstream.capture.patterns import lazy
from runstream.capture.secret_arguments import masked_arguments
from runstream.capture.secret_text import bounded

_SCHEME: Final = lazy(r"(?:[a-z]{1,10}::)?[A-Za-z][A-Za-z0-9+.-]{0,30}://")
_PORT: Final = lazy(r"(?:\[[0-9a-fA-F:.%\w]*\]|[^:\[\]]*)(?::\d*)?")
_PASSWORD_OF_SCP: Final = lazy(r"[^\s:/@]{1,200}:[^\s/]{1,500}@(?=[^\s:@]{1,300}:)")


def without_credentials(remote: str) -> str:
    """A remote's address without the user and password that may stand in it, and without secrets in its query."""
    remote = bounded(remote)
    found = _SCHEME.match(remote)
    if found is not None:
        rest = remote[found.end() :]
        host = re.split(r"[/?#]", rest, maxsplit=1)[0]
        if "@" in host:
            rest = rest[host.rindex("@") + 1 :]
        elif "@" in rest and not _PORT.fullmatch(host):
            rest = rest[rest.rindex("@") + 1 :]  # a password with a slash in it: no host has such a port
        remote = found[0] + rest
    else:
        remote = _PASSWORD_OF_SCP.sub("", remote)
    return masked_arguments([remote])[0]
