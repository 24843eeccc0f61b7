"""A server that another tracker's client is pointed at, and what the client's steps say of it."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from runstream.api import API

KEY, READING_KEY = "k" * 32, "r" * 32
#: What says how Runstream and the clients are to be run here.
_OURS = ("RUNSTREAM_", "MLAIDE_", "UBIOPS_")


@dataclass(frozen=True)
class ForeignServer:
    """A server, the client's Python, and a key that may do all. `steps`: the program of the client, which runs steps by
    name: `python STEPS URL KEY STEP...`."""

    url: str
    python: Path
    key: str = KEY
    steps: ClassVar[Path]

    def command(self, *steps: str, key: str | None = None) -> list[str]:
        """Return the command that runs steps of the client."""
        return [str(self.python), str(self.steps), self.url, key or self.key, *steps]

    def told(self, *steps: str, key: str | None = None) -> dict[str, Any]:
        """Return what came of the steps, each in the client's words."""
        done = subprocess.run(
            self.command(*steps, key=key), capture_output=True, text=True, env=own(), timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def requested(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: Any = None
    ) -> tuple[int, Any]:
        """Return the status and the JSON of a request."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{path}", data, {**headers}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def api(self) -> API:
        """Return Runstream's own client."""
        return API(url=self.url, api_key=self.key)


def own() -> dict[str, str]:
    """The environment without what says how Runstream and the clients are to be run here."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
