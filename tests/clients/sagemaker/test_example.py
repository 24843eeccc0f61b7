"""The example, as it stands."""

import subprocess
from pathlib import Path

from kit.foreign import own
from kit.sagemaker.server import KEY, Server

EXAMPLE = Path(__file__).parents[3] / "examples" / "sagemaker_example.py"


def test_the_example_finds_the_rates_that_descend(server: Server) -> None:
    command = [str(server.python), str(EXAMPLE), server.url, KEY]
    done = subprocess.run(command, capture_output=True, text=True, env=own(), timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["rate 0.4", "rate 0.1"]
    best = server.api().runs("param.rate = 0.4 and metric.loss.min < 0.01")
    assert [one.project for one in best] == ["sagemaker"]
    assert "sagemaker-table" in {one.kind for one in server.api().assets(best[0])}
