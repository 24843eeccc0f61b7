"""`runstream tag`, `rename`, `notes`, `move`, `archive`, `restore` and `delete`: what is done with runs.

Each takes runs by id, name or the beginning of either, and those that take several also a filter, whose runs are shown
before anything is done.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from runstream_infra.cli.connecting import connected
from runstream_infra.cli.exits import BadInput
from runstream_infra.cli.finding import find_run, find_runs, short_ids
from runstream_infra.cli.options import example, json_option, place_options, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.tables import Column

if TYPE_CHECKING:
    from runstream.api import API, RunView

#: So many of the runs that a filter chose are shown before the question.
_SHOWN: Final = 20
_RESTORABLE: Final = "(archived or deleted)"

runs_argument = click.argument("words", metavar="[RUN]...", nargs=-1)
run_argument = click.argument("word", metavar="RUN")


def several_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What commands about several runs have: `words`, `filter_text`, `yes`, a place, a server and an output."""
    for option in (
        json_option,
        server_options,
        click.option("--yes", "-y", is_flag=True, help="Do not ask."),
        place_options,
        click.option("--filter", "filter_text", metavar="EXPR", help="All runs that this expression finds."),
        runs_argument,
    ):
        command = option(command)
    return command


@click.command(
    epilog=example(
        "runstream tag mlp-3 --add baseline --remove draft",
        "runstream tag --filter 'metric.val/loss.min < 0.1' --add good",
    )
)
@several_options
@click.option("--add", "-a", "added", multiple=True, metavar="TAG", help="A tag to add; several times for several.")
@click.option("--remove", "removed", multiple=True, metavar="TAG", help="A tag to remove; several times for several.")
def tag(added: tuple[str, ...], removed: tuple[str, ...], **options: Any) -> None:
    """Add tags to runs, or remove them."""
    if not added and not removed:
        raise BadInput("no tag is given: --add TAG or --remove TAG")
    parts = [f"add {', '.join(added)}"] * bool(added) + [f"remove {', '.join(removed)}"] * bool(removed)

    def change(api: "API", runs: Sequence[str]) -> None:
        if added:
            api.runs.add_tags(runs, added)
        if removed:
            api.runs.remove_tags(runs, removed)

    _manage(f"{' and '.join(parts)} on", "tagged", change, **options)


@click.command(epilog=example("runstream archive mlp-3", "runstream archive --filter 'status = \"failed\"' -p digits"))
@several_options
def archive(**options: Any) -> None:
    """Take runs out of lists; `runstream restore` brings them back."""
    _manage("archive", "archived", lambda api, runs: api.runs.archive(runs), **options)


@click.command(epilog=example("runstream restore mlp-3", "runstream restore --filter 'deleted and tag = \"sweep\"'"))
@several_options
def restore(**options: Any) -> None:
    """Bring runs back that were archived or deleted, with all that they have."""
    _manage("restore", "restored", lambda api, runs: api.runs.restore(runs), among=_RESTORABLE, **options)


@click.command(epilog=example("runstream delete mlp-3 --yes", "runstream delete --filter 'metric.loss.count < 10'"))
@several_options
def delete(**options: Any) -> None:
    """Mark runs as deleted: no list shows them, and `runstream restore` brings them back."""
    _manage("delete", "deleted", lambda api, runs: api.runs.delete(runs), asks=True, **options)


@click.command(
    epilog=example(
        "runstream move mlp-3 --to vision/digits", "runstream move --filter 'tag = \"old\"' --to vision/attic"
    )
)
@several_options
@click.option("--to", required=True, metavar="WORKSPACE/PROJECT[/EXPERIMENT]", help="Where the runs go.")
def move(to: str, **options: Any) -> None:
    """Move runs to another workspace, project and experiment."""
    workspace, _, rest = to.partition("/")
    project, _, experiment = rest.partition("/")
    if not workspace or not project:
        raise BadInput(f"--to is {to!r}: give WORKSPACE/PROJECT or WORKSPACE/PROJECT/EXPERIMENT")

    def change(api: "API", runs: Sequence[str]) -> None:
        api.runs.move(runs, workspace, project, experiment or None)

    _manage(f"move to {to}:", "moved", change, **options)


@click.command(epilog=example("runstream rename 8f3c 'wide, no dropout'"))
@run_argument
@click.argument("name", metavar="NAME")
@server_options
@json_option
def rename(word: str, name: str, url: str | None, api_key: str | None, output: Output) -> None:
    """Give a run another name."""
    with connected(url, api_key) as api:
        run = find_run(api, word)
        api.runs.rename(run.run, name)
    _tell(output, {"runs": [run.run], "name": name}, f"{run.run} is called {name} now")


@click.command(epilog=example("runstream notes mlp-3", "runstream notes mlp-3 'diverged after the restart'"))
@run_argument
@click.argument("text", metavar="[TEXT]", required=False)
@server_options
@json_option
def notes(word: str, text: str | None, url: str | None, api_key: str | None, output: Output) -> None:
    """Show the notes of a run, or replace them."""
    with connected(url, api_key) as api:
        run = find_run(api, word)
        if text is not None:
            api.runs.set_notes(run.run, text)
    if text is None:
        _tell(output, {"runs": [run.run], "notes": run.notes}, run.notes or "")
    else:
        _tell(output, {"runs": [run.run], "notes": text}, f"{run.run} has other notes now")


def _manage(
    what: str,
    done: str,
    change: "Callable[[API, Sequence[str]], object]",
    *,
    words: Sequence[str],
    filter_text: str | None,
    project: str | None,
    workspace: str | None,
    yes: bool,
    url: str | None,
    api_key: str | None,
    output: Output,
    asks: bool = False,
    among: str = "",
) -> None:
    """Find the runs, ask where it matters, and change them."""
    if bool(words) == bool(filter_text):
        raise BadInput("say which runs: by id or name, or all that --filter EXPR finds")
    with connected(url, api_key) as api:
        if filter_text:
            runs = list(api.runs(filter_text, project=project, workspace=workspace))
        else:
            runs = find_runs(api, words, project, workspace, among=among)
        if runs and not yes and (asks or filter_text):
            _ask(api, what, runs, output)
        ids = [run.run for run in runs]
        if ids:
            change(api, ids)
    shown = ids[0] if len(ids) == 1 else f"{len(ids)} runs"
    _tell(output, {"runs": ids, "done": done}, f"{done} {shown}" if ids else "no run matches: nothing is done")


def _ask(api: "API", what: str, runs: "Sequence[RunView]", output: Output) -> None:
    """Show the runs and ask whether to go on. Raises BadInput where nobody can be asked, Abort for a no."""
    question = f"{what} {len(runs)} run{'s' if len(runs) != 1 else ''}"
    if not sys.stdin.isatty():
        raise BadInput(f"{question}? Nobody can be asked here: give --yes")
    columns = [Column("id", "id", keep=3, short=partial(short_ids, api)), Column("name", "name", keep=2)]
    columns += [Column(key, key) for key in ("status", "project")]
    rows = [
        {"id": run.run, "name": run.display_name, "status": run.status, "project": run.project} for run in runs[:_SHOWN]
    ]
    if not output.as_json:
        output.table(columns, rows)
    if len(runs) > _SHOWN:
        output.note(f"and {len(runs) - _SHOWN} more")
    click.confirm(f"{question}?", abort=True, err=True)


def _tell(output: Output, result: dict[str, Any], line: str) -> None:
    if output.as_json:
        output.json(result)
    elif line:
        output.line(line)
