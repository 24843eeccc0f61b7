"""Artifacts, their versions and files, as they were when they were read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, Self, TypedDict, Unpack

from runstream.api.values import Logged, Row, members_of
from runstream.api.views.options import ReadOptions
from runstream.api.views.table import Table


class ArtifactPath(TypedDict):
    """Which artifact it is."""

    workspace: str
    project: str | None
    artifact_type: str
    name: str


class ArtifactChanges(TypedDict, total=False):
    """What may change of an artifact."""

    description: str | None
    notes: str | None
    tags: str | Sequence[str] | None
    public: bool | None


class VersionChanges(TypedDict, total=False):
    """What may change of a version."""

    comment: str | None
    status: str | None
    tags: str | Sequence[str] | None
    aliases: str | Sequence[str] | None
    stages: str | Sequence[str] | None
    add_tags: str | Sequence[str]
    remove_tags: str | Sequence[str]
    add_aliases: str | Sequence[str]
    remove_aliases: str | Sequence[str]


class VersionOptions(ReadOptions, total=False):
    """Which versions of an artifact: those that are called so, or the one with that alias."""

    version: str | None
    alias: str | None


class ActsOnArtifacts(Protocol):
    """`api.artifacts`, as far as an artifact and its versions need it."""

    def versions(
        self, artifact: Artifact, *, limit: int | None = None, **options: Unpack[VersionOptions]
    ) -> Table[ArtifactVersion]: ...
    def version(
        self, artifact: Artifact, version: int | str | None = None, *, as_of: str | None = None
    ) -> ArtifactVersion: ...
    def update(self, artifact: Artifact, **changes: Unpack[ArtifactChanges]) -> Artifact: ...
    def update_version(self, version: ArtifactVersion, **changes: Unpack[VersionChanges]) -> ArtifactVersion: ...
    def contents(self, version: ArtifactVersion, *, as_of: str | None = None) -> ArtifactContents: ...
    def download(self, version: ArtifactVersion, directory: str | os.PathLike[str]) -> list[Path]: ...
    def read(self, version: ArtifactVersion, name: str) -> bytes: ...


class ArtifactReader(Protocol):
    """Where an artifact and its versions read the rest of themselves: an `API`."""

    @property
    def artifacts(self) -> ActsOnArtifacts: ...


@dataclass(frozen=True)
class ArtifactFile:
    """A file of a version: its bytes are at the server (`sha256`), or elsewhere (`link`). `added_at`: when it was added
    to an open version, None if it came with the version."""

    name: str
    sha256: str | None
    size_bytes: int
    content_type: str
    link: str | None
    added_at: datetime | None = None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))


@dataclass(frozen=True)
class ArtifactContents:
    """What is in a version: metadata, which never change, and files, of which an open version may get more. NaN and
    infinities in `metadata` are "NaN", "Infinity", "-Infinity"."""

    metadata: Mapping[str, Logged]
    files: tuple[ArtifactFile, ...]


@dataclass(frozen=True, slots=True)
class ArtifactRemark:
    """Something that was written about a version later: a JSON object, with NaN and infinities as in metadata."""

    at: datetime
    remark: Mapping[str, Logged]

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))


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
    #: How many remarks there are on it: `API.artifacts.remarks` reads them.
    remarks: int = 0
    #: Whether files can still be added to it.
    open: bool = False

    @classmethod
    def of(cls, api: ArtifactReader, path: ArtifactPath, row: Row) -> Self:
        """Read a row of a response."""
        return cls(api=api, **{**members_of(cls, row), **path})

    @property
    def path(self) -> ArtifactPath:
        """Which artifact it is."""
        return ArtifactPath(
            workspace=self.workspace, project=self.project, artifact_type=self.artifact_type, name=self.name
        )

    def contents(self, *, as_of: str | None = None) -> ArtifactContents:
        """Read its metadata and the list of its files, as `API.artifact_contents`."""
        return self.api.artifacts.contents(self, as_of=as_of)

    def download(self, directory: str | os.PathLike[str]) -> list[Path]:
        """Write its files into a directory, as `API.download_artifact`."""
        return self.api.artifacts.download(self, directory)

    def update(self, **changes: Unpack[VersionChanges]) -> ArtifactVersion:
        """Change it, as `API.update_artifact_version`."""
        return self.api.artifacts.update_version(self, **changes)

    def read(self, name: str) -> bytes:
        """Read one of its files, as `API.read_artifact_file`."""
        return self.api.artifacts.read(self, name)


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
    def of(cls, api: ArtifactReader, row: Row) -> Self:
        """Read a row of a response."""
        return cls(api=api, version_count=row["versions"], **members_of(cls, row))

    @property
    def path(self) -> ArtifactPath:
        """Which artifact it is."""
        return ArtifactPath(
            workspace=self.workspace, project=self.project, artifact_type=self.artifact_type, name=self.name
        )

    def update(self, **changes: Unpack[ArtifactChanges]) -> Artifact:
        """Change it, as `API.update_artifact`."""
        return self.api.artifacts.update(self, **changes)

    def versions(self, *, limit: int | None = None, **options: Unpack[VersionOptions]) -> Table[ArtifactVersion]:
        """Read its versions, as `API.artifact_versions`."""
        return self.api.artifacts.versions(self, limit=limit, **options)

    def version(self, version: int | str | None = None, *, as_of: str | None = None) -> ArtifactVersion:
        """Read one of its versions, as `API.artifact_version`."""
        return self.api.artifacts.version(self, version, as_of=as_of)
