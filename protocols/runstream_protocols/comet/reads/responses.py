"""Comet's responses as models. Names are Comet's; NaN and the infinities are strings, because the client's JSON reader
(simplejson, where it is installed) refuses their bare names."""

import math
from typing import Any, Final

from pydantic import ConfigDict
from pydantic import Field as ModelField
from pydantic.alias_generators import to_camel

from runstream.events.names import NO_STEP
from runstream_query.responses import Logged, ResponseModel

#: What the client calls the parts of a run (`with experiment.train():`).
_CONTEXTS: Final = frozenset({"train", "test", "validate"})
#: Doubles are exact integers up to here.
_EXACT: Final = 2**53


class CometResponse(ResponseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings", alias_generator=to_camel, populate_by_name=True)


def number_text(value: float) -> str:
    """The shortest text that reads as the same number: an integer without point, else as Python writes it; `NaN`,
    `Infinity`, `-Infinity`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and abs(value) < _EXACT and (value or math.copysign(1, value) > 0):
        return str(int(value))
    return repr(value)


def step_of(step: int | None) -> int | None:
    """A step as Comet has it: null where there is none."""
    return None if step is None or step == NO_STEP else step


def run_context_of(metric: str) -> str | None:
    """The part of the run that a metric was logged in: the client puts it before the name, as `train_loss`."""
    context, separator, name = metric.partition("_")
    return context if separator and name and context in _CONTEXTS else None


class CometVersion(CometResponse):
    version: str


class CometAccount(CometResponse):
    user_name: str
    default_workspace_name: str


class CometWorkspaces(CometResponse):
    workspace_names: list[str]


class CometProject(CometResponse):
    """A project. `owner_user_name`: its workspace, which owns it; there are no users, only keys."""

    project_id: str
    project_name: str
    owner_user_name: str
    project_description: str
    workspace_name: str
    number_of_experiments: int
    last_updated: int | None
    public: bool = False


class CometProjects(CometResponse):
    projects: list[CometProject]


class CometNotes(CometResponse):
    notes: str


class CometColumn(CometResponse):
    name: str
    source: str
    type: str


class CometColumns(CometResponse):
    columns: list[CometColumn]


class CometExperiment(CometResponse):
    """The metadata of a run. Times in milliseconds."""

    experiment_key: str
    experiment_name: str | None
    workspace_name: str
    project_name: str
    project_id: str
    archived: bool
    running: bool
    has_crashed: bool
    start_time_millis: int
    end_time_millis: int | None
    duration_millis: int
    file_name: str | None = None
    file_path: str | None = None
    optimization_id: str | None = None
    throttle: bool = False
    user_name: str
    tags: list[str]


class CometExperiments(CometResponse):
    experiments: list[CometExperiment]


class CometKeys(CometResponse):
    experiment_keys: list[str]


class CometFoundKey(CometResponse):
    experiment_key: str


class CometFound(CometResponse):
    """`total`: how many runs match, on all pages."""

    experiments: list[CometFoundKey]
    total: int


class CometTags(CometResponse):
    tags: list[str]


class CometSummary(CometResponse):
    """Values are texts that read as the same value. Steps are null where there are none, of parameters always."""

    name: str
    value_max: str
    value_min: str
    value_current: str
    timestamp_max: int
    timestamp_min: int
    timestamp_current: int
    step_max: int | None = None
    step_min: int | None = None
    step_current: int | None = None
    epoch_max: int | None = None
    epoch_min: int | None = None
    epoch_current: int | None = None
    run_context_max: str | None = None
    run_context_min: str | None = None
    run_context_current: str | None = None
    editable: bool = False


class CometSummaries(CometResponse):
    values: list[CometSummary]


class CometPoint(CometResponse):
    """`offset` counts the points of the response's metric from 0, in its order."""

    metric_name: str
    metric_value: str
    timestamp: int
    step: int | None
    epoch: int | None = None
    run_context: str | None = None
    offset: int


class CometPoints(CometResponse):
    metrics: list[CometPoint]


class CometCurve(CometResponse):
    """One metric of a chart; the lists have the same length. Timestamps are milliseconds since 1970, durations
    milliseconds since the run's start. In a chart that is not independent, a step without a point has nulls."""

    metric_name: str
    values: list[float | None]
    steps: list[int | None]
    epochs: list[int | None]
    timestamps: list[int | None]
    durations: list[int | None]


class CometChart(CometResponse):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings", alias_generator=None)

    experiment_key: str
    experimentKey: str
    experimentName: str | None
    steps: list[int | None]
    epochs: list[int] | None = None
    metrics: list[CometCurve]
    params: dict[str, Logged] | None


class CometCharts(CometResponse):
    experiments: dict[str, CometChart]
    empty: bool


class CometAsset(CometResponse):
    experiment_key: str
    asset_id: str
    file_name: str
    file_size: int
    type: str
    step: int | None
    created_at: int
    link: str
    curl_download: str
    dir: str
    metadata: str | None
    etag: str
    audio: bool
    video: bool
    image: bool
    histogram: bool
    can_view: bool
    remote: bool = False
    run_context: str | None = None
    compressed_asset_link: str | None = None
    s3_link: str | None = None
    tags: tuple[str, ...] = ()
    items: tuple[str, ...] = ()


class CometAssets(CometResponse):
    assets: list[CometAsset]


class CometModel(CometResponse):
    experiment_model_id: str
    experiment_key: str
    model_name: str


class CometModels(CometResponse):
    models: list[CometModel]


class CometHtml(CometResponse):
    html: str | None


class CometCode(CometResponse):
    code: str | None


class CometGraph(CometResponse):
    graph: str | None


class CometOutput(CometResponse):
    output: str | None


class CometMessage(CometResponse):
    msg: str


class CometGit(CometResponse):
    """`parent` is the commit that was checked out, `origin` the address of the remote, `root` the work tree."""

    user: str | None
    root: str | None
    branch: str | None
    parent: str | None
    origin: str | None


class CometGpu(CometResponse):
    gpu_index: int
    name: str
    uuid: str | None = None
    total_memory: int | None
    power_limit: int | None = None


class CometSystem(CometResponse):
    """Metadata that the SDK captured, or that Comet's client logged, in whatever form. The client looks every key up by
    its name, so that all are there, null if not known."""

    user: str | None
    pid: Any = None
    ip: str | None = None
    os: str | None
    os_type: str | None
    os_release: str | None
    hostname: str | None
    machine: str | None
    processor: str | None
    command: Any = None
    executable: str | None
    env: Any = None
    python_version: str | None
    python_version_verbose: str | None
    installed_packages: list[str] | None
    os_packages: Any = None
    gpu_static_info_list: list[CometGpu] | Any
    log_additional_system_info_list: list[dict[str, Any]] = ModelField(default_factory=list)
    system_metric_names: list[str]
    max_total_memory: Any = None
    network_interface_ips: Any = None
    total_ram: Any = None
