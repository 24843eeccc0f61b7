"""`runstream views`: what pages of a project show, under names."""

from typing import TYPE_CHECKING, Any

import click

from runstream_infra.cli.connecting import connected
from runstream_infra.cli.options import example, json_option, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.tables import Column
from runstream_infra.cli.values import plain_time

if TYPE_CHECKING:
    from runstream.api import SavedView


@click.group()
def views() -> None:
    """List, show and delete saved views of a project."""


name_argument = click.argument("name", metavar="NAME")
project_option = click.option("--project", "-p", metavar="NAME", required=True, help="Of the views.")
workspace_option = click.option("--workspace", metavar="NAME", help="Of the project. Default: default.")


@views.command("list", epilog=example("runstream views list -p digits", "runstream views list -p digits --json"))
@project_option
@workspace_option
@click.option("--type", "-t", "view_type", metavar="TYPE", help="Only this type, such as dashboard.")
@server_options
@json_option
def list_(
    project: str, workspace: str | None, view_type: str | None, url: str | None, api_key: str | None, output: Output
) -> None:
    """List the views of a project, by name."""
    with connected(url, api_key) as api:
        found = api.views(project, workspace, type=view_type)
    rows = [_row(one) for one in found]
    if output.as_json:
        output.json({"views": rows})
        return
    columns = [
        Column("name", "name", keep=9),
        Column("type", "type", keep=7),
        Column("revision", "revision", right=True, keep=5),
        Column("saved", "saved", keep=6),
        Column("by", "by", keep=4),
    ]
    output.table(
        columns,
        [row | {"saved": plain_time(row["updated_at"]), "by": row["changed_by"] or row["author"]} for row in rows],
    )
    if not rows:
        output.note(f"the project {project!r} has no saved views")


@views.command(epilog=example("runstream views show 'loss by rank' -p digits > view.json"))
@name_argument
@project_option
@workspace_option
@server_options
@json_option
def show(name: str, project: str, workspace: str | None, url: str | None, api_key: str | None, output: Output) -> None:
    """Write a view as JSON; with --json also when it was saved, and by whom."""
    with connected(url, api_key) as api:
        found = api.views.get(name, project, workspace)
    output.json({**_row(found), "view": found.view} if output.as_json else found.view)


@views.command(epilog=example("runstream views delete 'loss by rank' -p digits"))
@name_argument
@project_option
@workspace_option
@server_options
@json_option
def delete(
    name: str, project: str, workspace: str | None, url: str | None, api_key: str | None, output: Output
) -> None:
    """Delete a view. What it was stays in the log."""
    with connected(url, api_key) as api:
        found = api.views.delete(name, project, workspace)
    if output.as_json:
        output.json({"deleted": _row(found)})
    else:
        output.line(f"deleted {found.name} at revision {found.revision}")


def _row(view: "SavedView") -> dict[str, Any]:
    shown = ("workspace", "project", "name", "id", "revision", "type", "author", "changed_by")
    times = {"created_at": view.created_at.isoformat(), "updated_at": view.updated_at.isoformat()}
    return {**{name: getattr(view, name) for name in shown}, **times}
