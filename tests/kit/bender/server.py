"""A server that Bender's client is pointed at, and what the client's steps say of it."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runstream.api import API

STEPS = Path(__file__).with_name("steps.py")
KEY, READING_KEY = "k" * 32, "r" * 32


@dataclass(frozen=True)
class Server:
    """A server, the client's Python, a home for its token, and a key that may do all."""

    url: str
    python: Path
    home: Path
    key: str = KEY

    def command(self, *steps: str, key: str | None = None) -> list[str]:
        """Return the command that runs steps of the client."""
        return [str(self.python), str(STEPS), self.url, key or self.key, *steps]

    def environment(self, home: Path | None = None) -> dict[str, str]:
        """Return the environment that the client runs in."""
        return own() | {"HOME": str(home or self.home)}

    def told(self, *steps: str, key: str | None = None, home: Path | None = None) -> dict[str, Any]:
        """Return what came of the steps, each in the client's words."""
        done = subprocess.run(
            self.command(*steps, key=key),
            capture_output=True,
            text=True,
            env=self.environment(home),
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def token(self, key: str | None = None, email: str = "ada@example.org") -> str:
        """Return the token of a login."""
        status, found = self.asked("bender/login/", {}, "POST", {"email": email, "password": key or self.key})
        assert status == 200, found
        return str(found["token"])

    def bender(self, path: str, method: str = "GET", body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """Return the status and the JSON of a request to Bender's interface, with the client's header."""
        headers = {"Authorization": f"JWT {token or self.token()}"}
        return self.asked(f"bender/{path}", headers, method, body)

    def asked(self, path: str, headers: Mapping[str, str], method: str = "GET", body: Any = None) -> tuple[int, Any]:
        """Return the status and the JSON of a request; None for an empty body."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, {**headers}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                content = response.read()
                return response.status, json.loads(content) if content else None
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def api(self) -> API:
        """Return Runstream's own client."""
        return API(url=self.url, api_key=self.key)


def own() -> dict[str, str]:
    """The environment without what says how Runstream is to be run here."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}
