"""The reads of a run under the names that Comet documents for an experiment."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, Protocol, overload

from runstream.addresses import page_of_run
from runstream.api import optional
from runstream.api.archives import opened_archive
from runstream.api.values import Logged
from runstream.api.views.comet_system import CometSystem
from runstream.api.views.comet_types import (
    ArtifactLineage,
    AssetDetails,
    ExperimentMetadata,
    GitMetadata,
    MetricPoint,
    ModelDetails,
    ReturnType,
    SystemDetails,
    ValueSummary,
)
from runstream.events.moments import millis_of
from runstream.events.names import project_id

#: The column that brings the path of the program along with a page of runs.
PROGRAM: Final = "env.command.program"


class ReadsExperiments(Protocol):
    """`api.comet`, as far as a run needs it."""

    def get_experiment_metadata(self, experiment_key: str) -> ExperimentMetadata: ...
    def get_experiment_html(self, experiment_key: str) -> str | None: ...
    def get_experiment_code(self, experiment_key: str) -> str | None: ...
    def get_experiment_output(self, experiment_key: str) -> str | None: ...
    def get_experiment_model_graph(self, experiment_key: str) -> str | None: ...
    def get_experiment_system_details(self, experiment_key: str) -> SystemDetails: ...
    def get_experiment_metric(self, experiment_key: str, metric: str | None = None) -> list[MetricPoint]: ...
    def get_experiment_metrics_summaries(self, experiment_key: str) -> list[ValueSummary]: ...
    def get_experiment_parameters_summaries(self, experiment_key: str) -> list[ValueSummary]: ...
    def get_experiment_others_summaries(self, experiment_key: str) -> list[ValueSummary]: ...
    def get_experiment_asset_list(self, experiment_key: str, asset_type: str = "all") -> list[AssetDetails]: ...
    def get_experiment_asset(self, experiment_key: str, asset_id: str, return_type: ReturnType) -> Logged: ...
    def get_experiment_asset_by_name(
        self, experiment_key: str, file_name: str, return_type: ReturnType, asset_type: str | None = None
    ) -> Logged: ...
    def get_experiment_assets_named(
        self, experiment_key: str, file_name: str, asset_type: str | None = None
    ) -> list[AssetDetails]: ...
    def get_experiment_git_metadata(self, experiment_key: str) -> GitMetadata: ...
    def get_experiment_git_patch(self, experiment_key: str) -> bytes | None: ...
    def get_experiment_artifact_lineage(self, experiment_key: str, direction: str = "all") -> ArtifactLineage: ...
    def download_experiment_model(self, experiment_key: str, name: str, output_path: str, expand: bool) -> None: ...
    def get_experiment_curves(self, experiment_key: str) -> list[dict[str, Logged]]: ...
    def get_experiment_images(self, experiment_key: str) -> list[bytes]: ...
    def get_experiment_models(self, experiment_key: str) -> list[ModelDetails]: ...
    def get_experiment_model_asset_list(self, experiment_key: str, model_name: str) -> list[AssetDetails]: ...


class ExperimentReader(Protocol):
    """Where a run reads what it logged under the names that Comet documents: an `API`."""

    @property
    def url(self) -> str: ...
    @property
    def comet(self) -> ReadsExperiments: ...


class CometExperiment(CometSystem):
    """A part of `RunView`. What is known of the run (its name, tags, times, metadata) is that of when it was read and
    asks nobody; every other method is one request."""

    api: ExperimentReader
    run: str
    workspace: str
    project: str
    name: str
    status: str
    user: str
    tags: tuple[str, ...]
    started_at: datetime
    ended_at: datetime | None
    duration_s: float
    archived: bool
    columns: Mapping[str, Logged]

    @property
    def key(self) -> str:
        return self.run

    @property
    def project_name(self) -> str:
        return self.project

    @property
    def project_id(self) -> str:
        """The id of its project, which is made of both names."""
        return project_id(self.workspace, self.project)

    @property
    def optimization_id(self) -> None:
        """None: no search is known."""
        return None

    @property
    def file_path(self) -> str | None:
        """The path of its program; None if it is not known. Asks the server only as `get_metadata` does."""
        return self.get_metadata()["filePath"]

    @property
    def file_name(self) -> str | None:
        """The last part of `file_path`."""
        return self.get_metadata()["fileName"]

    @property
    def url(self) -> str:
        """The address of the run's page."""
        return page_of_run(self.api.url, self.workspace, self.project, self.run, archived=self.archived)

    @property
    def start_server_timestamp(self) -> int:
        """Milliseconds since 1970 UTC."""
        return millis_of(self.started_at)

    @property
    def end_server_timestamp(self) -> int | None:
        """Milliseconds since 1970 UTC; of a run that fell silent, when it was last heard of; None while it runs."""
        if self.status == "running":
            return None
        return self.start_server_timestamp + self.duration_millis if self.ended_at is None else millis_of(self.ended_at)

    @property
    def duration_millis(self) -> int:
        return round(self.duration_s * 1000)

    def get_name(self) -> str | None:
        """Return its name; None if nobody gave it one: it is shown under its id then."""
        return self.name if self.name not in ("", self.run) else None

    def get_state(self) -> str:
        """running, finished or crashed (which failed and killed are as well)."""
        return self.status if self.status in ("running", "finished") else "crashed"

    def get_tags(self) -> list[str]:
        return list(self.tags)

    def get_metadata(self) -> ExperimentMetadata:
        """As `API.get_experiment_metadata`; asks the server only where this run was read without its program's path."""
        if PROGRAM not in self.columns:
            return self.api.comet.get_experiment_metadata(self.run)
        program = None if self.columns[PROGRAM] is None else str(self.columns[PROGRAM])
        return {
            "experimentKey": self.run,
            "experimentName": self.get_name(),
            "workspaceName": self.workspace,
            "projectName": self.project,
            "projectId": self.project_id,
            "archived": self.archived,
            "running": self.status == "running",
            "hasCrashed": self.get_state() == "crashed",
            "startTimeMillis": self.start_server_timestamp,
            "endTimeMillis": self.end_server_timestamp,
            "durationMillis": self.duration_millis,
            "fileName": posixpath.basename(program) or None if program else None,
            "filePath": program or None,
            "optimizationId": None,
            "throttle": False,
            "userName": self.user,
            "tags": self.get_tags(),
        }

    def get_html(self) -> str | None:
        return self.api.comet.get_experiment_html(self.run)

    def get_code(self) -> str | None:
        return self.api.comet.get_experiment_code(self.run)

    def get_output(self) -> str | None:
        return self.api.comet.get_experiment_output(self.run)

    def get_model_graph(self) -> str | None:
        return self.api.comet.get_experiment_model_graph(self.run)

    def get_system_details(self) -> SystemDetails:
        return self.api.comet.get_experiment_system_details(self.run)

    def get_git_metadata(self) -> GitMetadata:
        return self.api.comet.get_experiment_git_metadata(self.run)

    def get_git_patch(self) -> bytes | None:
        return self.api.comet.get_experiment_git_patch(self.run)

    def get_artifact_lineage(self, direction: str = "all") -> ArtifactLineage:
        return self.api.comet.get_experiment_artifact_lineage(self.run, direction)

    def get_metrics(self, metric: str | None = None) -> list[MetricPoint]:
        """Points of one metric, or of all by name."""
        return self.api.comet.get_experiment_metric(self.run, metric)

    @overload
    def get_metrics_summary(self, metric: None = None) -> list[ValueSummary]: ...
    @overload
    def get_metrics_summary(self, metric: str) -> ValueSummary | list[ValueSummary]: ...
    def get_metrics_summary(self, metric: str | None = None) -> ValueSummary | list[ValueSummary]:
        """All, or that of one metric ([] if the run does not have it)."""
        return _all_or_one(self.api.comet.get_experiment_metrics_summaries(self.run), metric)

    @overload
    def get_parameters_summary(self, parameter: None = None) -> list[ValueSummary]: ...
    @overload
    def get_parameters_summary(self, parameter: str) -> ValueSummary | list[ValueSummary]: ...
    def get_parameters_summary(self, parameter: str | None = None) -> ValueSummary | list[ValueSummary]:
        """All, or that of one parameter ([] if the run does not have it)."""
        return _all_or_one(self.api.comet.get_experiment_parameters_summaries(self.run), parameter)

    @overload
    def get_others_summary(self, other: None = None) -> list[ValueSummary]: ...
    @overload
    def get_others_summary(self, other: str) -> list[str]: ...
    def get_others_summary(self, other: str | None = None) -> list[ValueSummary] | list[str]:
        """All, or the value of one in a list ([] if the run does not have it)."""
        found = self.api.comet.get_experiment_others_summaries(self.run)
        return found if other is None else [one["valueCurrent"] for one in found if one["name"] == other]

    def get_asset_list(self, asset_type: str = "all") -> list[AssetDetails]:
        return self.api.comet.get_experiment_asset_list(self.run, asset_type)

    @overload
    def get_asset(self, asset_id: str, return_type: Literal["raw", "binary"] = "binary") -> bytes: ...
    @overload
    def get_asset(self, asset_id: str, return_type: Literal["text"]) -> str: ...
    @overload
    def get_asset(self, asset_id: str, return_type: ReturnType) -> Logged: ...
    def get_asset(self, asset_id: str, return_type: ReturnType = "binary") -> Logged:
        return self.api.comet.get_experiment_asset(self.run, asset_id, return_type)

    @overload
    def get_asset_by_name(
        self, asset_filename: str, asset_type: str = "all", return_type: Literal["raw", "binary"] = "binary"
    ) -> bytes | None: ...
    @overload
    def get_asset_by_name(
        self, asset_filename: str, asset_type: str = "all", *, return_type: Literal["text"]
    ) -> str | None: ...
    @overload
    def get_asset_by_name(
        self, asset_filename: str, asset_type: str = "all", return_type: ReturnType = "binary"
    ) -> Logged: ...
    def get_asset_by_name(
        self, asset_filename: str, asset_type: str = "all", return_type: ReturnType = "binary"
    ) -> Logged:
        """Read the first asset of this name and type; None if there is none."""
        return self.api.comet.get_experiment_asset_by_name(self.run, asset_filename, return_type, asset_type)

    def get_assets_by_name(
        self, asset_filename: str, asset_type: str | None = None, return_type: ReturnType = "binary"
    ) -> list[Logged] | None:
        """Read every asset of this name and type, one request for each; None if there is none."""
        found = self.api.comet.get_experiment_assets_named(self.run, asset_filename, asset_type)
        return [self.get_asset(one["assetId"], return_type) for one in found] or None

    def get_curves(self) -> list[dict[str, Logged]]:
        return self.api.comet.get_experiment_curves(self.run)

    def get_curve(self, asset_id: str) -> dict[str, Logged]:
        """Read one curve, in the form of `get_curves`."""
        curve: dict[str, Logged] = self.get_asset(asset_id, "json")
        steps = {one["assetId"]: one["step"] for one in self.get_asset_list("curve")}
        return {**curve, "step": steps[asset_id], "assetId": asset_id} if asset_id in steps else curve

    def get_images(self) -> list[bytes]:
        return self.api.comet.get_experiment_images(self.run)

    def get_model_names(self) -> list[str]:
        return [model["modelName"] for model in self.api.comet.get_experiment_models(self.run)]

    def get_model_asset_list(self, model_name: str) -> list[AssetDetails]:
        return self.api.comet.get_experiment_model_asset_list(self.run, model_name)

    def get_model_data(self, name: str) -> list[AssetDetails]:
        """Read the same as `get_model_asset_list`, as in Comet's client."""
        return self.get_model_asset_list(name)

    def download_model(self, name: str, output_path: str = "./", expand: bool = True) -> None:
        """Write the files of a model into a folder; without `expand` the archive with them, NAME.zip."""
        self.api.comet.download_experiment_model(self.run, name, output_path, expand)

    def get_metric_total_df(self, metric_name: str, fallback_to_sampled_data: bool = True) -> Any:
        """Read every point of a metric as a table of pandas: value, timestamp (seconds), step, epoch, datetime,
        duration (seconds since the point before); None without any. `fallback_to_sampled_data` changes nothing: no
        point is ever left out."""
        pandas = optional.pandas("get_metric_total_df")
        rows = [
            (float(one["metricValue"]), one["timestamp"] / 1_000, one["step"], one["epoch"])
            for one in self.get_metrics(metric_name)
        ]
        if not rows:
            return None
        table = pandas.DataFrame(rows, columns=["value", "timestamp", "step", "epoch"])
        table["datetime"] = pandas.to_datetime(table["timestamp"], unit="s")
        table["duration"] = table["timestamp"].diff()
        return table

    def to_json(self, full: bool = False) -> dict[str, Any]:
        """Return what is known of the run as one dictionary; with `full` read everything but its files' bytes."""
        found: dict[str, Any] = {
            "id": self.run,
            "name": self.get_name(),
            "workspace": self.workspace,
            "project_name": self.project,
            "archived": self.archived,
            "url": self.url,
            "duration_millis": self.duration_millis,
            "start_server_timestamp": self.start_server_timestamp,
            "end_server_timestamp": self.end_server_timestamp,
            "optimization_id": self.optimization_id,
            "file_path": self.file_path,
            "file_name": self.file_name,
        }
        return found | self._read_everything() if full else found

    def _read_everything(self) -> dict[str, Any]:
        patch = self.get_git_patch()
        return {
            "asset_list": self.get_asset_list(),
            "code": self.get_code(),
            "html": self.get_html(),
            "metrics": self.get_metrics(),
            "metrics_summary": self.get_metrics_summary(),
            "model_graph": self.get_model_graph(),
            "others_summary": self.get_others_summary(),
            "output": self.get_output(),
            "parameters_summary": self.get_parameters_summary(),
            "system_details": self.get_system_details(),
            "tags": self.get_tags(),
            "git_patch": None if patch is None else _patch_in(patch),
            "git_metadata": self.get_git_metadata(),
        }


def _patch_in(archive: bytes) -> bytes:
    """Return the one file of a patch's archive. Raises ServerFailed."""
    with opened_archive(archive, "a git patch") as files:
        return files.read(files.namelist()[0])


def _all_or_one(found: list[ValueSummary], name: str | None) -> ValueSummary | list[ValueSummary]:
    return found if name is None else next((one for one in found if one["name"] == name), [])
