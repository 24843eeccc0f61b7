"""`runstream demo`."""

import os
import sys
from pathlib import Path

import click

from runstream_infra.cli.exits import Failed
from runstream_infra.cli.options import example, json_option
from runstream_infra.cli.output import Output

DEFAULT_FOLDER = Path("demo-out")
#: A step takes about 1.5 ms, so that six models on two processors are trained in about 15 s.
DEFAULT_STEPS = 2500


@click.command(
    epilog=example("runstream demo", "runstream demo --steps 500 --no-keep", "runstream demo --json > demo.json")
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    help="Where data, spool, the server's log and the picture go. A second demo there adds to it.",
)
@click.option(
    "--steps", type=click.IntRange(200, 1_000_000), default=DEFAULT_STEPS, show_default=True, help="Steps of a model."
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=lambda: max(2, min(8, os.cpu_count() or 2)),
    help="Models trained at the same time. Default: one a processor, 2 to 8.",
)
@click.option(
    "--keep/--no-keep",
    default=None,
    help="Whether the server runs on until Ctrl-C. Default: if the output goes to a terminal.",
)
@json_option
def demo(folder: Path, steps: int, jobs: int, keep: bool | None, output: Output) -> int:
    """Show everything at work: start a server, train a sweep of real models, read all of it back.

    Exit code 0 only if every point that was logged is acknowledged and visible.
    """
    from runstream.packages import is_installed

    missing = [name for name in ("sklearn", "matplotlib", "chdb", "aiohttp") if not is_installed(name)]
    if missing:
        raise Failed(f"the demo needs {' and '.join(missing)}: pip install 'runstream[demo]'")
    from runstream_infra.demo.running import Demo, run_demo

    kept = sys.stdout.isatty() and not output.as_json if keep is None else keep
    return run_demo(Demo(folder, steps, jobs, kept, output))
