"""Keys that the server makes for panels: each reads what the viewer may read, while its panel runs."""

import hashlib
import secrets
from typing import Final

from runstream_service.access import Action, Grant, Principal, Scope

#: How they begin: no key that people make does.
PREFIX: Final = "panel."
_BYTES: Final = 24


class PanelPasses:
    """The keys of panels that run. Used from one event loop."""

    def __init__(self) -> None:
        self._principals: dict[bytes, Principal] = {}

    def issue(self, name: str, scope: Scope) -> str:
        """Return a key that may read within the scope until it is revoked."""
        key = PREFIX + secrets.token_urlsafe(_BYTES)
        self._principals[_digest(key)] = Principal(f"panel-{name}", (Grant(frozenset({Action.READ}), scope),))
        return key

    def revoke(self, key: str) -> None:
        """Have the key open nothing any more."""
        self._principals.pop(_digest(key), None)

    def principal_of(self, key: str) -> Principal | None:
        """Return the principal of a key of a panel that runs. Looked up by its hash, so that the time tells nothing."""
        return self._principals.get(_digest(key)) if key.startswith(PREFIX) else None


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()
