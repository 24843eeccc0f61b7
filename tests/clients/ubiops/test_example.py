"""The example of UbiOps' client runs as it stands, again too."""

import subprocess
from pathlib import Path

from kit.foreign import own
from kit.ubiops.server import Server

EXAMPLE = Path(__file__).parents[3] / "examples" / "ubiops_example.py"


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
