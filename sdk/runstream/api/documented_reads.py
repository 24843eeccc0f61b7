"""What Comet's page on Python Panels reads of one experiment, by its key.

The page fixes the texts and shapes of these answers (a summary's values are texts, a point has an offset), and the
server gives exactly them to Comet's own client. The methods here ask the same routes, so that the two can never differ;
`API`'s own methods (`series`, `summaries`, `parameters`, ...) read the same with types. The bytes of assets come from
the native route.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from runstream.api.documented_run import PROGRAM, Summary
from runstream.api.errors import NotFound
from runstream.api.transport import Parameter, Transport, segment
from runstream.errors import Invalid
from runstream.query.literals import quoted

if TYPE_CHECKING:
    from runstream.api.views import Runs, RunView

_ROOT: Final = "/api/rest/v2"
_RETURN_TYPES: Final = ("raw", "binary", "text", "json")


class DocumentedReads:
    """A part of `API`. Every method takes the key of an experiment (a run's id), or a `RunView`, and raises NotFound
    for an unknown one."""

    _transport: Transport

    if TYPE_CHECKING:

        def _found(
            self,
            filter: str,
            *,
            sort: str = "created",
            limit: int | None = None,
            workspace: str | None = None,
            project: str | None = None,
        ) -> Runs: ...

    def _asked(self, path: str, **query: Parameter) -> Any:
        return self._transport.get(f"{_ROOT}/{path}", **query)

    def _view(self, experiment_key: str | RunView) -> RunView:
        """The experiment, archived or not, with its program. Raises NotFound."""
        if not isinstance(experiment_key, str):
            if PROGRAM in experiment_key.columns:
                return experiment_key
            experiment_key = experiment_key.run
        found = self._found(with_ids([experiment_key]))
        if not found:
            raise NotFound(f"no experiment has the key {experiment_key[:140]!r}: look it up with get_experiments", {})
        return found[0]

    def get_experiment_metadata(self, experiment_key: str | RunView) -> dict[str, Any]:
        """Key, name, place, times (milliseconds), state, program, tags and user of an experiment."""
        return self._view(experiment_key).get_metadata()

    def get_experiment_name(self, experiment_key: str | RunView, max_length: int | None = None) -> str | None:
        """None if it has none. A name of more than `max_length` characters is cut off there."""
        name = self._view(experiment_key).get_name()
        return name if name is None or max_length is None else name[:max_length]

    def get_experiment_url(self, experiment_key: str | RunView) -> str:
        return self._view(experiment_key).url

    def get_experiment_tags(self, experiment_key: str | RunView) -> list[str]:
        return self._view(experiment_key).get_tags()

    def get_experiment_html(self, experiment_key: str | RunView) -> str | None:
        """What was logged with `log_html` of Comet's client; None if nothing was."""
        text: str | None = self._asked("experiment/html", experimentKey=key_of(experiment_key))["html"]
        return text

    def get_experiment_code(self, experiment_key: str | RunView) -> str | None:
        """What was logged with `set_code` of Comet's client; None if nothing was."""
        text: str | None = self._asked("experiment/code", experimentKey=key_of(experiment_key))["code"]
        return text

    def get_experiment_output(self, experiment_key: str | RunView) -> str | None:
        """What it printed; None if that was not captured."""
        text: str | None = self._asked("experiment/output", experimentKey=key_of(experiment_key))["output"]
        return text

    def get_experiment_model_graph(self, experiment_key: str | RunView) -> str | None:
        """What was logged with `set_model_graph` of Comet's client; None if nothing was."""
        text: str | None = self._asked("experiment/graph", experimentKey=key_of(experiment_key))["graph"]
        return text

    def get_experiment_graph(self, experiment_key: str | RunView) -> str | None:
        """The same as `get_experiment_model_graph`."""
        return self.get_experiment_model_graph(experiment_key)

    def get_model_graph(self, experiment_key: str | RunView) -> str | None:
        """The same as `get_experiment_model_graph`."""
        return self.get_experiment_model_graph(experiment_key)

    def get_experiment_system_details(self, experiment_key: str | RunView) -> dict[str, Any]:
        """What it ran on, under Comet's names; what is not known is None."""
        found: dict[str, Any] = self._asked("experiment/system-details", experimentKey=key_of(experiment_key))
        return found

    def get_experiment_installed_packages(self, experiment_key: str | RunView) -> list[str] | None:
        """`name==version`, by name; None if they were not captured."""
        packages: list[str] | None = self.get_experiment_system_details(experiment_key)["installedPackages"]
        return packages

    def get_experiment_metric(self, experiment_key: str | RunView, metric: str | None = None) -> list[dict[str, Any]]:
        """Every point of a metric in the order of steps and times: metricName, metricValue (a text), timestamp
        (milliseconds), step, epoch, runContext, offset. Without `metric` those of all metrics, by name. A metric that
        the experiment does not have has no points."""
        if metric is None:
            points = self._asked("experiment/metrics/get-all", experimentKey=key_of(experiment_key))["metrics"]
        else:
            points = self._asked(
                "experiment/metrics/get-metric", experimentKey=key_of(experiment_key), metricName=metric
            )["metrics"]
        return list(points)

    def get_experiment_metrics_summaries(self, experiment_key: str | RunView) -> list[Summary]:
        """By name: valueMin, valueMax, valueCurrent (texts), and for each its timestamp (milliseconds) and step."""
        return list(self._asked("experiment/metrics/summary", experimentKey=key_of(experiment_key))["values"])

    def get_experiment_parameters_summaries(self, experiment_key: str | RunView) -> list[Summary]:
        """By name, in the form of metrics' summaries, without steps."""
        return list(self._asked("experiment/parameters", experimentKey=key_of(experiment_key))["values"])

    def get_experiment_others_summaries(self, experiment_key: str | RunView) -> list[Summary]:
        """By name, in the form of metrics' summaries, without steps; the experiment's name is the one called `Name`."""
        return list(self._asked("experiment/log-other", experimentKey=key_of(experiment_key))["values"])

    def get_experiment_asset_list(self, experiment_key: str | RunView, asset_type: str = "all") -> list[dict[str, Any]]:
        """Assets by name, of one type (image, audio, video, curve, histogram_combined_3d, ...) or all: assetId,
        fileName, fileSize, type, step, link, createdAt (milliseconds), metadata, ..."""
        return list(
            self._asked("experiment/asset/list", experimentKey=key_of(experiment_key), type=asset_type)["assets"]
        )

    def get_experiment_asset(self, experiment_key: str | RunView, asset_id: str, return_type: str = "raw") -> Any:
        """The bytes of an asset; with `return_type` "text" as text, with "json" as the value that it says."""
        if return_type not in _RETURN_TYPES:
            raise Invalid(f"return_type is {return_type!r}: give one of {', '.join(_RETURN_TYPES)}")
        path = f"/api/v1/runs/{segment(key_of(experiment_key))}/assets/{segment(asset_id)}"
        with self._transport.open("GET", path, headers={"Accept": "*/*"}) as response:
            content = response.read()
        if return_type == "json":
            return json.loads(content)
        return content.decode() if return_type == "text" else content

    def get_experiment_asset_by_name(
        self, experiment_key: str | RunView, file_name: str, return_type: str | None = None
    ) -> Any:
        """As `get_experiment_asset`, by the asset's name; None if there is none of this name."""
        key = key_of(experiment_key)
        found = self._asked("experiment/asset/get-by-name", experimentKey=key, assetName=file_name)["assets"]
        return self.get_experiment_asset(key, found[0]["assetId"], return_type or "raw") if found else None

    def get_experiment_curves(self, experiment_key: str | RunView) -> list[dict[str, Any]]:
        """Assets of the type `curve` (x, y, name), each with its step and assetId. One request an asset."""
        listed = self.get_experiment_asset_list(experiment_key, "curve")
        curves = [self.get_experiment_asset(experiment_key, one["assetId"], "json") for one in listed]
        return [
            {**curve, "step": one["step"], "assetId": one["assetId"]} for curve, one in zip(curves, listed, strict=True)
        ]

    def get_experiment_images(self, experiment_key: str | RunView) -> list[bytes]:
        """The bytes of every image, by name. One request an image."""
        listed = self.get_experiment_asset_list(experiment_key, "image")
        return [self.get_experiment_asset(experiment_key, one["assetId"]) for one in listed]

    def get_experiment_models(self, experiment_key: str | RunView) -> list[dict[str, Any]]:
        """experimentModelId, experimentKey and modelName of each model."""
        return list(self._asked("experiment/model", experimentKey=key_of(experiment_key))["models"])

    def get_experiment_model_asset_list(self, experiment_key: str | RunView, model_name: str) -> list[dict[str, Any]]:
        """The assets of a model, in the form of `get_experiment_asset_list`."""
        return list(
            self._asked("experiment/model/asset/list", experimentKey=key_of(experiment_key), modelName=model_name)[
                "assets"
            ]
        )


def key_of(experiment: str | RunView) -> str:
    return experiment if isinstance(experiment, str) else experiment.run


def with_ids(keys: Sequence[str]) -> str:
    """The filter for these runs, archived ones too."""
    return f"id in ({', '.join(quoted(key) for key in keys)}) and (archived or not archived)"
