"""Comet's responses about artifacts as models."""

from runstream_protocols.comet.reads.responses import CometResponse


class CometArtifactVersion(CometResponse):
    """A version. `experiment_key`: the experiment that made it; `consumer_experiment_keys`: those that used it."""

    artifact_version_id: str
    version: str
    owner: str | None = None
    metadata: str | None
    created_from: str | None = None
    size_in_bytes: int
    state: str
    added: int
    alias: list[str]
    tags: list[str]
    experiment_key: str | None
    consumer_experiment_keys: list[str]


class CometArtifact(CometResponse):
    artifact_id: str
    workspace: str
    project: str | None
    type: str
    name: str
    description: str | None
    latest_version: str | None
    tags: list[str]
    is_public: bool
    emoji: str | None = None
    size_in_bytes: int
    created: int
    last_updated: int


class CometArtifactDetails(CometArtifact):
    versions: list[CometArtifactVersion]


class CometArtifacts(CometResponse):
    artifacts: list[CometArtifact]


class CometArtifactFile(CometResponse):
    """A file of a version. `link`: where it is, for one that is elsewhere (`remote`)."""

    artifact_id: str
    artifact_version_id: str
    asset_id: str
    file_name: str
    file_size: int
    link: str | None
    dir: str | None
    type: str
    remote: bool
    metadata: str | None


class CometArtifactFiles(CometResponse):
    files: list[CometArtifactFile]


class CometLineageArtifact(CometResponse):
    """A version that an experiment made (`output`) or used (`input`)."""

    artifact_id: str
    artifact_version_id: str
    artifact_name: str
    artifact_type: str
    version: str
    workspace: str
    project: str | None
    direction: str
    experiment_key: str | None


class CometLineage(CometResponse):
    experiment_key: str
    artifacts: list[CometLineageArtifact]
