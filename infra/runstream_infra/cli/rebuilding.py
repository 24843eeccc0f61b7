"""`runstream rebuild`: build the read models anew from the log, in a server that runs or in the directory of one that
is stopped."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runstream_infra.cli.comparing import compared_rows, show_compared, show_verdict
from runstream_infra.cli.connecting import connected
from runstream_infra.cli.exits import FAILED, OK, BadInput, Failed
from runstream_infra.cli.options import example, json_option, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.serving import data_dir_option, server_part, server_settings

if TYPE_CHECKING:
    from runstream.api import API, ReadModels, Rebuild
    from runstream_infra.rebuilding import RebuildResult

#: Between two looks at how far a server is.
LOOK_EVERY_S: Final = 0.5
#: How long a server may be away meanwhile: it goes on where it was when it comes back.
PATIENCE_S: Final = 120.0


@click.command(
    epilog=example(
        "runstream rebuild",
        "runstream rebuild --url http://server:7070 --replace",
        "runstream rebuild --data-dir /srv/runstream --json",
    )
)
@data_dir_option
@click.option("--replace", is_flag=True, help="Put the fresh tables into use, also where they differ.")
@server_options
@json_option
def rebuild(data_dir: Path, replace: bool, url: str | None, api_key: str | None, output: Output) -> int:
    """Replay the log into fresh tables and compare them with the ones in use, table by table.

    A server that runs does it while it serves: it needs room for a second copy of its tables, and with --replace drops
    the old ones. In the directory of a stopped server, --replace keeps the old ones beside the fresh ones. Without
    --replace nothing is changed. Exit code 0 only if all tables are equal.

    The directory is worked on if --data-dir names it, or if it has a log and no server runs on it.
    """
    named = click.get_current_context().get_parameter_source("data_dir") is click.core.ParameterSource.COMMANDLINE
    if named and url is not None:
        raise BadInput("give --data-dir of a server that is stopped, or --url of one that runs, not both")
    if url is None and (named or (data_dir / "log").is_dir()):
        result = _rebuild_directory(data_dir, replace, output, named)
        if result is not None:
            show_rebuild(result, output)
            return OK if result.equal else FAILED
    with connected(url, api_key) as api:
        done = _rebuild_server(api, replace, output)
    show_outcome(done, output)
    return OK if done.outcome == "equal" else FAILED


def _rebuild_directory(directory: Path, replace: bool, output: Output, named: bool) -> "RebuildResult | None":
    """Rebuild what a stopped server has. Returns None if a server runs there and nobody named the directory."""
    if not (directory / "log").is_dir():
        raise BadInput(f"{directory} holds no log: give the --data-dir that `runstream up` used")
    settings = server_settings(data_dir=directory)
    embedded, rebuilding = server_part("runstream_infra.embedded"), server_part("runstream_infra.rebuilding")
    try:
        with output.err.status("replaying the log"):
            result: RebuildResult = asyncio.run(rebuilding.rebuild_and_compare(settings, replace=replace))
            return result
    except rebuilding.ServerRuns as error:
        if not named:
            return None
        raise Failed(f"{error}; `runstream rebuild --url URL` lets that server do it while it serves") from error
    except embedded.StartFailed as error:
        raise Failed(str(error)) from error


def show_rebuild(result: "RebuildResult", output: Output) -> None:
    """The tables side by side."""
    rows = compared_rows(result.tables, "rebuilt")
    replaced = None if result.replaced is None else str(result.replaced)
    if output.as_json:
        told = {"equal": result.equal, "position": str(result.position), "replaced": replaced, "tables": rows}
        output.json(told | {"redefined": list(result.redefined)})
        return
    show_compared(rows, "rebuilt", "rebuilt", output)
    for table in result.redefined:
        output.line(f"{table}: of another version than the one in use, not compared")
    show_verdict(f"Up to position {result.position or 'nothing'} of the log", result.equal, output)
    if replaced:
        output.line(f"The fresh tables are in use; the old ones are in {replaced}.")


def _rebuild_server(api: "API", replace: bool, output: Output) -> "Rebuild":
    """Let a server rebuild its tables, and wait until it is done. Raises Failed where it gave up."""
    requested = api.server.rebuild(replace=replace)
    output.note(f"generation {requested.generation} is being built; Ctrl-C ends this command, the server goes on")
    with output.err.status("replaying the log") as status:

        def on_look(seen: "ReadModels") -> None:
            if seen.building == requested.generation:
                status.update(output.text(f"{seen.doing}: {seen.folded:,} of {seen.records:,} records"))

        done = _awaited(api, requested.generation, on_look)
    if done is None or done.outcome == "given up":
        reason = done.detail if done is not None and done.detail else "something else was built since"
        raise Failed(f"generation {requested.generation} was given up: {reason}; `runstream doctor` shows more")
    return done


def _awaited(api: "API", generation: int, on_look: "Callable[[ReadModels], None]") -> "Rebuild | None":
    """Wait for the end of a rebuild, also while the server starts again. Returns None if it knows the rebuild no more.
    Raises Unavailable."""
    from runstream.errors import Unavailable

    was_seen, answered_at_s = False, time.monotonic()
    while True:
        try:
            found = api.server.status().read_models
            answered_at_s = time.monotonic()
        except Unavailable:
            if time.monotonic() - answered_at_s > PATIENCE_S:
                raise
            found = None
        if found is not None:
            on_look(found)
            last = found.rebuild
            if last is not None and last.generation == generation:
                was_seen = True
                if last.outcome != "building":
                    return last
            elif was_seen:
                return None
        time.sleep(LOOK_EVERY_S)


def show_outcome(done: "Rebuild", output: Output) -> None:
    """What became of a rebuild that a server did."""
    is_equal = done.outcome == "equal"
    differences = done.detail.split("; ") if done.detail else []
    if output.as_json:
        told = {"equal": is_equal, "generation": done.generation, "replaced": done.replace}
        output.json(told | {"differences": differences})
        return
    for difference in differences:
        output.line(difference, "red")
    show_verdict(f"Folded from the log into generation {done.generation}", is_equal, output)
    if done.replace:
        output.line(f"Generation {done.generation} serves; the old tables go away.")
    elif not is_equal:
        output.note("next: find out which is right; `runstream rebuild --replace` puts fresh tables into use")
