"""The lineage of a run or a version, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runstream.api.values import Row, members_of

Side = Literal["both", "up", "down"]


@dataclass(frozen=True, slots=True)
class LineageRun:
    """A run. `distance`: edges from where the graph begins, above 0 downstream, below 0 upstream. Of a run of which
    nothing is known but its id, `workspace`, `project`, `name` and `status` are None."""

    run: str
    workspace: str | None
    project: str | None
    name: str | None
    status: str | None
    deleted: bool
    distance: int


@dataclass(frozen=True, slots=True)
class LineageVersion:
    """A version of an artifact. `distance` as that of a run."""

    artifact: str
    ordinal: int
    version: str
    workspace: str
    project: str | None
    artifact_type: str
    name: str
    distance: int


@dataclass(frozen=True, slots=True)
class LineageEdge:
    """The run `made` the version of the artifact, or `used` it."""

    kind: Literal["made", "used"]
    run: str
    artifact: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """Runs and versions, the nearest first, and the edges between them. `cut` says why it is not whole: `depth`,
    `nodes`, `edges`; empty, it is."""

    runs: tuple[LineageRun, ...]
    versions: tuple[LineageVersion, ...]
    edges: tuple[LineageEdge, ...]
    cut: tuple[str, ...]

    @classmethod
    def of(cls, row: Row) -> Lineage:
        """Read a response."""
        return cls(
            tuple(LineageRun(**members_of(LineageRun, one)) for one in row["runs"]),
            tuple(LineageVersion(**members_of(LineageVersion, one)) for one in row["versions"]),
            tuple(LineageEdge(**members_of(LineageEdge, one)) for one in row["edges"]),
            tuple(row["cut"]),
        )
