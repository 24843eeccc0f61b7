"""The examples of UbiOps' client run as they stand."""

import subprocess
from pathlib import Path

from kit.foreign import own
from kit.ubiops.agents import running_agent
from kit.ubiops.server import Server

EXAMPLES = Path(__file__).parents[3] / "examples"
EXAMPLE = EXAMPLES / "ubiops_example.py"
EXECUTED = EXAMPLES / "ubiops_agent_example.py"


def test_the_example_runs_as_it_stands(server: Server) -> None:
    environment = own() | {"UBIOPS_API_HOST": f"{server.url}/ubiops/v2.1", "UBIOPS_API_TOKEN": f"Token {server.key}"}
    runs = []
    for _ in range(2):
        command = [str(server.python), str(EXAMPLE)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        *variables, run = done.stdout.splitlines()[-3:]
        assert variables == ["DATABASE_PASSWORD = (secret)", "SYS_DEFAULT_BUCKET = default"]
        assert run.endswith(" is pending")
        runs.append(run.split()[1])
    found = server.api().runs("project = 'digits' and param.epochs = 15")
    assert sorted(one.id for one in found) == sorted(runs)


def test_the_example_of_an_agent_runs_as_it_stands(server: Server, tmp_path: Path) -> None:
    environment = own() | {"UBIOPS_API_HOST": f"{server.url}/ubiops/v2.1", "UBIOPS_API_TOKEN": f"Token {server.key}"}
    with running_agent(server, "executed-digits", tmp_path / "agent"):
        command = [str(server.python), str(EXECUTED)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    status, result = done.stdout.splitlines()[-2:]
    assert status.endswith(" is completed")
    run = status.split()[1]
    assert result == f"slope 3.000 in ubiops-file://default/{run}/slope.txt"
    output = str(server.api().output(run))
    assert "epoch 49: slope 3.0000\n" in output
    assert "hunter2" not in output
