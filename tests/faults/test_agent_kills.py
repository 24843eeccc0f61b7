"""SIGKILL of an agent, of a supervisor, of both, or of all that an agent began, at every step of a run: its code is
begun at most once, and it ends: with all of its output and its file, or as failed, with the reason.

RUNSTREAM_KILLS says how many kills there are in all (one at each step, by one of the three ways)."""

import contextlib
import json
import os
import random
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from kit.children.forked import ForkedChild
from kit.children.killed_agent import KILL_AT
from kit.foreign import own
from kit.servers.up import running_up
from kit.ubiops.agents import end_all
from kit.waiting import wait_until
from runstream.api import API

KILLS: Final = int(os.environ.get("RUNSTREAM_KILLS", "0"))
SEED: Final = int(os.environ.get("RUNSTREAM_SEED", "1"))
PROJECT: Final = "killed"
EXPERIMENTS: Final = f"ubiops/v2/projects/{PROJECT}/deployments/training-base-deployment/versions"
#: In their order; behind `executing` at some moment of it.
STEPS: Final = (
    "leased",
    "folder made",
    "supervisor begun",
    "taken",
    "prepared",
    "starting noted",
    "started",
    "executing",
    "ended",
    "end noted",
    "uploaded",
    "finished",
    "reported",
)
#: Killed there, the code was not begun or has ended: the run completes all the same.
COMPLETES: Final = frozenset(STEPS[: STEPS.index("started")]) | frozenset(STEPS[STEPS.index("end noted") :])
OF_THE_AGENT: Final = STEPS[:3]
CODE: Final = """
import time
def train(training_data, parameters, context):
    with open(parameters["log"], "a") as file:
        file.write(context["id"] + "\\n")
    for number in range(5):
        print("line", number, flush=True)
        time.sleep(0.2)
    with open("model.bin", "w") as file:
        file.write("weights " * 1000)
    print("the last words", end="", flush=True)
    return {"artifact": "model.bin", "metrics": {"accuracy": 0.5}}
"""


@dataclass
class World:
    """A server without keys, an agent that is started again when it is dead, and the log that the code writes."""

    url: str
    folder: Path
    agent: ForkedChild | None = None
    died: list[str] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        return self.folder / "agent"

    def send(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)

    def put(self, name: str, content: bytes) -> str:
        url = self.send("POST", f"ubiops/v2/projects/{PROJECT}/buckets/default/files/{name}", {})["url"]
        with urllib.request.urlopen(urllib.request.Request(url, content, method="PUT"), timeout=60):
            return f"ubiops-file://default/{name}"

    def content(self, uri: str) -> bytes:
        name = uri.removeprefix("ubiops-file://default/").replace("/", "%2F")
        url = self.send("GET", f"ubiops/v2/projects/{PROJECT}/buckets/default/files/{name}/download")["url"]
        with urllib.request.urlopen(url, timeout=60) as response:
            return bytes(response.read())

    def created(self) -> str:
        request = {
            "name": "killed",
            "training_code": "ubiops-file://default/train.py",
            "parameters": {"log": str(self.folder / "executed.log")},
        }
        [made] = self.send("POST", f"{EXPERIMENTS}/e/requests/batch", [request])
        return str(made["id"])

    def keep_agent(self) -> None:
        """Start an agent where none lives."""
        if self.agent is not None and self.agent.poll() is None:
            return
        if self.agent is not None:
            self.agent.wait(10)
            self.agent.stdout.close()
        self.agent = ForkedChild(
            "kit.children.killed_agent",
            self.url,
            PROJECT,
            self.directory,
            environment=own() | {"PYTHONPATH": str(Path(__file__).parents[1])},
            errors=self.folder / "agent.log",
        )

    def ended(self, run: str) -> dict[str, Any]:
        """The run, once it has ended, with an agent that lives all the time."""
        found: dict[str, Any] = {}

        def met() -> bool:
            self.keep_agent()
            found.update(self.send("GET", f"{EXPERIMENTS}/e/requests/{run}"))
            return found["status"] in ("completed", "failed", "cancelled")

        wait_until(met)
        return found

    def executions(self, run: str) -> int:
        log = self.folder / "executed.log"
        return log.read_text().split().count(run) if log.exists() else 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("killed")
    with running_up(folder / "data", environment=own(), errors=folder / "server.log") as url:
        world = World(url, folder)
        world.send("POST", EXPERIMENTS, {"version": "e", "environment": "python3-11"})
        world.put("train.py", CODE.encode())
        try:
            yield world
        finally:
            if world.agent is not None:
                world.agent.send_signal(signal.SIGKILL)
                world.agent.wait(60)
                world.agent.stdout.close()
            end_all(world.directory)


def check(world: World, run: str, how: str, completes: bool | None) -> None:
    """It was begun at most once, and ended as it has to."""
    found, count = world.ended(run), world.executions(run)
    assert count <= 1, how
    assert found["status"] in ("completed", "failed"), how
    if completes is not None:
        assert (how, found["status"], found["error_message"]) == (
            how,
            "completed" if completes else "failed",
            None if completes else found["error_message"],
        )
    if found["status"] == "failed":
        assert "kill" in found["error_message"].lower(), how
    else:
        assert count == 1, how
        assert world.content(found["result"]["artifact"]) == b"weights " * 1000, how
        output = API(url=world.url).output(run)
        assert [f"line {number}\n" in output for number in range(5)] == [True] * 5, (how, output)
        assert output.endswith("the last words"), (how, output)

    def is_forgotten() -> bool:
        world.keep_agent()  # it may have died behind the end of the run
        return not any((world.directory / "runs").glob(f"{run}-*"))

    wait_until(is_forgotten)


def kills() -> list[tuple[str, str]]:
    """Steps and ways: each step once, by ways that take turns; more where more are wanted."""
    ways = ("self", "both", "all")
    found = []
    for number in range(max(KILLS, len(STEPS))):
        step = STEPS[number % len(STEPS)]
        way = "self" if step in OF_THE_AGENT else ways[(number + number // len(STEPS)) % len(ways)]
        found.append((step, way))
    return found


@pytest.mark.timeout(86_400 if KILLS else 600)
def test_a_kill_at_each_step_begins_nothing_twice_and_loses_nothing(world: World) -> None:
    for step, way in kills():
        (world.directory).mkdir(exist_ok=True)
        (world.directory / KILL_AT).write_text(f"{step} {way}")
        run = world.created()
        check(world, run, f"{step}, {way}", step in COMPLETES)
        assert not (world.directory / KILL_AT).exists(), f"nobody came to {step!r}: the test tests nothing"


def test_kills_at_any_moment_begin_nothing_twice(world: World) -> None:
    """Of any process of the agent's, at random."""
    seeded = random.Random(SEED)
    for number in range(max(2, KILLS // 4)):
        run = world.created()
        world.keep_agent()
        wait_until(lambda run=run: any((world.directory / "runs").glob(f"{run}-*")))  # type: ignore[misc]
        with contextlib.suppress(subprocess.TimeoutExpired):
            assert world.agent is not None
            world.agent.wait(seeded.uniform(0.0, 3.0))
        found = processes_of(world.directory)
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(seeded.choice(found), signal.SIGKILL)
        check(world, run, f"at random, {number}", None)


def processes_of(directory: Path) -> list[int]:
    """Processes whose command line names the directory: agent, supervisors, guardians, the code; senders, too."""
    found = []
    for path in sorted(Path("/proc").glob("[0-9]*/cmdline")):
        with contextlib.suppress(OSError):
            if str(directory).encode() in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found
