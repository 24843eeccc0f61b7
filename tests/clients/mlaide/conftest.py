"""A real server, and the real `mlaide` in an environment of its own."""

from collections.abc import Iterator
from typing import Any

import pytest

from kit.foreign import serving
from kit.mlaide.server import HERE, KEPT, REFUSED, ArtifactServer, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(Server, "mlaide", tmp_path_factory) as started:
        yield started


@pytest.fixture(scope="session")
def logged(server: Server) -> dict[str, Any]:
    """What came of the steps that log."""
    return {name: one["value"] for name, one in server.told(*HERE).items()}


@pytest.fixture(scope="session")
def refused(server: Server, logged: dict[str, Any]) -> dict[str, Any]:
    """What came of the steps that the server refuses."""
    return server.told(*REFUSED)


@pytest.fixture(scope="session")
def keeping(server: Server) -> ArtifactServer:
    """The same server with the steps that keep artifacts and models."""
    return ArtifactServer(server.url, server.python, home=server.home)


@pytest.fixture(scope="session")
def kept(keeping: ArtifactServer) -> dict[str, Any]:
    """What came of the steps that keep artifacts."""
    return {name: one["value"] for name, one in keeping.told(*KEPT).items()}
