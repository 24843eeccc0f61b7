"""The examples of Comet's client run as they stand."""

import subprocess
from pathlib import Path

from kit.comet.logged import KEY
from kit.comet.processes import Writing, client_environment
from runstream.api import API

EXAMPLES = Path(__file__).parents[3] / "examples"


def last_line(writing: Writing, folder: Path, name: str) -> str:
    """What an example prints at its end."""
    environment = client_environment(writing.home, writing.url) | {"COMET_WORKSPACE": "examples"}
    done = subprocess.run(
        [str(writing.python), str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


def test_the_example_runs_as_it_stands(writing: Writing, tmp_path: Path) -> None:
    assert last_line(writing, tmp_path, "comet_example.py") == "descent: lowest loss 2.04e-10"
    (run,) = API(url=writing.url, api_key=KEY).runs("project = 'parabola'")
    assert (run.name, run.status, run.tags) == ("descent", "finished", ("example",))


def test_the_example_of_a_search_runs_as_it_stands(writing: Writing, tmp_path: Path) -> None:
    told = last_line(writing, tmp_path, "comet_optimizer_example.py")
    assert told.startswith("completed: 6 experiments, lowest loss ")
    runs = API(url=writing.url, api_key=KEY).runs("workspace = 'examples' and project = 'search'")
    assert {one.status for one in runs} == {"finished"}
    assert len(runs) == 6
