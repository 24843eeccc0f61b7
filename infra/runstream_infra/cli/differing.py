"""`runstream compare`: two or more runs side by side, only what differs."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from runstream_infra.cli.connecting import connected
from runstream_infra.cli.exits import BadInput
from runstream_infra.cli.finding import find_runs
from runstream_infra.cli.options import example, json_option, place_options, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.reading import readable
from runstream_infra.cli.rows import run_row
from runstream_infra.cli.tables import Column
from runstream_infra.cli.values import plain

if TYPE_CHECKING:
    from runstream.api import API, RunView

#: What is read of each kind, and the title over it.
_KINDS: Final = (
    ("param.", "Parameters"),
    ("metric.", "Metrics, last value"),
    ("other.", "Other values"),
    ("env.", "Environment"),
)
#: What of a run itself differs whenever runs do.
_OWN: Final = frozenset({"id", "name", "created", "started", "ended", "updated"})
#: Runs side by side: each takes a column.
_MAX_RUNS: Final = 50
_SYSTEM: Final = "metric.system/"


@click.command(
    epilog=example(
        "runstream compare mlp-3 mlp-4",
        "runstream compare --filter 'tag = \"sweep\"' -p digits --all",
    )
)
@click.argument("words", metavar="[RUN]...", nargs=-1)
@click.option("--filter", "filter_text", metavar="EXPR", help="All runs that this expression finds.")
@place_options
@click.option("--all", "everything", is_flag=True, help="Show what is equal, too.")
@click.option("--system", is_flag=True, help="Show metrics of the system, too.")
@server_options
@json_option
def compare(
    words: tuple[str, ...],
    filter_text: str | None,
    project: str | None,
    workspace: str | None,
    everything: bool,
    system: bool,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """Show two or more runs side by side: only what differs between them.

    RUN is its id, its name, the beginning of either, or `latest`.
    """
    if bool(words) == bool(filter_text):
        raise BadInput("say which runs: by id or name, or all that --filter EXPR finds")
    with connected(url, api_key) as api:
        found = (
            list(api.runs(filter_text, limit=_MAX_RUNS + 1, project=project, workspace=workspace))
            if filter_text
            else find_runs(api, words, project, workspace)
        )
        if not 2 <= len(found) <= _MAX_RUNS:
            raise BadInput(f"{len(found)} runs cannot be compared: give 2 to {_MAX_RUNS}")
        runs = _with_columns(api, [run.run for run in found])
    _show(runs, everything, system, output)


def _with_columns(api: "API", ids: Sequence[str]) -> "list[RunView]":
    """Read the runs with all that is compared, in the order of their ids."""
    from runstream.query.literals import quoted

    wanted = f"id in ({', '.join(map(quoted, ids))}) and (archived or not archived) and (deleted or not deleted)"
    found = {run.run: run for run in api.runs(wanted, columns=[f"{kind}*" for kind, _ in _KINDS])}
    return [found[one] for one in ids if one in found]


def _show(runs: "Sequence[RunView]", everything: bool, system: bool, output: Output) -> None:
    rows = [readable(run_row(run)) for run in runs]
    sections = {"Runs": compared([{key: row[key] for key in _own_keys(runs)} for row in rows], everything)}
    for kind, title in _KINDS:
        values = [
            {
                name.removeprefix(kind): value
                for name, value in run.columns.items()
                if name.startswith(kind) and (system or not name.startswith(_SYSTEM))
            }
            for run in runs
        ]
        sections[title] = compared(values, everything)
    if output.as_json:
        output.json({"runs": [run.run for run in runs], "compared": sections})
        return
    titles = ["", *(run.display_name for run in runs)]
    columns = [Column(str(at), title, keep=len(titles) - at) for at, title in enumerate(titles)]
    texts = {
        title: [[name, *map(plain, values)] for name, values in lines.items()] for title, lines in sections.items()
    }
    widths = [
        max((len(line[at]) for lines in texts.values() for line in lines), default=0) for at in range(len(titles))
    ]
    for title, lines in texts.items():
        if lines:
            output.heading(title)
            output.table(columns, [_padded(line, widths) for line in lines])
    if not any(texts.values()):
        output.line("nothing differs")


def _own_keys(runs: "Sequence[RunView]") -> list[str]:
    return [key for key in run_row(runs[0]) if key not in _OWN and key not in runs[0].columns]


def compared(runs: Sequence[Mapping[str, Any]], everything: bool) -> dict[str, list[Any]]:
    """Return the values of the runs by name, None where one has none: those that differ, or all. Pure."""
    names = sorted({name for run in runs for name in run})
    values = {name: [run.get(name) for run in runs] for name in names}
    return {name: found for name, found in values.items() if everything or not _are_equal(found)}


def _are_equal(values: Sequence[Any]) -> bool:
    return all(one == values[0] or (_is_nan(one) and _is_nan(values[0])) for one in values)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _padded(texts: Sequence[str], widths: Sequence[int]) -> dict[str, str]:
    """A row whose cells are as wide as those of all sections, so that runs stand below each other."""
    return {str(at): text.ljust(width) for at, (text, width) in enumerate(zip(texts, widths, strict=True))}
