"""Runs of the unmodified `ubiops.Training` that an agent executes."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from kit.ubiops.agents import running_agent, told
from kit.ubiops.server import Server
from kit.waiting import wait_until

PROJECT: Final = "executed"
SECRET: Final = "hunter2-of-a-training"
RUNS: Final = f"projects/{PROJECT}/deployments/training-base-deployment/versions"

GOOD: Final = """
import os, sys
def train(training_data, parameters, context):
    print("epochs", parameters["epochs"], "for", context["experiment"], context["id"])
    print("region", os.environ["REGION"], "token", os.environ["TOKEN"])
    print("to stderr", file=sys.stderr)
    rows = open(training_data).read().split()
    with open("model.txt", "w") as file:
        file.write("weights of " + os.environ["TOKEN"][::-1])
    os.makedirs("more", exist_ok=True)
    for name in ("more/model.txt", "history.csv"):
        with open(name, "w") as file:
            file.write(name)
    return {
        "artifact": "model.txt",
        "metadata": {"rows": len(rows), "lists": [1, {"a": None}]},
        "metrics": {"accuracy": 0.75, "bad": float("nan"), "epochs": parameters["epochs"]},
        "additional_output_files": ["more/model.txt", "history.csv"],
    }
"""
FAILING: Final = """
def deeper(x):
    raise ValueError(f"no good: {x}")
def train(training_data, parameters, context):
    print("before it fails")
    deeper(7)
"""
SLOW: Final = """
import time, os
def train(training_data, parameters, context):
    print("begun", os.getpid(), flush=True)
    time.sleep(600)
"""
REQUIRING: Final = """
def train(training_data, parameters, context):
    import tinyrs
    return {"metadata": {"answer": tinyrs.ANSWER, "from": tinyrs.__file__}}
"""
COUNTING: Final = """
def train(training_data, parameters, context):
    with open(parameters["log"], "a") as file:
        file.write(context["id"] + "\\n")
    return {"metrics": {"n": parameters["n"]}}
