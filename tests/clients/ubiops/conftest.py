"""A real server, and the real `ubiops` in an environment of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.clients import python_of
from kit.foreign import KEY, READING_KEY, own
from kit.servers.up import running_up
from kit.ubiops.server import Server


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The Python that has UbiOps' client."""
    return python_of("ubiops")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, client_python: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ubiops")
    environment = own() | {"RUNSTREAM_API_KEYS": f"{KEY},{READING_KEY}:read"}
    with running_up(folder / "data", environment=environment, errors=folder / "server.log") as url:
        yield Server(url, client_python)


@pytest.fixture(scope="session")
def told(server: Server) -> dict[str, Any]:
    """What came of the steps of experiments and variables: a value, or an error in the client's words."""
    return server.told(
        "creating",
        "creating_again",
        "creating_badly",
        "getting",
        "listing",
        "updating",
        "running",
        "cancelling",
        "files",
        "variables",
        "secrets",
        "inheriting",
        "copying",
        "renaming",
        "deleting",
        "initializing",
        "old_address",
        "without_key",
    )
