"""The example of ML Aide's client runs as it stands."""

import subprocess
from pathlib import Path

from kit.foreign import own
from kit.mlaide.server import Server

EXAMPLE = Path(__file__).parents[3] / "examples" / "mlaide_example.py"


def test_the_example_runs_as_it_stands(server: Server) -> None:
    command = [str(server.python), str(EXAMPLE), f"{server.url}/mlaide/api/v1"]
    environment = own() | {"MLAIDE_API_KEY": server.key}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-2:] == [
        "rate 0.4: loss 1.1e-28",
        "version 3 of the model is at 1.05e-14",
    ]
    runs = server.api().runs("project = 'parabola' and metric.loss.min < 1e-3", sort="metric.loss.min")
    assert [run.name for run in runs] == ["rate 0.4", "rate 0.1"]
