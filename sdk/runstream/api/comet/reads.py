"""What Comet's page on Python Panels reads of one experiment, by its key.

The page fixes the texts and shapes of these responses (a summary's values are texts, a point has an offset), and the
server gives exactly them to Comet's own client. The methods here use the same routes, so that the two can never differ;
`API`'s own methods (`series`, `summaries`, `parameters`, ...) read the same with types.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final, get_args
from urllib.parse import urlencode

from runstream.api.archives import opened_archive
from runstream.api.comet.search import ExperimentSearch
from runstream.api.errors import NotFound
from runstream.api.guarding import reads_responses
from runstream.api.parts.arguments import RunOrId, run_id
from runstream.api.parts.saving import saved, target_in, targets_of
from runstream.api.session import Session
from runstream.api.transport import Parameter
from runstream.api.values import Logged
from runstream.api.views.comet_experiment import PROGRAM
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
from runstream.api.views.runs import RunView
from runstream.errors import Invalid

_ROOT: Final = "/api/rest/v2/experiment"
_LINEAGE: Final = "/api/rest/v2/get/artifacts"


@reads_responses
class ExperimentReads:
    """A part of `CometApi`. Every method takes the key of an experiment (a run's id), or a `RunView`, and raises
    NotFound for an unknown one."""

    def __init__(self, session: Session, search: ExperimentSearch) -> None:
        self._session = session
        self._search = search

    def _read(self, path: str, experiment: RunOrId, **query: Parameter) -> Any:
        return self._session.get(f"{_ROOT}/{path}", experimentKey=run_id(experiment), **query)

    def _bytes(self, path: str, experiment: RunOrId, **query: str) -> bytes:
        query_string = urlencode({"experimentKey": run_id(experiment), **query})
        with self._session.open("GET", f"{_ROOT}/{path}?{query_string}", headers={"Accept": "*/*"}) as response:
            return response.read()

    def _view(self, experiment_key: RunOrId) -> RunView:
        """Read the experiment, archived or not, with its program. Raises NotFound."""
        if isinstance(experiment_key, RunView) and PROGRAM in experiment_key.columns:
            return experiment_key
        key = run_id(experiment_key)
        found = self._search.get_experiment_by_key(key)
        if found is None:
            raise NotFound(f"no experiment has the key {key[:140]!r}: look it up with get_experiments", {})
        return found

    def get_experiment_metadata(self, experiment_key: RunOrId) -> ExperimentMetadata:
        """Read the key, name, place, times (milliseconds), state, program, tags and user of an experiment."""
        return self._view(experiment_key).get_metadata()

    def get_experiment_name(self, experiment_key: RunOrId, max_length: int | None = None) -> str | None:
        """None if it has none. A name of more than `max_length` characters is cut off there."""
        name = self._view(experiment_key).get_name()
        return name if name is None or max_length is None else name[:max_length]

    def get_experiment_url(self, experiment_key: RunOrId) -> str:
        """Return the address of the experiment's page."""
        return self._view(experiment_key).url

    def get_experiment_tags(self, experiment_key: RunOrId) -> list[str]:
        """Read the tags of an experiment."""
        return self._view(experiment_key).get_tags()

    def get_experiment_html(self, experiment_key: RunOrId) -> str | None:
        """What was logged with `log_html` of Comet's client; None if nothing was."""
        text: str | None = self._read("html", experiment_key)["html"]
        return text

    def get_experiment_code(self, experiment_key: RunOrId) -> str | None:
        """What was logged with `set_code` of Comet's client; None if nothing was."""
        text: str | None = self._read("code", experiment_key)["code"]
        return text

    def get_experiment_output(self, experiment_key: RunOrId) -> str | None:
        """What it printed; None if that was not captured."""
        text: str | None = self._read("output", experiment_key)["output"]
        return text

    def get_experiment_model_graph(self, experiment_key: RunOrId) -> str | None:
        """What was logged with `set_model_graph` of Comet's client; None if nothing was."""
        text: str | None = self._read("graph", experiment_key)["graph"]
        return text

    def get_experiment_graph(self, experiment_key: RunOrId) -> str | None:
        """The same as `get_experiment_model_graph`."""
        return self.get_experiment_model_graph(experiment_key)

    def get_model_graph(self, experiment_key: RunOrId) -> str | None:
        """The same as `get_experiment_model_graph`."""
        return self.get_experiment_model_graph(experiment_key)

    def get_experiment_system_details(self, experiment_key: RunOrId) -> SystemDetails:
        """Read what it ran on, under Comet's names; what is not known is None."""
        found: SystemDetails = self._read("system-details", experiment_key)
        return found

    def get_experiment_installed_packages(self, experiment_key: RunOrId) -> list[str] | None:
        """`name==version`, by name; None if they were not captured."""
        return self.get_experiment_system_details(experiment_key)["installedPackages"]

    def get_experiment_metric(self, experiment_key: RunOrId, metric: str | None = None) -> list[MetricPoint]:
        """Every point of a metric in the order of steps and times: metricName, metricValue (a text), timestamp
        (milliseconds), step, epoch, runContext, offset. Without `metric` those of all metrics, by name. A metric that
        the experiment does not have has no points."""
        if metric is None:
            points = self._read("metrics/get-all", experiment_key)["metrics"]
        else:
            points = self._read("metrics/get-metric", experiment_key, metricName=metric)["metrics"]
        return list(points)

    def get_experiment_metrics_summaries(self, experiment_key: RunOrId) -> list[ValueSummary]:
        """By name: valueMin, valueMax, valueCurrent (texts), and for each its timestamp (milliseconds) and step."""
        return list(self._read("metrics/summary", experiment_key)["values"])

    def get_experiment_parameters_summaries(self, experiment_key: RunOrId) -> list[ValueSummary]:
        """By name, in the form of metrics' summaries, without steps."""
        return list(self._read("parameters", experiment_key)["values"])

    def get_experiment_others_summaries(self, experiment_key: RunOrId) -> list[ValueSummary]:
        """By name, in the form of metrics' summaries, without steps; the experiment's name is the one called `Name`."""
        return list(self._read("log-other", experiment_key)["values"])

    def get_experiment_asset_list(self, experiment_key: RunOrId, asset_type: str = "all") -> list[AssetDetails]:
        """Assets by name, of one type (image, audio, video, curve, histogram_combined_3d, ...) or all: assetId,
        fileName, fileSize, type, step, link, createdAt (milliseconds), metadata, ..."""
        return list(self._read("asset/list", experiment_key, type=asset_type)["assets"])

    def get_experiment_asset(self, experiment_key: RunOrId, asset_id: str, return_type: ReturnType = "raw") -> Logged:
        """Read the bytes of an asset; with `return_type` "text" as text (U+FFFD stands for what is no UTF-8), with
        "json" as the value that it means."""
        if return_type not in get_args(ReturnType):
            raise Invalid(f"return_type is {return_type!r}: give one of {', '.join(get_args(ReturnType))}")
        content = self._bytes("asset/get-asset", experiment_key, assetId=asset_id)
        if return_type == "json":
            return json.loads(content)
        return content.decode(errors="replace") if return_type == "text" else content

    def get_experiment_asset_by_name(
        self,
        experiment_key: RunOrId,
        file_name: str,
        return_type: ReturnType | None = None,
        asset_type: str | None = None,
    ) -> Logged:
        """Read an asset as `get_experiment_asset` does, by its name; None if there is none of this name."""
        found = self.get_experiment_assets_named(experiment_key, file_name, asset_type)
        if not found:
            return None
        return self.get_experiment_asset(experiment_key, found[0]["assetId"], return_type or "raw")

    def get_experiment_assets_named(
        self, experiment_key: RunOrId, file_name: str, asset_type: str | None = None
    ) -> list[AssetDetails]:
        """Read the list of the assets of a name, of one type or all, in the form of `get_experiment_asset_list`."""
        wanted = None if asset_type in (None, "all") else asset_type
        return list(self._read("asset/get-by-name", experiment_key, assetName=file_name, type=wanted)["assets"])

    def get_experiment_curves(self, experiment_key: RunOrId) -> list[dict[str, Logged]]:
        """Assets of the type `curve` (x, y, name), each with its step and assetId. One request an asset."""
        listed = self.get_experiment_asset_list(experiment_key, "curve")
        curves = [self.get_experiment_asset(experiment_key, one["assetId"], "json") for one in listed]
        return [
            {**curve, "step": one["step"], "assetId": one["assetId"]} for curve, one in zip(curves, listed, strict=True)
        ]

    def get_experiment_images(self, experiment_key: RunOrId) -> list[bytes]:
        """The bytes of every image, by name. One request an image."""
        listed = self.get_experiment_asset_list(experiment_key, "image")
        return [self.get_experiment_asset(experiment_key, one["assetId"]) for one in listed]

    def get_experiment_models(self, experiment_key: RunOrId) -> list[ModelDetails]:
        """experimentModelId, experimentKey and modelName of each model."""
        return list(self._read("model", experiment_key)["models"])

    def get_experiment_model_asset_list(self, experiment_key: RunOrId, model_name: str) -> list[AssetDetails]:
        """The assets of a model, in the form of `get_experiment_asset_list`."""
        return list(self._read("model/asset/list", experiment_key, modelName=model_name)["assets"])

    def download_experiment_model(self, experiment_key: RunOrId, name: str, output_path: str, expand: bool) -> None:
        """Write the files of a model into a folder; without `expand` the archive with them, NAME.zip. Raises NotFound
        for an unknown model."""
        archive, folder = self._bytes("model/download", experiment_key, modelName=name), Path(output_path).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        if not expand:
            with saved(target_in(folder, f"{name}.zip", "model.zip"), folder) as file:
                file.write(archive)
            return
        with opened_archive(archive, f"model {name!r}") as files:
            names = [one.filename for one in files.infolist() if not one.is_dir()]
            for of_archive, target in zip(names, targets_of(folder, names), strict=True):
                with saved(target, folder) as file, files.open(of_archive) as content:
                    shutil.copyfileobj(content, file)

    def get_experiment_git_metadata(self, experiment_key: RunOrId) -> GitMetadata:
        """Read the commit that it ran from: branch, origin, parent (the commit), root, user; what is not known is
        None."""
        found: GitMetadata = self._read("git/metadata", experiment_key)
        return found

    def get_experiment_git_patch(self, experiment_key: RunOrId) -> bytes | None:
        """Read what was changed since the commit, as a ZIP archive with one file; None if nothing was."""
        content = self._bytes("git/patch", experiment_key)
        return None if content.startswith(b'{"msg"') else content

    def get_experiment_artifact_lineage(self, experiment_key: RunOrId, direction: str = "all") -> ArtifactLineage:
        """Read the versions of artifacts that it made (`output`) and used (`input`)."""
        found: ArtifactLineage = self._session.get(_LINEAGE, experimentKey=run_id(experiment_key), filter=direction)
        return found
