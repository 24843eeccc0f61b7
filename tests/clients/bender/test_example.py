"""The example of Bender's client, as it is."""

import json
import subprocess
from pathlib import Path

from kit.bender.server import Server

EXAMPLE = Path(__file__).parents[3] / "examples" / "bender_example.py"


def test_the_example_finds_a_good_trial(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".bender_token").write_text(json.dumps(server.token()))
    command = [str(server.python), str(EXAMPLE), f"{server.url}/bender"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=server.environment(tmp_path), timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    runs = server.api().runs("experiment = 'example' and group = 'small net'")
    assert len(runs) == 30
    best = min(one.last for run in runs for one in server.api().summaries(run.id) if one.metric == "loss")
    assert done.stdout.startswith(f"loss {best:.3f} with {{'lr':")
