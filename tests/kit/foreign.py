"""A server that another tracker's client is pointed at, and what the client's steps say of it."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from kit.clients import python_of
from kit.servers.up import running_up
from runstream.api import API

KEY, READING_KEY = "k" * 32, "r" * 32
#: What says how Runstream and the clients are to be run here.
_OURS = ("RUNSTREAM_", "AWS_", "MLAIDE_", "SAGEMAKER_", "TRAINING_JOB_", "UBIOPS_")


@dataclass(frozen=True)
class ForeignServer:
    """A server, the client's Python, a key that may do all, and the client's home where that is another than ours.
    `steps`: the program of the client, which runs steps by name: `python STEPS URL KEY STEP...`."""

    url: str
    python: Path
    key: str = KEY
    home: Path | None = None
    steps: ClassVar[Path]

    def command(self, *steps: str, key: str | None = None) -> list[str]:
        """Return the command that runs steps of the client."""
        return [str(self.python), str(self.steps), self.url, key or self.key, *steps]

    def environment(self, home: Path | None = None) -> dict[str, str]:
        """Return the environment that the client runs in, with another home if one is given."""
        place = home or self.home
        return own() | ({"HOME": str(place)} if place else {})

    def told(self, *steps: str, key: str | None = None, home: Path | None = None) -> dict[str, Any]:
        """Return what came of the steps, each in the client's words."""
        command, environment = self.command(*steps, key=key), self.environment(home)
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def requested(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: Any = None
    ) -> tuple[int, Any]:
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
    """The environment without what says how Runstream and the clients are to be run here."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}


_Server = TypeVar("_Server", bound=ForeignServer)


@contextmanager
def serving(kind: type[_Server], client: str, factory: pytest.TempPathFactory) -> Iterator[_Server]:
    """Start a server for the client of this name. It has the key of `kind`, which may do all, and READING_KEY."""
    python, folder = python_of(client), factory.mktemp(client)
    environment = own() | {"RUNSTREAM_API_KEYS": f"{kind.key},{READING_KEY}:read"}
    with running_up(folder / "data", environment=environment, errors=folder / "server.log") as url:
        yield kind(url, python, home=folder)