"""


def wheel() -> bytes:
    """A package `tinyrs`, built by hand: nothing has to be fetched for it."""
    files = {
        "tinyrs/__init__.py": b"ANSWER = 42\n",
        "tinyrs-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinyrs\nVersion: 1.0\n",
        "tinyrs-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for name, data in files.items()
    )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr("tinyrs-1.0.dist-info/RECORD", record + "tinyrs-1.0.dist-info/RECORD,,\n")
    return packed.getvalue()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("agents") / "one"


@pytest.fixture(scope="module")
def created(server: Server, directory: Path) -> Iterator[dict[str, str]]:
    """Runs, by name, which an agent with two slots executes."""
    package = {
        "train.py": REQUIRING,
        "requirements.txt": "./tinyrs-1.0-py3-none-any.whl\n",
        "tinyrs-1.0-py3-none-any.whl": {"hex": wheel().hex()},
    }
    runs: list[dict[str, Any]] = [
        {"name": "slow", "code": {"train.py": SLOW}},
        {"name": "good", "code": {"train.py": GOOD}, "data": "1\n2\n3\n", "parameters": {"epochs": 3}},
        {"name": "failing", "code": {"main.py": FAILING}},
        {"name": "late", "code": {"train.py": SLOW}, "timeout": 2},
        {"name": "requiring", "code": package},
        {"name": "again", "code": package},
        {"name": "without", "code": {"model.py": "x = 1\n", "other.py": ""}},
        {"name": "empty", "code": {"train.py": "def train(*_):\n    pass\n"}},
    ]
    variables = [("TOKEN", SECRET, True), ("REGION", "eu", False)]
    made: dict[str, str] = told(
        server, "create", project=PROJECT, experiment="e", environment="python3-11", variables=variables, runs=runs
    )
    with running_agent(server, PROJECT, directory, "--slots", "2"):
        yield made


@pytest.fixture(scope="module")
def ended(server: Server, created: dict[str, str]) -> dict[str, Any]:
    """What the client reads of the runs that end by themselves, by name."""
    names = [name for name in created if name != "slow"]
    found = told(server, "wait", project=PROJECT, experiment="e", runs=[created[name] for name in names])
    return {name: found[created[name]] for name in names}


def output_of(server: Server, run: str) -> str:
    return str(server.api().output(run))


def test_a_run_is_executed_with_its_parameters_data_and_variables(
    server: Server, created: dict[str, str], ended: dict[str, Any]
) -> None:
    run, found = created["good"], ended["good"]
    assert (found["status"], found["error"]) == ("completed", None)
    uris = [f"ubiops-file://default/{run}/{name}" for name in ("model.txt", "2-model.txt", "history.csv")]
    assert found["result"] == {
        "artifact": uris[0],
        "metadata": {"rows": 3, "lists": [1, {"a": None}]},
        "metrics": {"accuracy": 0.75, "bad": "nan", "epochs": 3},
        "additional_output_files": uris[1:],
    }
    weights = f"weights of {SECRET[::-1]}"
    assert found["files"] == dict(zip(uris, (weights, "more/model.txt", "history.csv"), strict=True))
    output = output_of(server, run)
    assert f"epochs 3 for e {run}\n" in output
    assert "to stderr\n" in output
    assert "region eu token " in output
    assert SECRET not in output


def test_it_is_a_run_of_runstream(server: Server, created: dict[str, str], ended: dict[str, Any]) -> None:
    assert ended["good"]["status"] == "completed"
    run = server.api().run(created["good"])
    assert (run.status, run.project, run.experiment) == ("finished", PROJECT, "e")
    last = {one.metric: one.last for one in server.api().summaries(run.id) if not one.metric.startswith("system/")}
    assert last.pop("bad") != last.get("bad"), "NaN"
    assert last == {"accuracy": 0.75, "epochs": 3.0}
    found = server.api().runs(f"project = '{PROJECT}' and metric.accuracy > 0.7")
    assert [one.id for one in found] == [run.id]


def test_failing_code_fails_its_run_with_the_traceback_in_the_output(
    server: Server, created: dict[str, str], ended: dict[str, Any]
) -> None:
    found = ended["failing"]
    assert (found["status"], found["error"], found["result"]) == ("failed", "ValueError: no good: 7", {})
    output = output_of(server, created["failing"])
    assert "before it fails\n" in output
    assert "Traceback (most recent call last)" in output
    assert "in deeper" in output
    assert server.api().run(created["failing"]).status == "failed"


def test_a_run_is_stopped_after_its_timeout(created: dict[str, str], ended: dict[str, Any]) -> None:
    found = ended["late"]
    assert found["status"] == "failed"
    assert "stopped after 2 s" in found["error"]


def test_requirements_are_installed_once(created: dict[str, str], ended: dict[str, Any], directory: Path) -> None:
    first, again = ended["requiring"], ended["again"]
    assert (first["status"], first["error"]) == ("completed", None)
    assert first["result"]["metadata"]["answer"] == 42
    assert again["result"]["metadata"] == first["result"]["metadata"], "the same environment"
    assert len([one for one in (directory / "envs").iterdir() if one.is_symlink()]) == 2, "this one, and the empty one"


def test_code_without_train_fails_its_run(ended: dict[str, Any]) -> None:
    assert ended["without"]["status"] == "failed"
    assert "has no train.py" in ended["without"]["error"]


def test_a_run_that_returns_nothing_completes(ended: dict[str, Any]) -> None:
    found = ended["empty"]
    empty: Any = {"artifact": None, "metadata": None, "metrics": {}, "additional_output_files": []}
    assert (found["status"], found["result"]) == ("completed", empty)


def test_a_run_is_cancelled_while_it_is_executed(server: Server, created: dict[str, str], directory: Path) -> None:
    run = created["slow"]
    wait_until(lambda: "begun" in output_of(server, run))
    assert server.ubiops(f"{RUNS}/e/requests/{run}")[1]["status"] == "processing"
    pid = int(output_of(server, run).partition("begun ")[2].split()[0])
    told(server, "cancel", project=PROJECT, experiment="e", run=run)
    assert server.ubiops(f"{RUNS}/e/requests/{run}")[1]["status"] == "cancelled"
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    wait_until(lambda: not any(run in one.name for one in (directory / "runs").iterdir()))
    assert server.ubiops(f"{RUNS}/e/requests/{run}")[1]["status"] == "cancelled"
    assert server.api().run(run).status == "killed"


def test_no_secret_stands_in_any_file(server: Server, ended: dict[str, Any], directory: Path) -> None:
    assert ended["good"]["status"] == "completed"
    for path in directory.parent.rglob("*"):
        if path.is_file() and not path.is_symlink() and "envs" not in path.parts:
            assert SECRET.encode() not in path.read_bytes(), path


def test_two_agents_execute_each_run_once(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "executed.log"
    runs = [
        {"name": f"r{number}", "code": {"train.py": COUNTING}, "parameters": {"log": str(log), "n": number}}
        for number in range(20)
    ]
    made = told(server, "create", project="shared-out", experiment="e", environment="python3-11", runs=runs)
    with (
        running_agent(server, "shared-out", tmp_path / "a", "--slots", "2"),
        running_agent(server, "shared-out", tmp_path / "b", "--slots", "2"),
    ):
        found = told(server, "wait", project="shared-out", experiment="e", runs=list(made.values()))
    assert {one["status"] for one in found.values()} == {"completed"}
    assert {found[made[f"r{number}"]]["result"]["metrics"]["n"] for number in range(20)} == set(range(20))
    assert sorted(log.read_text().split()) == sorted(made.values())
    hosts = [path for name in ("a", "b") for path in (tmp_path / name).glob("name")]
    assert len({path.read_text() for path in hosts}) == 2
