"""A server that UbiOps' client is pointed at, and what the client's steps say of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kit.foreign import ForeignServer

VERSIONS = "projects/roads/deployments/training-base-deployment/versions"


@dataclass(frozen=True)
class Server(ForeignServer):
    """A server, the client's Python, and a key that may do all."""

    steps: ClassVar[Path] = Path(__file__).with_name("steps.py")

    def ubiops(self, path: str, method: str = "GET", body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """Return the status and the JSON of a request to UbiOps' interface, with the client's headers."""
        headers = {"Authorization": f"Token {key or self.key}", "Content-Type": "application/json"}
        return self.requested(f"ubiops/v2.1/{path}", headers, method, body)
