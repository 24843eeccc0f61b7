"""The example of Comet's client runs as it stands."""

import subprocess
from pathlib import Path

from kit.comet.logged import KEY
from kit.comet.processes import Writing, client_environment
from runstream.api import API

EXAMPLE = Path(__file__).parents[3] / "examples" / "comet_example.py"


def test_the_example_runs_as_it_stands(writing: Writing, tmp_path: Path) -> None:
    environment = client_environment(writing.home, writing.url) | {"COMET_WORKSPACE": "examples"}
    done = subprocess.run(
        [str(writing.python), str(EXAMPLE)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "descent: lowest loss 2.04e-10"
    (run,) = API(url=writing.url, api_key=KEY).runs("project = 'parabola'")
    assert (run.name, run.status, run.tags) == ("descent", "finished", ("example",))
