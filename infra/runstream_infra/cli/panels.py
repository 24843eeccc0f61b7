"""`runstream panel`: Python Panels, run into pages, and kept as versions with their project."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from runstream_infra.cli.connecting import api_of, client_settings, explained, secret_of
from runstream_infra.cli.exits import FAILED, OK, BadInput
from runstream_infra.cli.options import example, json_option, place_options, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.tables import Column
from runstream_infra.cli.values import plain_time

if TYPE_CHECKING:
    from runstream.panels import PanelResult
    from runstream.settings import Settings

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
    code, stem = read_panel(file)
    _checked(code, file)
    settings = client_settings(url=url, api_key=api_key, workspace=workspace, project=project)
    values = settings.values
    with explained(values.url):
        version = api_of(settings).artifacts.log_version(
            name or stem,
            PANEL,
            {PANEL_FILE: code.encode()},
            workspace=values.workspace,
            project=values.project,
            comment=comment,
        )
    shown = {"name": name or stem, "version": version.version, "ordinal": version.ordinal}
    if output.as_json:
        output.json({**shown, "workspace": values.workspace, "project": values.project})
    else:
        output.line(f"{shown['name']} in {values.workspace}/{values.project}: version {version.version}")


@panel.command(epilog=example("runstream panel ls -p digits"))
@place_options
@server_options
@json_option
def ls(project: str | None, workspace: str | None, url: str | None, api_key: str | None, output: Output) -> None:
    """List the panels of the project."""
    settings = client_settings(url=url, api_key=api_key, workspace=workspace, project=project)
    values = settings.values
    with explained(values.url):
        found = api_of(settings).artifacts(PANEL, workspace=values.workspace, project=values.project)
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
        output.note(f"{values.workspace}/{values.project} has no panels: `runstream panel add FILE` adds one")


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
    settings = client_settings(url=url, api_key=api_key, workspace=workspace, project=project)
    code, called = kept_panel(settings, name, version)
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
    settings = client_settings(url=url, api_key=read_key or api_key, workspace=workspace, project=project)
    values = settings.values
    if version is None and (Path(source).exists() or source.endswith(".py")):
        code, name = read_panel(Path(source))
        key = key_for_panels(settings)
    else:
        key, name = key_for_panels(settings), source
        code, _ = kept_panel(settings, source, version)
    context = PanelContext(values.workspace, values.project, filter_text, list(experiments) or None, chosen)
    with output.err.status("running the panel"):
        result = run_panel(code, context, url=values.url, read_key=key, limits=PanelLimits(timeout_s, memory_mb))
    page = out or Path(f"{name}.html")
    page.write_text(page_of(result, name, f"{context.workspace}/{context.project}"), encoding="utf-8")
    _show(result, page, output)
    if result.ok and "panel_options" not in code:  # else it may have read any of them
        for told in unread_options(chosen, result.items):
            click.echo(f"runstream: {told}", err=True)
    return OK if result.ok else FAILED


def key_for_panels(settings: "Settings") -> str | None:
    """Return the key of these settings, if it only reads; None if the server has no keys. Raises BadInput,
    Unreachable."""
    with explained(settings.values.url):
        rights = api_of(settings).server.key()
    if rights is None or (rights.name is not None and rights.may_write):
        raise BadInput(_NO_READ_KEY)
    return None if rights.name is None else secret_of(settings)


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


def unread_options(chosen: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each option that was chosen and that no control of the panel reads. Pure."""
    read = [str(item["option"]) for item in items if item.get("kind") == "control"]
    told = []
    for label in chosen:
        if label not in read:
            near = get_close_matches(label, read, n=1)
            has = f"did you mean {near[0]}?" if near else f"it reads {', '.join(read) or 'none'}"
            told.append(f"the panel reads no option {label!r}: {has}")
    return told


def kept_panel(settings: "Settings", name: str, version: str | None) -> tuple[str, str]:
    """Read the Python of a version of a panel, and what the version is called. A number that no version is called is
    its number in the order. Raises BadInput, Unreachable, Failed."""
    from runstream.api import NotFound

    values = settings.values
    with explained(values.url):
        artifacts = api_of(settings).artifacts
        try:
            artifact = artifacts.get(name, PANEL, workspace=values.workspace, project=values.project)
        except NotFound:
            where = f"{values.workspace}/{values.project}"
            raise BadInput(
                f"there is neither a file {name} nor a panel of that name in {where}: `runstream panel ls` lists panels"
            ) from None
        try:
            found = artifacts.version(artifact, version)
        except NotFound:
            if version is None or not version.isdecimal():
                raise
            found = artifacts.version(artifact, int(version))
        return artifacts.read(found, PANEL_FILE).decode(), found.version


def _checked(code: str, path: Path) -> None:
    """Raises BadInput for what is no Python."""
    try:
        compile(code, str(path), "exec")
    except (SyntaxError, ValueError) as error:
        raise BadInput(f"{path} is no Python that could be run: {error}") from None


def read_panel(path: Path) -> tuple[str, str]:
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
