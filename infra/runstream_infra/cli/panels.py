"""`runstream panel`: Python Panels, run into pages."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runstream_infra.cli.exits import FAILED, OK, BadInput
from runstream_infra.cli.options import example, json_option, place_options, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.server import Server, client_settings, connect

if TYPE_CHECKING:
    from runstream.panels import PanelResult

_NO_READ_KEY = (
    "a panel is given a key that only reads: have KEY:read (`openssl rand -hex 24` makes a KEY) among the server's "
    "RUNSTREAM_API_KEYS, and give KEY here as RUNSTREAM_READ_KEY"
)


@click.group()
def panel() -> None:
    """Python Panels: run them into pages."""


@panel.command(
    epilog=example(
        "runstream panel run losses.py --project digits --out losses.html",
        "runstream panel run losses.py -p digits --filter 'metric.loss.min < 0.1' --option Metric=loss",
        "RUNSTREAM_READ_KEY=KEY runstream panel run losses.py -p digits --timeout-s 300",
    )
)
@click.argument("source", metavar="FILE")
@place_options
@click.option("--filter", "filter_text", default="", metavar="EXPR", help="Only experiments that it lets through.")
@click.option(
    "--experiment", "experiments", multiple=True, metavar="RUN", help="Only this one; several times for several."
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="LABEL=TEXT",
    help="What is chosen in a dropdown, or another option of the panel. LABEL:=JSON for a list, a number, ...",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The page. Default: FILE with .html.")
@click.option(
    "--timeout-s", type=click.FloatRange(0.1, 86_400), default=60.0, show_default=True, help="Then it is killed."
)
@click.option(
    "--memory-mb", type=click.IntRange(64, 1 << 20), default=2048, show_default=True, help="Of address space, in MiB."
)
@click.option(
    "--read-key", metavar="KEY", envvar="RUNSTREAM_READ_KEY", help="A key that only reads. Better: RUNSTREAM_READ_KEY."
)
@server_options
@json_option
def run(
    source: str,
    project: str | None,
    workspace: str | None,
    filter_text: str,
    experiments: tuple[str, ...],
    options: tuple[str, ...],
    out: Path | None,
    timeout_s: float,
    memory_mb: int,
    read_key: str | None,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> int:
    """Run a panel in a process of its own and write what it displays as one HTML page.

    The page is also written when the panel fails: with what it displayed until then, and with the error. The exit code
    is 1 then.
    """
    from runstream.panels import PanelContext, PanelLimits, page_of, run_panel

    code, name = _read(source)
    settings = client_settings(url=url, workspace=workspace, project=project).values
    key = key_for_panels(connect(url, read_key or api_key))
    context = PanelContext(
        settings.workspace, settings.project, filter_text, list(experiments) or None, options_of(options)
    )
    with output.err.status("running the panel"):
        result = run_panel(code, context, url=settings.url, read_key=key, limits=PanelLimits(timeout_s, memory_mb))
    page = out or Path(f"{name}.html")
    page.write_text(page_of(result, name, f"{context.workspace}/{context.project}"), encoding="utf-8")
    _show(result, page, output)
    return OK if result.ok else FAILED


def key_for_panels(server: Server) -> str | None:
    """The server's key, if it only reads; None if the server has no keys. Raises BadInput, Unreachable."""
    rights = server.key_rights()
    if rights is None or (rights["name"] is not None and rights["may_write"]):
        raise BadInput(_NO_READ_KEY)
    return None if rights["name"] is None else server.api_key


def options_of(given: Sequence[str]) -> dict[str, Any]:
    """LABEL=TEXT and LABEL:=JSON as options by label. Raises BadInput."""
    options: dict[str, Any] = {}
    for one in given:
        label, equals, text = one.partition("=")
        if not equals or not label.rstrip(":"):
            raise BadInput(f"--option {one!r} is no LABEL=TEXT")
        if not label.endswith(":"):
            options[label] = text
            continue
        try:
            options[label[:-1]] = json.loads(text)
        except ValueError as error:
            raise BadInput(f"--option {one!r} is no LABEL:=JSON: {error}") from None
    return options


def _read(source: str) -> tuple[str, str]:
    """The code of the panel in a file, and its name."""
    path = Path(source)
    try:
        return path.read_text(encoding="utf-8"), path.stem
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the panel {source} cannot be read: {error}") from None


def _show(result: "PanelResult", page: Path, output: Output) -> None:
    if output.as_json:
        shown = {"status": result.status, "error": result.error, "page": str(page), "wall_s": round(result.wall_s, 3)}
        output.json(shown | {"displayed": [item.get("kind") for item in result.items if item.get("kind") != "library"]})
        return
    if not result.ok:
        output.line(result.error.rstrip(), "red")
    output.line(f"{page}: {'done' if result.ok else result.status} after {result.wall_s:.1f} s")
