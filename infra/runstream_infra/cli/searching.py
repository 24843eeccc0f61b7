"""`runstream sweep`: searches for the best parameters, and programs that are started for each trial."""

import contextlib
import itertools
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from runstream_infra.cli.connecting import client_settings, explained, secret_of
from runstream_infra.cli.exits import OK, BadInput, Failed, Unreachable
from runstream_infra.cli.options import example, json_option, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.tables import Column
from runstream_infra.cli.values import plain, plain_number

if TYPE_CHECKING:
    from runstream.sweeping.sweep import Sweep, Trial, TrialState

_MAX_CONFIG_BYTES: Final = 1_000_000
#: How long a command waits for a server that is away.
_TIMEOUT_S: Final = 60.0
#: `{lr}` in an argument; `{{` and `}}` are braces.
_PLACE: Final = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


@click.group()
def sweep() -> None:
    """Search for the best parameters of a program.

    In Python, `runstream.sweep` does it; these commands start programs, and show what came of them.
    """


name_argument = click.argument("name", metavar="NAME")
project_option = click.option(
    "--project", "-p", metavar="NAME", help="Of the sweep. Default: RUNSTREAM_PROJECT or the settings file."
)
workspace_option = click.option(
    "--workspace", metavar="NAME", help="Of the project. Default: RUNSTREAM_WORKSPACE or the settings file."
)


