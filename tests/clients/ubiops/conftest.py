"""A real server, and the real `ubiops` in an environment of its own."""

from collections.abc import Iterator
from typing import Any

import pytest

from kit.foreign import serving
from kit.ubiops.server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(Server, "ubiops", tmp_path_factory) as started:
        yield started


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
