"""Runs and what belongs to them as rows: what tables show and JSON holds. Pure."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from runstream_infra.cli.columns import row_members
from runstream_infra.cli.sparkline import farthest

if TYPE_CHECKING:
    from runstream.api import (
        Artifact,
        ArtifactRemark,
        ArtifactVersion,
        Asset,
        Curve,
        Envelope,
        Lineage,
        Project,
        RunView,
        Summary,
        Writer,
    )

_PATH_FIELDS: Final = frozenset({"workspace", "project", "artifact_type", "name"})


@dataclass(frozen=True, slots=True)
class DrawnCurve:
    """A curve to be drawn. `low` and `high` are there where a row stands for several points; `values` is their mean
    then."""

    steps: list[int]
    values: list[float]
    low: list[float] | None = None
    high: list[float] | None = None

    @classmethod
    def of_points(cls, curve: "Curve") -> "DrawnCurve":
        """Return a curve of all points."""
        return cls(list(curve.steps), list(curve.values))

    @classmethod
    def of_buckets(cls, envelope: "Envelope") -> "DrawnCurve":
        """Return a curve of buckets."""
        mean, low, high = list(envelope.mean), list(envelope.minimum), list(envelope.maximum)
        return cls(list(envelope.first_step), mean, low, high)

    @property
    def extremes(self) -> list[float]:
        """The value of each row, or, where it stands for several points, that of them which is farthest from their
        mean."""
        if self.low is None or self.high is None:
            return self.values
        return [farthest(*row) for row in zip(self.low, self.values, self.high, strict=True)]

    def as_json(self) -> dict[str, Any]:
        """Return the lists that there are."""
        lists: dict[str, Any] = {"steps": self.steps, "values": self.values}
        return lists if self.low is None else {**lists, "low": self.low, "high": self.high}

    def lines(self) -> Iterator[str]:
        """Iterate over `step<TAB>value`, or `step<TAB>mean<TAB>low<TAB>high`. Values have all their digits."""
        columns = [self.values] if self.low is None or self.high is None else [self.values, self.low, self.high]
        for step, *numbers in zip(self.steps, *columns, strict=True):
            yield "\t".join([str(step), *map(repr, numbers)])


def run_row(run: "RunView") -> dict[str, Any]:
    """Return a run's own fields under their short keys, and the values of its requested columns beside them."""
    return {**run.columns, **{key: _plain(getattr(run, member)) for key, member in row_members().items()}}


def summary_row(summary: "Summary") -> dict[str, Any]:
    """Return the fields of a summary, and its mean."""
    return _fields(summary) | {"mean": summary.mean}


def project_row(project: "Project") -> dict[str, Any]:
    """Return the fields of a project."""
    return _fields(project)


def writer_row(writer: "Writer") -> dict[str, Any]:
    """Return the fields of a process that writes a run."""
    return _fields(writer)


def asset_row(asset: "Asset") -> dict[str, Any]:
    """Return the fields of an asset."""
    return _fields(asset)


def artifact_row(artifact: "Artifact") -> dict[str, Any]:
    """Return the fields of an artifact, as the API's JSON has them."""
    row = _fields(artifact)
    return {("versions" if name == "version_count" else name): value for name, value in row.items()}


def version_row(version: "ArtifactVersion") -> dict[str, Any]:
    """Return the fields of a version, without those of its artifact."""
    return {name: value for name, value in _fields(version).items() if name not in _PATH_FIELDS}


def remark_row(remark: "ArtifactRemark") -> dict[str, Any]:
    """Return the fields of a remark."""
    return _fields(remark)


def lineage_row(lineage: "Lineage") -> dict[str, Any]:
    """Return a graph as the API's JSON has it."""
    return dataclasses.asdict(lineage)


def _fields(value: Any) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(value) if field.name != "api"]
    return {name: _plain(getattr(value, name)) for name in names}


def _plain(value: Any) -> Any:
    """Return times as the API writes them: ISO 8601 in UTC with microseconds."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
