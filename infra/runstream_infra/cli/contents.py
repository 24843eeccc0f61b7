"""`runstream output`, `download` and `projects`: what runs printed and kept, and where they are."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from runstream_infra.cli.connecting import connected
from runstream_infra.cli.exits import BadInput
from runstream_infra.cli.finding import find_run
from runstream_infra.cli.options import example, json_option, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.rows import project_row
from runstream_infra.cli.tables import Column, printable
from runstream_infra.cli.values import plain_bytes, plain_time

if TYPE_CHECKING:
    from runstream.api import OutputLine, Table


@click.command(
    epilog=example(
        "runstream output mlp-3",
        "runstream output latest --stream stderr | less -R",
        "runstream output latest --last 50",
        "runstream output mlp-3 --search 'out of memory' --ignore-case",
    )
)
@click.argument("word", metavar="RUN")
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this stream.")
@click.option("--last", "-n", type=click.IntRange(1, 1_000_000), metavar="N", help="Only the last N lines.")
@click.option("--search", metavar="TEXT", help="Only lines that have this text, with their numbers.")
@click.option("--regex", is_flag=True, help="TEXT is a regular expression (RE2).")
@click.option("--ignore-case", "-i", is_flag=True, help="Search without regard to case.")
@server_options
@json_option
def output(
    word: str,
    stream: Literal["stdout", "stderr"] | None,
    last: int | None,
    search: str | None,
    regex: bool,
    ignore_case: bool,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """Show what a run printed.

    On a terminal what could move the cursor is shown and not done; in a pipe the text is as it was printed.
    """
    with connected(url, api_key) as api:
        run = find_run(api, word)
        if search is not None:
            found = api.runs.search_output(
                run, search, last or 1000, regex=regex, ignore_case=ignore_case, stream=stream
            )
            _show_lines(run.run, found, output, numbered=True)
            return
        if last is not None:
            _show_lines(run.run, api.runs.output_lines(run, -last, last, stream=stream), output)
            return
        text = api.output(run, stream)
    if output.as_json:
        output.json({"run": run.run, "output": text})
    elif output.out.is_terminal:
        for line in text.splitlines():
            output.line(printable(line))
    else:
        sys.stdout.write(text)
    if not text:
        output.note(f"run {run.run} printed nothing that was kept")


def _show_lines(run: str, lines: "Table[OutputLine]", output: Output, *, numbered: bool = False) -> None:
    if output.as_json:
        shown = ("number", "writer", "stream", "text", "cut")
        rows = [{"at": one.at.isoformat()} | {name: getattr(one, name) for name in shown} for one in lines]
        output.json({"run": run, "lines": rows, "more": lines.more})
        return
    for one in lines:
        output.line(f"{one.number}: {printable(one.text)}" if numbered else printable(one.text))
    if lines.more:
        output.note("there are more: --last N shows the first N that are found")
    if not lines:
        output.note(f"run {run} printed no such line")


@click.command(
    epilog=example("runstream download mlp-3", "runstream download mlp-3 confusion.png weights.pt --to results")
)
@click.argument("word", metavar="RUN")
@click.argument("names", metavar="[FILE]...", nargs=-1)
@click.option(
    "--to",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="FOLDER",
    help="Where the files go; it is made if it is not there. Default: here.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there.")
@click.option("--kind", metavar="KIND", help="Only files of this kind: image, text, table, histogram, model, ...")
@server_options
@json_option
def download(
    word: str,
    names: tuple[str, ...],
    to: Path,
    overwrite: bool,
    kind: str | None,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """Get files of a run: all, or those that are named, by name or id (`runstream show RUN` lists them).

    Of several files with one name the newest has it; the others have their step, or their id, before the ending. Files
    that are there are not replaced. Of a file that is elsewhere the address is shown, and nothing is written.
    """
    with connected(url, api_key) as api:
        run = find_run(api, word)
        assets = list(api.assets(run, kind))
        chosen = [one for one in assets if not names or one.name in names or one.asset in names]
        missing = [name for name in names if name not in {word for one in assets for word in (one.name, one.asset)}]
        if missing:
            raise BadInput(f"run {run.run} has no file {missing[0]!r}: `runstream show {run.run}` lists what it has")
        here = [one for one in chosen if one.location is None]
        written = api.download_all(here, to, overwrite=overwrite)
    elsewhere = [{"name": one.name, "location": one.location} for one in chosen if one.location is not None]
    if output.as_json:
        output.json({"run": run.run, "files": [str(path) for path in written], "elsewhere": elsewhere})
        return
    for one in elsewhere:
        output.line(f"{one['name']} is elsewhere, at {one['location']}: get it from there")
    size = sum(one.size_bytes for one in here)
    output.line(f"{len(written)} file{'s' if len(written) != 1 else ''} ({plain_bytes(size)}) in {to}")


@click.command(epilog=example("runstream projects", "runstream projects --workspace research --json"))
@click.option("--workspace", metavar="NAME", help="Only this workspace.")
@server_options
@json_option
def projects(workspace: str | None, url: str | None, api_key: str | None, output: Output) -> None:
    """List projects, with how many runs each has and when it last changed."""
    with connected(url, api_key) as api:
        rows: list[dict[str, Any]] = [project_row(one) for one in api.projects(workspace)]
    if output.as_json:
        output.json({"projects": rows})
        return
    for row in rows:
        row["updated"] = plain_time(row["updated_at"]) if row["updated_at"] else None
    columns = [
        Column("workspace", "workspace", keep=5),
        Column("project", "project", keep=9),
        Column("runs", "runs", right=True, keep=8),
        Column("updated", "updated", keep=4),
        *(Column(key, key, keep=2) for key in ("description", "notes") if any(row[key] for row in rows)),
    ]
    output.table(columns, rows)
    if not rows:
        output.note("there are no projects here yet")
