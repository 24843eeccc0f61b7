"""A real server, and the real `bender-client` in an environment of its own."""

from collections.abc import Iterator
from typing import Any

import pytest

from kit.bender.server import Server
from kit.foreign import serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(Server, "bender", tmp_path_factory) as started:
        yield started


@pytest.fixture(scope="session")
def everything(server: Server) -> dict[str, Any]:
    """What came of all of the client's methods."""
    told = server.told("everything")["everything"]
    assert "value" in told, told
    found: dict[str, Any] = told["value"]
    return found
