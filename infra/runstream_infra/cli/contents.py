"""`runstream output`, `download` and `projects`: what runs printed and kept, and where they are."""

import sys
from pathlib import Path
from typing import Any, Literal

import click

from runstream_infra.cli.connecting import connected
from runstream_infra.cli.exits import BadInput
from runstream_infra.cli.finding import find_run
from runstream_infra.cli.options import example, json_option, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.rows import project_row
from runstream_infra.cli.tables import Column, printable
from runstream_infra.cli.values import plain_bytes, plain_time


@click.command(epilog=example("runstream output mlp-3", "runstream output latest --stream stderr | less -R"))
@click.argument("word", metavar="RUN")
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this stream.")
@server_options
@json_option
def output(
    word: str, stream: Literal["stdout", "stderr"] | None, url: str | None, api_key: str | None, output: Output
) -> None:
    """Show what a run printed.

    On a terminal what could move the cursor is shown and not done; in a pipe the text is as it was printed.
    """
    with connected(url, api_key) as api:
        run = find_run(api, word)
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
