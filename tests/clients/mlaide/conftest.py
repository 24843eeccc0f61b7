"""A real server, and the real `mlaide` in an environment of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.clients import python_of
from kit.foreign import KEY, READING_KEY, own
from kit.mlaide.server import HERE, REFUSED, Server
from kit.servers.up import running_up


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The Python that has ML Aide's client."""
    return python_of("mlaide")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, client_python: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mlaide")
    environment = own() | {"RUNSTREAM_API_KEYS": f"{KEY},{READING_KEY}:read"}
    with running_up(folder / "data", environment=environment, errors=folder / "server.log") as url:
        yield Server(url, client_python)


@pytest.fixture(scope="session")
def logged(server: Server) -> dict[str, Any]:
    """What came of the steps that log."""
    return {name: one["value"] for name, one in server.told(*HERE).items()}


@pytest.fixture(scope="session")
def refused(server: Server, logged: dict[str, Any]) -> dict[str, Any]:
    """What came of the steps that the server refuses."""
    return server.told(*REFUSED)
