"""The reads of a run under the names that Comet's pages document for an experiment."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from runstream.events.names import project_id

#: The column that brings the path of the program along with a page of runs.
PROGRAM: Final = "env.command.program"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Summary = dict[str, Any]


def at_ms(moment: datetime) -> int:
    """Milliseconds since 1970 UTC, rounded down."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


class ExperimentReader(Protocol):
    """What a run needs of an `API` for these reads; the names are those of `API`, which says what they give."""

    @property
    def url(self) -> str: ...
    def get_experiment_metadata(self, experiment_key: str) -> dict[str, Any]: ...
    def get_experiment_html(self, experiment_key: str) -> str | None: ...
    def get_experiment_code(self, experiment_key: str) -> str | None: ...
    def get_experiment_output(self, experiment_key: str) -> str | None: ...
    def get_experiment_model_graph(self, experiment_key: str) -> str | None: ...
    def get_experiment_system_details(self, experiment_key: str) -> dict[str, Any]: ...
    def get_experiment_metric(self, experiment_key: str, metric: str | None = None) -> list[dict[str, Any]]: ...
    def get_experiment_metrics_summaries(self, experiment_key: str) -> list[Summary]: ...
    def get_experiment_parameters_summaries(self, experiment_key: str) -> list[Summary]: ...
    def get_experiment_others_summaries(self, experiment_key: str) -> list[Summary]: ...
    def get_experiment_asset_list(self, experiment_key: str, asset_type: str = "all") -> list[dict[str, Any]]: ...
    def get_experiment_asset(self, experiment_key: str, asset_id: str, return_type: str = "raw") -> Any: ...
    def get_experiment_asset_by_name(
        self, experiment_key: str, file_name: str, return_type: str | None = None
    ) -> Any: ...
    def get_experiment_curves(self, experiment_key: str) -> list[dict[str, Any]]: ...
    def get_experiment_images(self, experiment_key: str) -> list[bytes]: ...
    def get_experiment_models(self, experiment_key: str) -> list[dict[str, Any]]: ...
    def get_experiment_model_asset_list(self, experiment_key: str, model_name: str) -> list[dict[str, Any]]: ...


class DocumentedRun:
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
    columns: Mapping[str, Any]

    @property
    def key(self) -> str:
        return self.run

    @property
    def project_name(self) -> str:
        return self.project

    @property
    def url(self) -> str:
        """Where a page of the run is, or will be."""
        archive = "archive/" if self.archived else ""
        return f"{self.api.url}/{self.workspace}/{self.project}/{archive}{self.run}"

    @property
    def start_server_timestamp(self) -> int:
        """Milliseconds since 1970 UTC."""
        return at_ms(self.started_at)

    @property
    def end_server_timestamp(self) -> int | None:
        """Milliseconds since 1970 UTC; of a run that fell silent, when it was last heard of; None while it runs."""
        if self.status == "running":
            return None
        return self.start_server_timestamp + self.duration_millis if self.ended_at is None else at_ms(self.ended_at)

    @property
    def duration_millis(self) -> int:
        return round(self.duration_s * 1000)

    def get_name(self) -> str | None:
        """None if it has none."""
        return self.name or None

    def get_state(self) -> str:
        """running, finished or crashed (which failed and killed are as well)."""
        return self.status if self.status in ("running", "finished") else "crashed"

    def get_tags(self) -> list[str]:
        return list(self.tags)

    def get_metadata(self) -> dict[str, Any]:
        """As `API.get_experiment_metadata`; asks the server only where this run was read without its program's path."""
        if PROGRAM not in self.columns:
            return self.api.get_experiment_metadata(self.run)
        program = None if self.columns[PROGRAM] is None else str(self.columns[PROGRAM])
        return {
            "experimentKey": self.run,
            "experimentName": self.get_name(),
            "workspaceName": self.workspace,
            "projectName": self.project,
            "projectId": project_id(self.workspace, self.project),
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
        return self.api.get_experiment_html(self.run)

    def get_code(self) -> str | None:
        return self.api.get_experiment_code(self.run)

    def get_output(self) -> str | None:
        return self.api.get_experiment_output(self.run)

    def get_model_graph(self) -> str | None:
        return self.api.get_experiment_model_graph(self.run)

    def get_system_details(self) -> dict[str, Any]:
        return self.api.get_experiment_system_details(self.run)

    def get_installed_packages(self) -> list[str] | None:
        packages: list[str] | None = self.get_system_details()["installedPackages"]
        return packages

    def get_metrics(self, metric: str | None = None) -> list[dict[str, Any]]:
        """Points of one metric, or of all by name."""
        return self.api.get_experiment_metric(self.run, metric)

    def get_metrics_summary(self, metric: str | None = None) -> list[Summary] | Summary:
        """All, or that of one metric ([] if the run does not have it)."""
        return _all_or_one(self.api.get_experiment_metrics_summaries(self.run), metric)

    def get_parameters_summary(self, parameter: str | None = None) -> list[Summary] | Summary:
        """All, or that of one parameter ([] if the run does not have it)."""
        return _all_or_one(self.api.get_experiment_parameters_summaries(self.run), parameter)

    def get_others_summary(self, other: str | None = None) -> list[Summary] | list[str]:
        """All, or the value of one in a list ([] if the run does not have it)."""
        found = self.api.get_experiment_others_summaries(self.run)
        return found if other is None else [one["valueCurrent"] for one in found if one["name"] == other]

    def get_asset_list(self, asset_type: str = "all") -> list[dict[str, Any]]:
        return self.api.get_experiment_asset_list(self.run, asset_type)

    def get_asset(self, asset_id: str, return_type: str = "binary") -> Any:
        return self.api.get_experiment_asset(self.run, asset_id, return_type)

    def get_asset_by_name(self, asset_filename: str, return_type: str = "binary") -> Any:
        return self.api.get_experiment_asset_by_name(self.run, asset_filename, return_type)

    def get_curves(self) -> list[dict[str, Any]]:
        return self.api.get_experiment_curves(self.run)

    def get_images(self) -> list[bytes]:
        return self.api.get_experiment_images(self.run)

    def get_model_names(self) -> list[str]:
        return [model["modelName"] for model in self.api.get_experiment_models(self.run)]

    def get_model_asset_list(self, model_name: str) -> list[dict[str, Any]]:
        return self.api.get_experiment_model_asset_list(self.run, model_name)


def _all_or_one(found: list[Summary], name: str | None) -> list[Summary] | Summary:
    return found if name is None else next((one for one in found if one["name"] == name), [])
