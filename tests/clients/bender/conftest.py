"""A real server, and the real `bender-client` in an environment of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.bender.server import KEY, READING_KEY, Server, own
from kit.clients import python_of
from kit.servers.up import running_up


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The Python that has Bender's client."""
    return python_of("bender")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, client_python: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("bender")
    environment = own() | {"RUNSTREAM_API_KEYS": f"{KEY},{READING_KEY}:read"}
    with running_up(folder / "data", environment=environment, errors=folder / "server.log") as url:
        yield Server(url, client_python, folder)


@pytest.fixture(scope="session")
def everything(server: Server) -> dict[str, Any]:
    """What came of all of the client's methods."""
    told = server.told("everything")["everything"]
    assert "value" in told, told
    found: dict[str, Any] = told["value"]
    return found
