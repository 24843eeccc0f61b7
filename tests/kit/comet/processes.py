"""Processes of the tests with Comet's client: servers, the client's scenarios, and what they say."""

import contextlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kit.children import TESTS
from kit.comet.logged import KEY
from kit.servers.embedded import FEWER_BATCHES
from kit.servers.up import running_up

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

Ask = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Logged:
    """A server, the ids of the runs that were logged to it by name, and the work tree they were logged from."""

    url: str
    runs: Mapping[str, str]
    code: Path


@contextlib.contextmanager
def running_server(folder: Path, *options: str, key: str = KEY) -> Iterator[str]:
    """The address of `runstream up` over a directory of its own in `folder`, which is there. key: empty for none."""
    environment = own_environment() | {"RUNSTREAM_API_KEYS": key} | FEWER_BATCHES
    with running_up(folder / "data", *options, environment=environment, errors=folder / "server.log") as url:
        yield url


def own_environment() -> dict[str, str]:
    """The environment without what says how Runstream is to be run here."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RUNSTREAM_")}


@dataclass(frozen=True)
class Writing:
    """A server that only Comet's client writes to; where the client lives, and a work tree to run in."""

    url: str
    python: Path
    home: Path
    code: Path
    server_log: Path


@dataclass(frozen=True)
class Told:
    """What the scenarios of live.py and rest.py said of themselves, by their names; the log that the client wrote of
    the scenario `everything`; and the requests whose responses the scenario `unlucky` never got, by path."""

    results: Mapping[str, Mapping[str, Any]]
    warnings: str
    forgotten: Mapping[str, int]


def scenario(writing: Writing, name: str, url: str) -> "subprocess.Popen[str]":
    results = str(writing.home / f"{name}.json")
    environment = client_environment(writing.home, url) | {
        "COMET_LOGGING_FILE": str(writing.home / f"{name}.log"),
        "COMET_LOGGING_FILE_LEVEL": "WARNING",
    }
    if url != writing.url:
        # Its waits before it sends again make 12 s of each request.
        environment |= {
            "COMET_HTTP_SESSION_RETRY_BACKOFF_FACTOR": "0",
            "COMET_GET_OR_ADD_EXPERIMENT_RETRY_BACKOFF_FACTOR": "0",
        }
    script = ["rest.py"] if name == "rest" else ["live.py", name]
    return subprocess.Popen(
        [str(writing.python), str(HERE / script[0]), *script[1:], results],
        cwd=writing.code,
        env=environment,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def settle(url: str) -> None:
    """Wait until all that was written can be read: on a machine that is busy the responses do not wait for it."""
    event = {"type": "project_created.v1", "workspace": "settled", "project": "settled"}
    body = json.dumps({"key": "settled/settled", "event": event}).encode()
    for _ in range(12):
        requested = urllib.request.Request(f"{url}/ingest/v1/commands", body, {"Authorization": KEY})
        with urllib.request.urlopen(requested, timeout=120) as response:
            if json.load(response)["visible"]:
                return
    pytest.fail("what was written cannot be read after two minutes")


def results_of(writing: Writing, name: str, process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a scenario wrote, as soon as it did."""
    results = writing.home / f"{name}.json"
    deadline_s = time.monotonic() + 120
    while not results.exists():
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline_s, f"{name} did not come so far"
        time.sleep(0.05)
    found: dict[str, Any] = json.loads(results.read_text())
    return found


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


def client_environment(home: Path, url: str) -> dict[str, str]:
    """What points the client at a server, and lets its programs find the kit."""
    return {
        "PYTHONPATH": str(TESTS),
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "NO_PROXY": "*",
        "COMET_URL_OVERRIDE": f"{url}/clientlib/",
        "COMET_API_KEY": KEY,
        "COMET_ERROR_TRACKING_ENABLE": "false",
        "COMET_LOGGING_CONSOLE": "ERROR",
        "COMET_TIMEOUT_API": "60",  # its 10 s are short on a machine that is busy with other tests
    }


def steps_of(writing: Writing, script: str, *arguments: str) -> dict[str, Any]:
    """What each step of a script of this folder found, which the client runs in a folder of its own."""
    folder = writing.home / script
    folder.mkdir()
    done = subprocess.run(
        [str(writing.python), str(HERE / f"{script}.py"), "results.json", *arguments],
        capture_output=True,
        text=True,
        env=client_environment(writing.home, writing.url),
        cwd=folder,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def responses_of(client_python: Path, expressions: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, Any]:
    """What reader.py answers in this environment, of which empty variables are left out."""
    done = subprocess.run(
        [str(client_python), str(HERE / "reader.py")],
        input=json.dumps(dict(expressions)),
        capture_output=True,
        text=True,
        env={name: value for name, value in environment.items() if value},
        cwd=environment["HOME"],
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    responses: dict[str, Any] = json.loads(done.stdout)
    return {label: response.get("value", response) for label, response in responses.items()}
