"""`runstream artifacts`: models, panels, data sets and their versions."""

from typing import TYPE_CHECKING, Any

import click

from runstream_infra.cli.connecting import connected
from runstream_infra.cli.exits import BadInput
from runstream_infra.cli.options import example, json_option, place_options, server_options
from runstream_infra.cli.output import Output
from runstream_infra.cli.rows import artifact_row, lineage_row, remark_row, version_row
from runstream_infra.cli.tables import Column
from runstream_infra.cli.values import plain, plain_bytes, plain_time

if TYPE_CHECKING:
    from runstream.api import API, Artifact, Lineage, LineageRun, LineageVersion, Table


@click.command(
    epilog=example(
        "runstream artifacts",
        "runstream artifacts --type model --workspace research",
        "runstream artifacts 'digit reader' --json",
        "runstream artifacts 'digit reader' --lineage 3",
    )
)
@click.argument("name", required=False)
@place_options
@click.option("--type", "-t", "artifact_type", metavar="TYPE", help="Only this type: model, panel, dataset, ...")
@click.option(
    "--limit", "-n", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many lines."
)
@click.option(
    "--lineage",
    metavar="VERSION",
    help="Of NAME, show what this version was made of and what was made of it, by what it is called or an alias.",
)
@server_options
@json_option
def artifacts(
    name: str | None,
    project: str | None,
    workspace: str | None,
    artifact_type: str | None,
    limit: int,
    lineage: str | None,
    url: str | None,
    api_key: str | None,
    output: Output,
) -> None:
    """List artifacts, or show the one called NAME with its versions.

    Artifacts are named, typed things with numbered versions: models, panels, data sets. With --project, those of a
    project; --project "" leaves out those of projects.
    """
    if lineage is not None and name is None:
        raise BadInput("--lineage is about one artifact: give its NAME, too")
    with connected(url, api_key) as api:
        found = api.artifacts(artifact_type, workspace=workspace, project=project, name=name, limit=limit)
        if name is None:
            _show_list([artifact_row(one) for one in found], found.more, limit, output)
            return
        if len(found) != 1:
            raise BadInput(_not_one(name, found))
        if lineage is not None:
            _show_lineage(api.artifacts.lineage(found[0].version(lineage), limit=min(limit, 1000)), output)
            return
        _show_one(api, found[0], limit, output)


def _show_lineage(found: "Lineage", output: Output) -> None:
    """Show runs and versions from the farthest upstream to the farthest downstream."""
    if output.as_json:
        output.json(lineage_row(found))
        return
    runs = [
        {"distance": one.distance, "what": "run", "name": one.name or "", "id": one.run, "in": _place(one)}
        for one in found.runs
    ]
    versions = [
        {
            "distance": one.distance,
            "what": one.artifact_type,
            "name": f"{one.name} {one.version}",
            "id": one.artifact,
            "in": _place(one),
        }
        for one in found.versions
    ]
    columns = [
        Column("distance", "distance", right=True, keep=9),
        Column("what", "what", keep=8),
        Column("name", "name", keep=9),
        Column("id", "id", keep=6),
        Column("in", "in", keep=4),
    ]
    output.table(columns, sorted([*runs, *versions], key=lambda row: (row["distance"], row["what"], row["name"])))
    if found.cut:
        output.note(f"there is more than this, cut by {', '.join(found.cut)}: --limit shows more, up to 1000")


def _place(one: "LineageRun | LineageVersion") -> str:
    return "/".join(filter(None, (one.workspace, one.project)))


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


def _show_one(api: "API", artifact: "Artifact", limit: int, output: Output) -> None:
    found = api.artifacts.versions(artifact, limit=limit)
    versions = [version_row(version) for version in found]
    remarks = [
        {"version": version.version, **remark_row(remark)}
        for version in found
        if version.remarks
        for remark in api.artifacts.remarks(version, limit=limit)
    ]
    if output.as_json:
        output.json({"artifact": artifact_row(artifact), "versions": versions, "remarks": remarks, "more": found.more})
        return
    output.line(artifact.name, "bold")
    shown: dict[str, Any] = {"type": artifact.artifact_type, "in": _path_of(artifact), "id": artifact.artifact}
    shown |= {"description": artifact.description, "notes": artifact.notes, "tags": artifact.tags}
    output.pairs([(key, plain(value)) for key, value in shown.items() if value])
    columns = [
        Column("version", "version", keep=9),
        Column("ordinal", "number", right=True, keep=7),
        Column("aliases", "aliases", keep=6),
        Column("status", "status", keep=5),
        Column("stages", "stages", keep=5),
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
    if found.more:
        output.note(f"there are more than these {limit}: --limit shows more")
    if remarks:
        output.heading("Remarks")
        columns = [Column("version", "version", keep=9), Column("at", "at", keep=5), Column("remark", "remark", keep=8)]
        output.table(columns, [row | {"at": plain_time(row["at"]), "remark": plain(row["remark"])} for row in remarks])


def _path_of(artifact: "Artifact") -> str:
    return "/".join(filter(None, (artifact.workspace, artifact.project)))


def _not_one(name: str, found: "Table[Artifact]") -> str:
    if not found:
        return f"there is no artifact {name!r}: `runstream artifacts` lists those that there are"
    paths = ", ".join(f"{one.artifact_type} in {_path_of(one)}" for one in found[:10])
    return f"{len(found)} artifacts are called {name!r} ({paths}): choose with --type, --workspace or --project"
