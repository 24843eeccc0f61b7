"""Responses about lineage, as models."""

from typing import Literal

from pydantic import Field

from runstream_query.responses import ResponseModel

Side = Literal["both", "up", "down"]


class LineageRun(ResponseModel):
    """A run. `distance`: edges from where the graph begins, above 0 downstream, below 0 upstream. A run of which
    nothing is known but its id has no `workspace`, `project`, `name` and `status`."""

    run: str
    workspace: str | None
    project: str | None
    name: str | None
    status: str | None
    deleted: bool
    distance: int


class LineageVersion(ResponseModel):
    """A version of an artifact. `distance` as that of a run."""

    artifact: str
    ordinal: int
    version: str
    workspace: str
    project: str | None
    artifact_type: str
    name: str
    distance: int


class LineageEdge(ResponseModel):
    """The run `made` the version, or `used` it."""

    kind: Literal["made", "used"]
    run: str
    artifact: str
    ordinal: int


class Lineage(ResponseModel):
    """What is upstream and downstream of a run or a version. Data go from a version to a run that used it, and from a
    run to a version that it made. Deleted versions are not in it, deleted runs are."""

    runs: list[LineageRun] = Field(description="the nearest first, then by id")
    versions: list[LineageVersion] = Field(description="the nearest first, then by id and number")
    edges: list[LineageEdge] = Field(description="those between nodes of the graph, by run and version")
    cut: list[Literal["depth", "edges", "nodes"]] = Field(
        description="why it is not whole; empty: it is. depth: it goes on behind the last level. nodes: there are more "
        "than the limit. edges: there are more than four times the limit"
    )
