"""A real server with what the SDK logged, and the real `comet_ml` in an environment of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from logged import KEY

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

Ask = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Logged:
    """A server, the ids of the runs that were logged to it by name, and the work tree they were logged from."""

    url: str
    runs: Mapping[str, str]
    code: Path


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The Python that has Comet's client. Skips where it is not there and cannot be made, unless
    RUNSTREAM_REQUIRE_CLIENTS says that it must."""
    made = subprocess.run(
        [sys.executable, str(ROOT / "infra" / "client_venv.py"), "comet"], capture_output=True, text=True, check=False
    )
    if made.returncode:
        if os.environ.get("RUNSTREAM_REQUIRE_CLIENTS") == "1":
            pytest.fail(f"Comet's client cannot be installed: {made.stderr}")
        pytest.skip(f"Comet's client is not here and cannot be installed: {made.stderr[-300:]}")
    return Path(made.stdout.strip())


@pytest.fixture(scope="session")
def logged(tmp_path_factory: pytest.TempPathFactory, client_python: Path) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("comet")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}
    command = [sys.executable, "-m", "runstream_infra.cli", "up", "--port", "0", "--json"]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--data-dir", str(folder / "data")],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment | {"RUNSTREAM_API_KEYS": KEY},
        )
    try:
        assert server.stdout is not None
        text = ""
        for line in server.stdout:
            text += line
            if line.rstrip() == "}":
                break
        assert text, (folder / "server.log").read_text()[-3000:]
        url = str(json.loads(text)["url"])
        spool = folder / "spool"
        subprocess.run(
            [sys.executable, str(HERE / "trainer.py"), url, str(spool)],
            check=True,
            timeout=120,
            env=environment | {"RUNSTREAM_API_KEY": KEY},
            cwd=work_tree(folder / "code"),
        )
        yield Logged(url, json.loads((spool / "ids.json").read_text()), folder / "code")
    finally:
        server.terminate()
        server.wait(60)


def work_tree(folder: Path) -> Path:
    """A git repository with one commit and one change since."""
    folder.mkdir()
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (folder / "train.py").write_text("lr = 0.1\n")
    for arguments in (["init", "-q", "-b", "trunk"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], check=True)
    subprocess.run([*git, "remote", "add", "origin", "https://example.org/it.git"], check=True)
    (folder / "train.py").write_text("lr = 0.2\n")
    return folder


@pytest.fixture(scope="session")
def ask(logged: Logged, client_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Asks the client some expressions in one process (reader.py). The answers by label: values, or {"error": ...}."""
    home = tmp_path_factory.mktemp("home")

    def asked(expressions: Mapping[str, str], key: str = KEY, **variables: str) -> dict[str, Any]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "NO_PROXY": "*",
            "COMET_URL_OVERRIDE": f"{logged.url}/clientlib/",
            "COMET_API_KEY": key,
            "COMET_ERROR_TRACKING_ENABLE": "false",
            "COMET_LOGGING_CONSOLE": "ERROR",
            "COMET_TIMEOUT_API": "60",  # its 10 s are short on a machine that is busy with other tests
        }
        environment = {name: value for name, value in (environment | variables).items() if value}
        done = subprocess.run(
            [str(client_python), str(HERE / "reader.py")],
            input=json.dumps(dict(expressions)),
            capture_output=True,
            text=True,
            env=environment,
            cwd=home,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        answers: dict[str, Any] = json.loads(done.stdout)
        return {label: answer.get("value", answer) for label, answer in answers.items()}

    return asked
