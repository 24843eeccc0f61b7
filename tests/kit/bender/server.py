"""A server that Bender's client is pointed at, and what the client's steps say of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kit.foreign import ForeignServer


@dataclass(frozen=True)
class Server(ForeignServer):
    """A server, the client's Python, a key that may do all, and a home for the client's token."""

    steps: ClassVar[Path] = Path(__file__).with_name("steps.py")

    def token(self, key: str | None = None, email: str = "ada@example.org") -> str:
        """Return the token of a login."""
        status, found = self.requested("bender/login/", {}, "POST", {"email": email, "password": key or self.key})
        assert status == 200, found
        return str(found["token"])

    def bender(self, path: str, method: str = "GET", body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """Return the status and the JSON of a request to Bender's interface, with the client's header."""
        headers = {"Authorization": f"JWT {token or self.token()}"}
        return self.requested(f"bender/{path}", headers, method, body)
