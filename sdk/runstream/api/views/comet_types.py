"""The forms that Comet's page on Python Panels gives to responses: dictionaries with its names. Times are milliseconds
since 1970 UTC."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

from runstream.api.values import Logged

#: How the bytes of an asset are returned: as they are, as text, or as the value that their JSON means.
ReturnType: TypeAlias = Literal["raw", "binary", "text", "json"]


class ProjectDetails(TypedDict):
    """A project. `ownerUserName` is its workspace: there are no users, only keys."""

    projectId: str
    projectName: str
    ownerUserName: str
    projectDescription: str
    workspaceName: str
    numberOfExperiments: int
    lastUpdated: int | None
    public: bool


class ColumnDetails(TypedDict):
    """Something that a query may be about."""

    name: str
    source: str
    type: str


class ProjectColumns(TypedDict):
    """What queries about the experiments of a project may be about."""

    columns: list[ColumnDetails]


class ExperimentMetadata(TypedDict):
    """What is known of an experiment beside what it logged."""

    experimentKey: str
    experimentName: str | None
    workspaceName: str
    projectName: str
    projectId: str
    archived: bool
    running: bool
    hasCrashed: bool
    startTimeMillis: int
    endTimeMillis: int | None
    durationMillis: int
    fileName: str | None
    filePath: str | None
    optimizationId: str | None
    throttle: bool
    userName: str
    tags: list[str]


class MetricPoint(TypedDict):
    """A point of a metric. Its value is a text; `offset` counts the points of the metric."""

    metricName: str
    metricValue: str
    timestamp: int
    step: int | None
    epoch: int | None
    runContext: str | None
    offset: int


class ValueSummary(TypedDict):
    """A metric, a parameter or another value: texts that read as the values; steps only of metrics."""

    name: str
    valueMax: str
    valueMin: str
    valueCurrent: str
    timestampMax: int
    timestampMin: int
    timestampCurrent: int
    stepMax: int | None
    stepMin: int | None
    stepCurrent: int | None
    epochMax: int | None
    epochMin: int | None
    epochCurrent: int | None
    runContextMax: str | None
    runContextMin: str | None
    runContextCurrent: str | None
    editable: bool


class ChartCurve(TypedDict):
    """One metric of a chart; the lists have the same length. Durations are milliseconds since the run's start."""

    metricName: str
    values: list[float | None]
    steps: list[int | None]
    epochs: list[int | None]
    timestamps: list[int | None]
    durations: list[int | None]


class Chart(TypedDict):
    """The curves of an experiment, and its parameters (None if none were requested)."""

    experiment_key: str
    experimentKey: str
    experimentName: str | None
    steps: list[int | None]
    epochs: list[int] | None
    metrics: list[ChartCurve]
    params: dict[str, Logged] | None


class AssetDetails(TypedDict):
    """A file of an experiment."""

    experimentKey: str
    assetId: str
    fileName: str
    fileSize: int
    type: str
    step: int | None
    createdAt: int
    link: str
    curlDownload: str
    dir: str
    metadata: str | None
    etag: str
    audio: bool
    video: bool
    image: bool
    histogram: bool
    canView: bool
    remote: bool
    runContext: str | None
    compressedAssetLink: str | None
    s3Link: str | None
    tags: list[str]
    items: list[str]


class ModelDetails(TypedDict):
    """A model that an experiment logged."""

    experimentModelId: str
    experimentKey: str
    modelName: str


class GitMetadata(TypedDict):
    """The commit that an experiment ran from; what is not known is None."""

    user: str | None
    root: str | None
    branch: str | None
    parent: str | None
    origin: str | None


class ArtifactLineage(TypedDict):
    """The versions of artifacts that an experiment made and used, each with its `direction`."""

    experimentKey: str
    artifacts: list[dict[str, Logged]]


class SystemDetails(TypedDict):
    """What an experiment ran on. What is not known is None; what only Comet's client knows is in the form in which it
    sends it."""

    user: str | None
    pid: Logged
    ip: str | None
    os: str | None
    osType: str | None
    osRelease: str | None
    hostname: str | None
    machine: str | None
    processor: str | None
    command: Logged
    executable: str | None
    env: Logged
    pythonVersion: str | None
    pythonVersionVerbose: str | None
    installedPackages: list[str] | None
    osPackages: Logged
    gpuStaticInfoList: Logged
    logAdditionalSystemInfoList: list[dict[str, Logged]]
    systemMetricNames: list[str]
    maxTotalMemory: Logged
    networkInterfaceIps: Logged
    totalRam: Logged
