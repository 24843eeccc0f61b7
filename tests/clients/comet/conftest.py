"""A real server with what the SDK logged, and the real `comet_ml` in an environment of its own."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kit import children
from kit.clients import python_of
from kit.comet.forgetful import ForgetfulProxy
from kit.comet.logged import KEY
from kit.comet.processes import (
    HERE,
    Ask,
    Logged,
    Told,
    Writing,
    client_environment,
    own_environment,
    responses_of,
    results_of,
    running_server,
    scenario,
    settle,
    work_tree,
)


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The Python that has Comet's client."""
    return python_of("comet")


@pytest.fixture(scope="session")
def logged(tmp_path_factory: pytest.TempPathFactory, client_python: Path) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("comet")
    with running_server(folder) as url:
        spool = folder / "spool"
        subprocess.run(
            [sys.executable, str(HERE / "trainer.py"), url, str(spool)],
            check=True,
            timeout=120,
            env=children.environment(own_environment() | {"RUNSTREAM_API_KEY": KEY}),
            cwd=work_tree(folder / "code"),
        )
        yield Logged(url, json.loads((spool / "ids.json").read_text()), folder / "code")


@pytest.fixture(scope="session")
def writing(tmp_path_factory: pytest.TempPathFactory, client_python: Path) -> Iterator[Writing]:
    folder = tmp_path_factory.mktemp("writing")
    home = folder / "home"
    home.mkdir()
    with running_server(folder) as url:
        yield Writing(url, client_python, home, work_tree(folder / "code"), folder / "server.log")


@pytest.fixture(scope="session")
def told(writing: Writing) -> Told:
    """All scenarios beside each other: they mostly wait."""
    with ForgetfulProxy(writing.url) as proxy:
        urls = {"unlucky": proxy.address}
        names = ("everything", "otherwise", "failing", "killed", "unlucky", "rest")
        processes = {name: scenario(writing, name, urls.get(name, writing.url)) for name in names}
        try:
            killed = results_of(writing, "killed", processes["killed"])
            processes["killed"].kill()
            for name, process in processes.items():
                errors = process.communicate(timeout=240)[1]
                assert process.returncode == {"failing": 1, "killed": -signal.SIGKILL}.get(name, 0), errors[-3000:]
        finally:
            for process in processes.values():
                process.kill()
    results = {name: results_of(writing, name, process) for name, process in processes.items()}
    assert results["killed"] == killed
    settle(writing.url)
    return Told(results, (writing.home / "everything.log").read_text(), dict(proxy.forgotten))


@pytest.fixture(scope="session")
def ask(logged: Logged, client_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Asks the client some expressions in one process (reader.py). Responses by label: values, or {"error": ...}."""
    home = tmp_path_factory.mktemp("home")

    def requested(expressions: Mapping[str, str], key: str = KEY, **variables: str) -> dict[str, Any]:
        environment = client_environment(home, logged.url) | {"COMET_API_KEY": key} | variables
        return responses_of(client_python, expressions, environment)

    return requested
