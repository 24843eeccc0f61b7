"""`runstream artifacts`: models, panels, data sets and their versions."""

from typing import Any

import click

from runstream_infra.cli.exits import BadInput
from runstream_infra.cli.options import example, json_option, place_options, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.server import Server, connect
from runstream_infra.cli.tables import Column
from runstream_infra.cli.values import plain, plain_bytes, plain_time


@click.command(
    epilog=example(
        "runstream artifacts",
        "runstream artifacts --type model --workspace research",
        "runstream artifacts 'digit reader' --json",
    )
)
@click.argument("name", required=False)
@place_options
@click.option("--type", "-t", "artifact_type", metavar="TYPE", help="Only this type: model, panel, dataset, ...")
@click.option(
    "--limit", "-n", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many lines."
)
@server_options
@json_option
def artifacts(
    name: str | None,
    project: str | None,
    workspace: str | None,
    artifact_type: str | None,
    limit: int,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """List artifacts, or show the one called NAME with its versions.

    Artifacts are named, typed things with numbered versions: models, panels, data sets. With --project, those of a
    project; --project "" leaves out those of projects.
    """
    server = connect(url, api_key)
    scope = {"workspace": workspace, "project": project, "type": artifact_type, "name": name}
    found, more = server.artifacts(limit, **scope)
    if name is None:
        _show_list(found, more, limit, output)
        return
    if len(found) != 1:
        raise BadInput(_not_one(name, found))
    _show_one(server, found[0], limit, output)


def _show_list(found: list[dict[str, Any]], more: bool, limit: int, output: Output) -> None:
    if output.as_json:
        output.json({"artifacts": found, "more": more})
        return
    columns = [
        Column("name", "name", keep=9),
        Column("artifact_type", "type", keep=8),
        Column("latest_version", "latest", keep=7),
        Column("versions", "versions", right=True, keep=6),
        Column("workspace", "workspace", keep=4),
        Column("project", "project", keep=5),
        Column("updated", "updated", keep=3),
        Column("description", "description", keep=1),
    ]
    output.table(columns, [row | {"updated": plain_time(row["updated_at"])} for row in found])
    if not found:
        output.note("no artifact matches, or there are none yet")
    elif more:
        output.note(f"there are more than these {limit}: --limit shows more")


def _show_one(server: Server, artifact: dict[str, Any], limit: int, output: Output) -> None:
    versions, more = server.artifact_versions(artifact["artifact"], limit)
    if output.as_json:
        output.json({"artifact": artifact, "versions": versions, "more": more})
        return
    output.line(artifact["name"], "bold")
    place = "/".join(filter(None, (artifact["workspace"], artifact["project"])))
    shown = {"type": artifact["artifact_type"], "in": place, "id": artifact["artifact"]}
    shown |= {key: artifact[key] for key in ("description", "notes", "tags")}
    output.pairs([(key, plain(value)) for key, value in shown.items() if value])
    columns = [
        Column("version", "version", keep=9),
        Column("ordinal", "number", right=True, keep=7),
        Column("aliases", "aliases", keep=6),
        Column("status", "status", keep=5),
        Column("files", "files", right=True, keep=4),
        Column("size", "size", right=True, keep=4),
        Column("run", "run", keep=3),
        Column("created", "created", keep=5),
        Column("comment", "comment", keep=1),
    ]
    sized = [
        row | {"size": plain_bytes(row["size_bytes"]), "created": plain_time(row["created_at"])} for row in versions
    ]
    output.table(columns, sized)
    if more:
        output.note(f"there are more than these {limit}: --limit shows more")


def _not_one(name: str, found: list[dict[str, Any]]) -> str:
    if not found:
        return f"there is no artifact {name!r}: `runstream artifacts` lists those that there are"
    places = ", ".join(
        f"{row['artifact_type']} in {'/'.join(filter(None, (row['workspace'], row['project'])))}" for row in found[:10]
    )
    return f"{len(found)} artifacts are called {name!r} ({places}): choose with --type, --workspace or --project"
