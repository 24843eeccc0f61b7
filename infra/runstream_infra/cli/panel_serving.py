"""`runstream panel serve`: a live panel on this machine."""

import signal
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from runstream_infra.cli.connecting import client_settings
from runstream_infra.cli.exits import OK, BadInput, CommandError
from runstream_infra.cli.options import example, json_option, place_options, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.panels import kept_panel, key_for_panels, options_of, read_panel, version_option

if TYPE_CHECKING:
    from runstream.panels.serving import ServedPanel

#: Streamlit, pandas and a slow disk.
_START_S: Final = 120.0
_LOOK_S: Final = 0.5


@click.command(
    epilog=example(
        "runstream panel serve losses.py --project digits",
        "runstream panel serve losses -p digits --version 3 --option Metric=loss --no-browser",
    )
)
@click.argument("source", metavar="FILE|NAME")
@version_option
@place_options
@click.option("--filter", "filter_text", default="", metavar="EXPR", help="Only experiments that it lets through.")
@click.option(
    "--experiment", "experiments", multiple=True, metavar="RUN", help="Only this one; several times for several."
)
@click.option(
    "--option", "options", multiple=True, metavar="LABEL=TEXT", help="What dropdowns begin with; LABEL:=JSON too."
)
@click.option(
    "--refresh-s", type=click.FloatRange(0, 86_400), default=0.0, metavar="S", help="Run again with new data."
)
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Of 127.0.0.1. Default: one that is free.")
@click.option("--memory-mb", type=click.IntRange(512, 1 << 20), default=4096, show_default=True, help="In MiB.")
@click.option("--browser/--no-browser", default=True, help="Open the page.")
@click.option(
    "--read-key", metavar="KEY", envvar="RUNSTREAM_READ_KEY", help="A key that only reads. Better: RUNSTREAM_READ_KEY."
)
@server_options
@json_option
def serve(
    source: str,
    version: str | None,
    project: str | None,
    workspace: str | None,
    filter_text: str,
    experiments: tuple[str, ...],
    options: tuple[str, ...],
    refresh_s: float,
    port: int,
    memory_mb: int,
    browser: bool,
    read_key: str | None,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> int:
    """Serve a panel, in a FILE or kept with the project as NAME, as a live page on this machine, until Ctrl-C.

    The page changes with what is chosen on it, and with FILE. It is open to programs of this machine, and reads with
    a key that only reads.
    """
    from runstream.panels import PanelContext
    from runstream.panels.serving import LiveLimits, ServedPanel
    from runstream_infra.ports import free_ports

    chosen = options_of(options)
    settings = client_settings(url=url, api_key=read_key or api_key, workspace=workspace, project=project)
    key = key_for_panels(settings)
    path = Path(source) if version is None and (Path(source).exists() or source.endswith(".py")) else None
    code = read_panel(path)[0] if path is not None else kept_panel(settings, source, version)[0]
    values = settings.values
    context = PanelContext(
        values.workspace, values.project, filter_text, list(experiments) or None, chosen, refresh_s=refresh_s
    )
    place = ("127.0.0.1", port or free_ports(1)[0])
    limits = LiveLimits(memory_mb=memory_mb)
    served = ServedPanel.start(code, context, url=values.url, read_key=key, limits=limits, listen=place)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if not served.wait_until_ready(_START_S):
            raise CommandError(f"the panel did not start: {served.printed().strip() or 'it printed nothing'}")
        if output.as_json:
            output.json({"address": served.address, "project": f"{values.workspace}/{values.project}"})
        else:
            output.line(f"{served.address} shows {source}; Ctrl-C ends it")
        if browser and not output.as_json:
            webbrowser.open(served.address)
        _follow(served, path)
        raise CommandError(f"the panel ended: {served.printed().strip() or 'it printed nothing'}")
    except KeyboardInterrupt:
        return OK
    finally:
        served.end()


def _follow(served: "ServedPanel", path: Path | None) -> None:
    """Give the panel each new content of its file, until it ends."""
    changed = _changes_of(path)
    while served.is_alive:
        if path is not None and changed():
            try:
                served.set_source(read_panel(path)[0])
            except BadInput as error:
                click.echo(f"runstream: {error}", err=True)
        time.sleep(_LOOK_S)


def _changes_of(path: Path | None) -> Callable[[], bool]:
    """Return what says whether the file was written since it was called the last time."""
    seen = [_written(path)]

    def changed() -> bool:
        before, seen[0] = seen[0], _written(path)
        return seen[0] is not None and seen[0] != before

    return changed


def _written(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:  # an editor replaces it just now
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size)