@sweep.command(epilog=example("runstream sweep create lr sweep.json -p digits"))
@name_argument
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@project_option
@workspace_option
@server_options
@json_option
def create(
    name: str,
    file: Path,
    project: str | None,
    workspace: str | None,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """Create a sweep of a JSON file: {"space": {"lr": {"min": 1e-5, "max": 1, "scale": "log"}}, "metric": "loss",
    "max_trials": 40, ...}, with the arguments of `runstream.sweep`. One that is there as the file says stays."""
    config = _config_in(file)
    with _opened(name, project, workspace, url, api_key, config) as made:
        if output.as_json:
            output.json({"name": made.name, "limit": made.limit, "size": made.size, "config": dict(made.config)})
        else:
            output.line(f"{made.name} in {made.workspace}/{made.project}: at most {made.limit} trials")


@sweep.command(epilog=example("runstream sweep show lr -p digits"))
@name_argument
@project_option
@workspace_option
@server_options
@json_option
def show(
    name: str, project: str | None, workspace: str | None, url: str | None, api_key: str | None, output: Output
) -> None:
    """Show the trials of a sweep, the best one marked."""
    with _opened(name, project, workspace, url, api_key) as found:
        trials, best = found.trials(), found.best()
    if output.as_json:
        rows = [_row(one) for one in trials]
        output.json({"config": dict(found.config), "trials": rows, "best": None if best is None else _row(best)})
        return
    names = list(found.config["space"])
    columns = [
        Column("number", "trial", right=True, keep=9),
        Column("status", "status", keep=8),
        Column("value", str(found.config["metric"]), right=True, keep=9),
        *(Column(f"param {one}", one, keep=5) for one in names),
        Column("run", "run", keep=1),
    ]
    output.table(columns, [_cells(one, best) for one in trials])
    output.line(f"{len(trials)} of {found.limit} trials")


@sweep.command(epilog=example("runstream sweep delete lr -p digits"))
@name_argument
@project_option
@workspace_option
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@server_options
@json_option
def delete(
    name: str,
    project: str | None,
    workspace: str | None,
    yes: bool,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """Delete a sweep with its trials. Their runs stay: `runstream delete --filter 'group = "NAME"'` deletes those."""
    with _opened(name, project, workspace, url, api_key) as found:
        if not yes:
            _ask(f"delete the sweep {found.name} of {found.workspace}/{found.project}", len(found.trials()))
        found.delete()
    if output.as_json:
        output.json({"deleted": found.name})
    else:
        output.line(f"{found.name} in {found.workspace}/{found.project} deleted")


def _ask(what: str, trials: int) -> None:
    question = f"{what}, which gave {trials} trial{'s' if trials != 1 else ''}"
    if not sys.stdin.isatty():
        raise BadInput(f"{question}? Nobody can be asked here: give --yes")
    click.confirm(f"{question}?", abort=True, err=True)


@sweep.command(
    context_settings={"ignore_unknown_options": True},
    epilog=example(
        "runstream sweep agent lr -p digits -- python train.py --lr {lr} --layers {layers}",
    ),
)
@name_argument
@click.argument("command", metavar="-- COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@project_option
@workspace_option
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after so many trials.")
@click.option(
    "--max-failures", type=click.IntRange(1), default=3, show_default=True, help="End after so many in a row that fail."
)
@server_options
@json_option
def agent(
    name: str,
    command: tuple[str, ...],
    project: str | None,
    workspace: str | None,
    count: int | None,
    max_failures: int,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> int:
    """Start COMMAND for each trial, one after the other, until none is left. {NAME} in an argument becomes the value of
    a parameter ({{ and }} are braces).

    COMMAND begins its run with `runstream.current_trial().run()`. Start several agents, on any machines, for several
    trials at once. One that finds none left waits ten minutes at most for those that others have.
    """
    with _opened(name, project, workspace, url, api_key) as found:
        _check_places(command, list(found.config["space"]))
        ended = _work(found, command, count, max_failures, output)
    if output.as_json:
        output.json({"trials": ended})
    return OK


def _work(
    found: "Sweep", command: tuple[str, ...], count: int | None, most: int, output: Output
) -> list[dict[str, Any]]:
    from runstream.sweeping.sweep import PATIENCE_S

    ended: list[dict[str, Any]] = []
    failures = 0
    # Programs of its own that died may be tried again, too.
    for trial in itertools.islice(found.patient(PATIENCE_S), count):
        status = _started(trial, command)
        ended.append({"number": trial.number, "exit": status})
        if not output.as_json:
            output.line(f"trial {trial.number} {'ended' if status == 0 else f'failed with {status}'}")
        failures = failures + 1 if status else 0
        if failures >= most:
            raise Failed(f"{failures} trials in a row failed, the last one ({trial.number}) with {status}: see above")
    return ended


def _started(trial: "Trial", command: tuple[str, ...]) -> int:
    """Run the command of a trial, and return its exit status. Raises BadInput where it cannot be started."""
    import os
    import subprocess

    from runstream.sweeping.environment import environment_of

    arguments = [filled(one, trial.params) for one in command]
    try:
        return subprocess.run(arguments, env={**os.environ, **environment_of(trial)}, check=False).returncode
    except OSError as error:
        raise BadInput(f"{arguments[0]!r} cannot be started ({error.strerror}): give a program that is there") from None


def filled(argument: str, values: Mapping[str, Any]) -> str:
    """Return an argument with the values of a trial: texts as they are, all else as JSON."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return found.group()[0]
        given = values[name]
        return given if isinstance(given, str) else json.dumps(given)

    return _PLACE.sub(value, argument)


def _check_places(command: tuple[str, ...], names: list[str]) -> None:
    for argument in command:
        for name in _PLACE.findall(argument):
            if name and name not in names:
                raise BadInput(
                    f"the sweep has no parameter {name!r}: give some of {', '.join(names)}, or {{{{ for a brace"
                )


def _config_in(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > _MAX_CONFIG_BYTES:
            raise BadInput(f"{file} has more than {_MAX_CONFIG_BYTES} bytes: give a sweep")
        config = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{file} cannot be read as JSON: {error}") from None
    if not isinstance(config, dict):
        raise BadInput(f"{file} is no JSON object: give one with space and metric")
    return config


@contextlib.contextmanager
def _opened(
    name: str,
    project: str | None,
    workspace: str | None,
    url: str | None,
    api_key: str | None,
    config: Mapping[str, Any] | None = None,
) -> "Iterator[Sweep]":
    """Yield the sweep; its errors leave the block as those of a command."""
    from runstream.errors import Unavailable
    from runstream.sweeping.opening import open_sweep
    from runstream.sweeping.requests import TrialServer

    settings = client_settings(url=url, api_key=api_key, project=project, workspace=workspace)
    values = settings.values
    server = TrialServer(values.url, secret_of(settings), _TIMEOUT_S)
    with explained(values.url):
        try:
            yield open_sweep(server, values.workspace, values.project, name, config)
        except Unavailable as error:
            raise Unreachable(str(error)) from None


def _row(one: "TrialState") -> dict[str, Any]:
    return {
        "number": one.number,
        "status": one.status,
        "value": one.value,
        "params": dict(one.params),
        "run": one.run_id,
        "attempt": one.attempt,
    }


def _cells(one: "TrialState", best: "TrialState | None") -> dict[str, str]:
    is_best = best is not None and one.number == best.number
    return {
        "number": str(one.number),
        "status": f"{one.status}, best" if is_best else one.status,
        "value": "" if one.value is None else plain_number(one.value),
        "run": one.run_id,
        **{f"param {name}": plain(value) for name, value in one.params.items()},
    }
