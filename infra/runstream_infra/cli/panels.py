"""`runstream panel`: Python Panels, run into pages, and kept as versions with their project."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from runstream_infra.cli.exits import FAILED, OK, BadInput
from runstream_infra.cli.options import example, json_option, place_options, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.server import Server, client_settings, connect, explained
from runstream_infra.cli.tables import Column
from runstream_infra.cli.values import plain_time

if TYPE_CHECKING:
    from runstream.api import API
    from runstream.panels import PanelResult
    from runstream.settings import SettingValues

#: What the artifacts are that keep panels, and their one file.
PANEL: Final = "panel"
PANEL_FILE: Final = "panel.py"
_NO_READ_KEY = (
    "a panel is given a key that only reads: have KEY:read (`openssl rand -hex 24` makes a KEY) among the server's "
    "RUNSTREAM_API_KEYS, and give KEY here as RUNSTREAM_READ_KEY"
)


@click.group()
def panel() -> None:
    """Python Panels: run them into pages, keep them with their project.

    A panel that is kept is an artifact of the type `panel`, whose versions stay as they are.
    """


version_option = click.option(
    "--version", metavar="VERSION", help="Its number, or what it is called. Default: the newest."
)
name_argument = click.argument("name", metavar="NAME")


@panel.command(
    epilog=example("runstream panel add losses.py -p digits", "runstream panel add new.py --name losses -p digits")
)
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", metavar="NAME", help="Of the panel. Default: that of FILE without its end.")
@click.option("--comment", default="", metavar="TEXT", help="What is new.")
@place_options
@server_options
@json_option
def add(
    file: Path,
    name: str | None,
    comment: str,
    project: str | None,
    workspace: str | None,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """Keep FILE as a new version of a panel of the project."""
    code, stem = _read(file)
    _checked(code, file)
    place = _place(url, workspace, project)
    with explained(place.url):
        version = _api(place, api_key).log_artifact_version(
            name or stem,
            PANEL,
            {PANEL_FILE: code.encode()},
            workspace=place.workspace,
            project=place.project,
            comment=comment,
        )
    shown = {"name": name or stem, "version": version.version, "ordinal": version.ordinal}
    if output.as_json:
        output.json({**shown, "workspace": place.workspace, "project": place.project})
    else:
        output.line(f"{shown['name']} in {place.workspace}/{place.project}: version {version.version}")


@panel.command(epilog=example("runstream panel ls -p digits"))
@place_options
@server_options
@json_option
def ls(project: str | None, workspace: str | None, url: str | None, api_key: str | None, output: Output) -> None:
    """List the panels of the project."""
    place = _place(url, workspace, project)
    with explained(place.url):
        found = _api(place, api_key).artifacts(PANEL, workspace=place.workspace, project=place.project)
    rows = [
        {
            "name": one.name,
            "version": one.latest_version,
            "versions": one.version_count,
            "updated": one.updated_at.isoformat(),
            "description": one.description,
        }
        for one in found
    ]
    if output.as_json:
        output.json({"panels": rows})
        return
    readable = [{**row, "updated": plain_time(str(row["updated"]))} for row in rows]
    output.table(
        [Column(key, key, right=key == "versions") for key in ("name", "version", "versions", "updated")], readable
    )
    if not rows:
        output.note(f"{place.workspace}/{place.project} has no panels: `runstream panel add FILE` adds one")


@panel.command(epilog=example("runstream panel show losses -p digits > losses.py"))
@name_argument
@version_option
@place_options
@server_options
@json_option
def show(
    name: str,
    version: str | None,
    project: str | None,
    workspace: str | None,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """Write the Python of a panel to stdout."""
    place = _place(url, workspace, project)
    with explained(place.url):
        code, called = _kept(_api(place, api_key), place, name, version)
    if output.as_json:
        output.json({"name": name, "version": called, "source": code})
    else:
        click.echo(code, nl=not code.endswith("\n"))


@panel.command(
    epilog=example(
        "runstream panel run losses.py --project digits --out losses.html",
        "runstream panel run losses.py -p digits --filter 'metric.loss.min < 0.1' --option Metric=loss",
        "RUNSTREAM_READ_KEY=KEY runstream panel run losses.py -p digits --timeout-s 300",
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
    version: str | None,
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
    """Run a panel, in a FILE or kept with the project as NAME, in a process of its own, and write what it displays as
    one HTML page.

    The page is also written when the panel fails: with what it displayed until then, and with the error. The exit code
    is 1 then.
    """
    from runstream.panels import PanelContext, PanelLimits, page_of, run_panel

    chosen = options_of(options)
    place = _place(url, workspace, project)
    if version is None and (Path(source).exists() or source.endswith(".py")):
        code, name = _read(Path(source))
        key = key_for_panels(connect(url, read_key or api_key))
    else:
        key, name = key_for_panels(connect(url, read_key or api_key)), source
        with explained(place.url):
            code, _ = _kept(_api(place, read_key or api_key), place, source, version)
    context = PanelContext(place.workspace, place.project, filter_text, list(experiments) or None, chosen)
    with output.err.status("running the panel"):
        result = run_panel(code, context, url=place.url, read_key=key, limits=PanelLimits(timeout_s, memory_mb))
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


def _place(url: str | None, workspace: str | None, project: str | None) -> "SettingValues":
    """Server, workspace and project of the options, else of the settings. Raises BadInput."""
    return client_settings(url=url, workspace=workspace, project=project).values


def _api(place: "SettingValues", api_key: str | None) -> "API":
    from runstream.api import API

    return API(place.url, api_key)


def _kept(api: "API", place: "SettingValues", name: str, version: str | None) -> tuple[str, str]:
    """The Python of a version of a panel, and what the version is called. A number that no version is called is its
    number in the order. Raises BadInput, NotFound."""
    from runstream.api import NotFound

    try:
        artifact = api.artifact(name, PANEL, workspace=place.workspace, project=place.project)
    except NotFound:
        where = f"{place.workspace}/{place.project}"
        raise BadInput(
            f"there is neither a file {name} nor a panel of that name in {where}: `runstream panel ls` lists panels"
        ) from None
    try:
        found = api.artifact_version(artifact, version)
    except NotFound:
        if version is None or not version.isdecimal():
            raise
        found = api.artifact_version(artifact, int(version))
    return api.read_artifact_file(found, PANEL_FILE).decode(), found.version


def _checked(code: str, path: Path) -> None:
    """Raises BadInput for what is no Python."""
    try:
        compile(code, str(path), "exec")
    except (SyntaxError, ValueError) as error:
        raise BadInput(f"{path} is no Python that could be run: {error}") from None


def _read(path: Path) -> tuple[str, str]:
    """The code of the panel in a file, and its name."""
    try:
        return path.read_text(encoding="utf-8"), path.stem
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"the panel {path} cannot be read: {error}") from None


def _show(result: "PanelResult", page: Path, output: Output) -> None:
    if output.as_json:
        shown = {"status": result.status, "error": result.error, "page": str(page), "wall_s": round(result.wall_s, 3)}
        output.json(shown | {"displayed": [item.get("kind") for item in result.items if item.get("kind") != "library"]})
        return
    if not result.ok:
        output.line(result.error.rstrip(), "red")
    output.line(f"{page}: {'done' if result.ok else result.status} after {result.wall_s:.1f} s")
