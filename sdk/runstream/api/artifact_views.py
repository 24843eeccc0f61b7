"""Artifacts, their versions and files, as they were when they were read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Self, TypedDict, TypeVar

from runstream.api.values import moment
from runstream.api.views import Table

View = TypeVar("View", "Artifact", "ArtifactVersion")


class ArtifactTable(Table[View]):
    """A list of artifacts or versions; as a table it has their values, without the way back to the server."""

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary an item."""
        return [
            {field.name: getattr(item, field.name) for field in fields(item) if field.name != "api"} for item in self
        ]


class Place(TypedDict):
    """Which artifact it is."""

    workspace: str
    project: str | None
    artifact_type: str
    name: str


class ArtifactReader(Protocol):
    """What an `Artifact` or a version asks for the rest of itself: an `API`, whose methods say what they take."""

    @property
    def artifact_versions(self) -> Callable[..., ArtifactTable[ArtifactVersion]]: ...
    @property
    def artifact_version(self) -> Callable[..., ArtifactVersion]: ...
    @property
    def update_artifact(self) -> Callable[..., Artifact]: ...
    @property
    def update_artifact_version(self) -> Callable[..., ArtifactVersion]: ...
    @property
    def artifact_contents(self) -> Callable[..., ArtifactContents]: ...
    @property
    def download_artifact(self) -> Callable[..., list[Path]]: ...
    @property
    def read_artifact_file(self) -> Callable[..., bytes]: ...


@dataclass(frozen=True)
class ArtifactFile:
    """A file of a version: its bytes are at the server (`sha256`), or elsewhere (`link`)."""

    name: str
    sha256: str | None
    size_bytes: int
    content_type: str
    link: str | None


@dataclass(frozen=True)
class ArtifactContents:
    """What never changes of a version. NaN and infinities in `metadata` are "NaN", "Infinity", "-Infinity"."""

    metadata: Mapping[str, Any]
    files: tuple[ArtifactFile, ...]


@dataclass(frozen=True)
class ArtifactVersion:
    """A version of an artifact, which the first fields name. `ordinal` is its number, given once and never again;
    `version` what people call it; `run` the run that it came from."""

    api: ArtifactReader
    workspace: str
    project: str | None
    artifact_type: str
    name: str
    artifact: str
    ordinal: int
    version: str
    comment: str
    status: str
    tags: tuple[str, ...]
    aliases: tuple[str, ...]
    stages: tuple[str, ...]
    run: str | None
    files: int
    size_bytes: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, api: ArtifactReader, place: Place, row: Mapping[str, Any]) -> Self:
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
        return cls(api=api, **{**_known(cls, values), **place})

    def contents(self) -> ArtifactContents:
        """Its metadata and its files."""
        return self.api.artifact_contents(self)

    def download(self, directory: str | os.PathLike[str]) -> list[Path]:
        """As `API.download_artifact`."""
        return self.api.download_artifact(self, directory)

    def update(self, **changes: Any) -> ArtifactVersion:
        """As `API.update_artifact_version`."""
        return self.api.update_artifact_version(self, **changes)

    def read(self, name: str) -> bytes:
        """As `API.read_artifact_file`."""
        return self.api.read_artifact_file(self, name)


@dataclass(frozen=True)
class Artifact:
    """A named, typed thing with numbered versions. `project` is None for one of a whole workspace; `latest_ordinal` and
    `latest_version` are those of the version with the highest number, None if there is none."""

    api: ArtifactReader
    artifact: str
    workspace: str
    project: str | None
    artifact_type: str
    name: str
    description: str
    notes: str
    tags: tuple[str, ...]
    public: bool
    created_at: datetime
    updated_at: datetime
    version_count: int
    latest_ordinal: int | None
    latest_version: str | None

    @classmethod
    def of(cls, api: ArtifactReader, row: Mapping[str, Any]) -> Self:
        values = {**row, "tags": tuple(row["tags"]), "version_count": row["versions"]}
        return cls(api=api, **_known(cls, values))

    def update(self, **changes: Any) -> Artifact:
        """As `API.update_artifact`."""
        return self.api.update_artifact(self, **changes)

    def versions(self, **options: Any) -> ArtifactTable[ArtifactVersion]:
        """As `API.artifact_versions`."""
        return self.api.artifact_versions(self, **options)

    def version(self, version: int | str | None = None, **options: Any) -> ArtifactVersion:
        """As `API.artifact_version`."""
        return self.api.artifact_version(self, version, **options)


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    times = {name: moment(values[name]) for name in ("created_at", "updated_at")}
    return {name: value for name, value in {**values, **times}.items() if name in names}
