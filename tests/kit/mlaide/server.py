"""A server that ML Aide's client is pointed at, and what the client's steps say of it."""

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
HERE = ("everything", "failing", "unnamed", "elsewhere", "many_at_once", "in_one_that_is_there")
REFUSED = (
    "without_experiment",
    "in_a_bad_project",
    "in_a_bad_experiment",
    "with_artifacts",
    "creating_an_artifact",
    "getting_an_artifact",
    "getting_the_latest_artifact",
    "loading_a_model",
    "without_key",
    "with_a_wrong_key",
)


@dataclass(frozen=True)
class Server:
    """A server, the client's Python, and a key that may do all."""

    url: str
    python: Path
    key: str = KEY

    def command(self, *steps: str, key: str | None = None) -> list[str]:
        """Return the command that runs steps of the client."""
        return [str(self.python), str(STEPS), self.url, key or self.key, *steps]

    def told(self, *steps: str, key: str | None = None) -> dict[str, Any]:
        """Return what came of the steps, each in the client's words."""
        done = subprocess.run(
            self.command(*steps, key=key), capture_output=True, text=True, env=own(), timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def aide(self, path: str, method: str = "GET", body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """Return the status and the JSON of a request to ML Aide's interface, with the client's header."""
        return self.requested(f"mlaide/api/v1/{path}", {"x-api-key": key or self.key}, method, body)

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
    """The environment without what says how Runstream and the client are to be run here."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("RUNSTREAM_", "MLAIDE_"))}
