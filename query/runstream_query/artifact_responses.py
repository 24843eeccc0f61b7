"""Responses about artifacts, as models."""

from datetime import datetime

from pydantic import Field

from runstream_query.responses import Logged, ResponseModel, Unknown


class Artifact(ResponseModel):
    """A named, typed thing with numbered versions. `project` is null for one of a whole workspace; `versions` counts
    those that are there; `latest_*` is the one with the highest number, null if there is none."""

    artifact: str
    workspace: str
    project: str | None
    artifact_type: str
    name: str
    description: str
    notes: str
    tags: list[str]
    public: bool
    created_at: datetime
    updated_at: datetime
    versions: int
    latest_ordinal: int | None
    latest_version: str | None


class Artifacts(ResponseModel):
    """One page. `next_cursor` gives the next one; null on the last."""

    artifacts: list[Artifact]
    next_cursor: str | None
    unknown: Unknown = Field(default=[])


class ArtifactVersion(ResponseModel):
    """`ordinal` is its number, given once and for all; `version` what people call it; `run` where it came from; `files`
    how many it has, `size_bytes` their sum; `remarks` how many were written about it. `open`: files can still be added
    to it."""

    artifact: str
    ordinal: int
    version: str
    comment: str
    status: str
    tags: list[str]
    aliases: list[str]
    stages: list[str]
    run: str | None
    files: int
    size_bytes: int
    created_at: datetime
    updated_at: datetime
    remarks: int
    open: bool


class ArtifactVersions(ResponseModel):
    """One page. `next_cursor` gives the next one; null on the last."""

    versions: list[ArtifactVersion]
    next_cursor: str | None


class RunArtifact(ArtifactVersion):
    """A version that came from a run, with the place and the name of its artifact."""

    workspace: str
    project: str | None
    artifact_type: str
    name: str


class RunArtifacts(ResponseModel):
    """By type, name and number."""

    versions: list[RunArtifact]


class ArtifactFile(ResponseModel):
    """A file of a version: its bytes are here (`sha256`), or elsewhere (`link`). `added_at`: when it was added to an
    open version, null if it came with the version."""

    name: str
    sha256: str | None
    size_bytes: int
    content_type: str
    link: str | None
    added_at: datetime | None


class ArtifactVersionDetail(ResponseModel):
    """A version with what is in it: metadata, which never change, and files, which may be added to an open version."""

    version: ArtifactVersion
    metadata: Logged
    files: list[ArtifactFile]


class ArtifactRemark(ResponseModel):
    """Something that was written about a version later: any JSON object."""

    at: datetime
    remark: Logged


class ArtifactRemarks(ResponseModel):
    """One page, the oldest first. `next_cursor` gives the next one; null on the last."""

    remarks: list[ArtifactRemark]
    next_cursor: str | None
