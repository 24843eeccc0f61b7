"""`api.comet`."""

from __future__ import annotations

from runstream.api.comet.asset_types import ReadsAsset, ReadsAssetByName
from runstream.api.comet.charts import ChartReads
from runstream.api.comet.panel import PanelReads
from runstream.api.comet.projects import ProjectReads
from runstream.api.comet.reads import ExperimentReads
from runstream.api.comet.search import ExperimentSearch
from runstream.api.forwarding import forward, forward_as
from runstream.api.guarding import reads_responses
from runstream.api.parts.projects import ProjectsApi
from runstream.api.parts.runs import RunsApi
from runstream.api.parts.summaries import SummariesApi
from runstream.api.session import Session
from runstream.api.views.runs import Runs, RunView


@reads_responses
class CometApi:
    """The methods of Comet's page on Python Panels. Where a workspace or project is not given, it is that of the API or
    of the panel that it is used in; without either, all are meant."""

    def __init__(self, session: Session, runs: RunsApi, projects: ProjectsApi, summaries: SummariesApi) -> None:
        self._session = session
        self._search = ExperimentSearch(session, runs)
        self._projects = ProjectReads(session, projects)
        self._experiments = ExperimentReads(session, self._search)
        self._charts = ChartReads(session)
        self._panel = PanelReads(session, self._search, self._projects, summaries)

    def get(
        self, workspace: str | None = None, project_name: str | None = None, experiment: str | None = None
    ) -> list[str] | Runs | RunView | None:
        """Read workspaces' names; of a workspace, its projects' names; of a project, its experiments; or one
        experiment, by key or name, None if there is none. The three may stand in one text, with slashes between
        them."""
        names = [name for name in (workspace, project_name, experiment) if name is not None]
        parts = "/".join(names).split("/", 2) if len(names) < 3 else names
        match parts:
            case [""]:
                return self.get_workspaces()
            case [workspace]:
                return [project["projectName"] for project in self.get_projects(workspace)]
            case [workspace, project]:
                return self.get_experiments(workspace, project)
            case _:
                return self.get_experiment(*parts)

    get_experiment_asset = forward_as[ReadsAsset]("_experiments", ExperimentReads.get_experiment_asset)
    get_experiment_asset_by_name = forward_as[ReadsAssetByName](
        "_experiments", ExperimentReads.get_experiment_asset_by_name
    )

    get_workspaces = forward("_projects", ProjectReads.get_workspaces)
    get_projects = forward("_projects", ProjectReads.get_projects)
    get_project = forward("_projects", ProjectReads.get_project)
    get_project_notes = forward("_projects", ProjectReads.get_project_notes)
    get_experiment_project_notes = forward("_projects", ProjectReads.get_experiment_project_notes)
    get_project_columns = forward("_projects", ProjectReads.get_project_columns)
    get_query_variables = forward("_projects", ProjectReads.get_query_variables)

    get_project_experiments = forward("_search", ExperimentSearch.get_project_experiments)
    get_experiments = forward("_search", ExperimentSearch.get_experiments)
    get_experiment = forward("_search", ExperimentSearch.get_experiment)
    get_experiment_by_key = forward("_search", ExperimentSearch.get_experiment_by_key)
    get_experiment_by_id = forward("_search", ExperimentSearch.get_experiment_by_id)
    get_experiment_by_name = forward("_search", ExperimentSearch.get_experiment_by_name)
    query = forward("_search", ExperimentSearch.query)
    query_project = forward("_search", ExperimentSearch.query_project)

    get_experiment_metadata = forward("_experiments", ExperimentReads.get_experiment_metadata)
    get_experiment_name = forward("_experiments", ExperimentReads.get_experiment_name)
    get_experiment_url = forward("_experiments", ExperimentReads.get_experiment_url)
    get_experiment_tags = forward("_experiments", ExperimentReads.get_experiment_tags)
    get_experiment_html = forward("_experiments", ExperimentReads.get_experiment_html)
    get_experiment_code = forward("_experiments", ExperimentReads.get_experiment_code)
    get_experiment_output = forward("_experiments", ExperimentReads.get_experiment_output)
    get_experiment_model_graph = forward("_experiments", ExperimentReads.get_experiment_model_graph)
    get_experiment_graph = forward("_experiments", ExperimentReads.get_experiment_graph)
    get_model_graph = forward("_experiments", ExperimentReads.get_model_graph)
    get_experiment_system_details = forward("_experiments", ExperimentReads.get_experiment_system_details)
    get_experiment_installed_packages = forward("_experiments", ExperimentReads.get_experiment_installed_packages)
    get_experiment_metric = forward("_experiments", ExperimentReads.get_experiment_metric)
    get_experiment_metrics_summaries = forward("_experiments", ExperimentReads.get_experiment_metrics_summaries)
    get_experiment_parameters_summaries = forward("_experiments", ExperimentReads.get_experiment_parameters_summaries)
    get_experiment_others_summaries = forward("_experiments", ExperimentReads.get_experiment_others_summaries)
    get_experiment_asset_list = forward("_experiments", ExperimentReads.get_experiment_asset_list)
    get_experiment_curves = forward("_experiments", ExperimentReads.get_experiment_curves)
    get_experiment_images = forward("_experiments", ExperimentReads.get_experiment_images)
    get_experiment_models = forward("_experiments", ExperimentReads.get_experiment_models)
    get_experiment_model_asset_list = forward("_experiments", ExperimentReads.get_experiment_model_asset_list)

    get_experiment_assets_named = forward("_experiments", ExperimentReads.get_experiment_assets_named)
    download_experiment_model = forward("_experiments", ExperimentReads.download_experiment_model)
    get_experiment_git_metadata = forward("_experiments", ExperimentReads.get_experiment_git_metadata)
    get_experiment_git_patch = forward("_experiments", ExperimentReads.get_experiment_git_patch)
    get_experiment_artifact_lineage = forward("_experiments", ExperimentReads.get_experiment_artifact_lineage)

    get_metrics_for_chart = forward("_charts", ChartReads.get_metrics_for_chart)
    get_metrics_df = forward("_charts", ChartReads.get_metrics_df)

    get_panel_workspace = forward("_panel", PanelReads.get_panel_workspace)
    get_panel_project_name = forward("_panel", PanelReads.get_panel_project_name)
    get_panel_project_id = forward("_panel", PanelReads.get_panel_project_id)
    get_panel_options = forward("_panel", PanelReads.get_panel_options)
    get_panel_experiment_colors = forward("_panel", PanelReads.get_panel_experiment_colors)
    get_panel_metric_colors = forward("_panel", PanelReads.get_panel_metric_colors)
    get_panel_width = forward("_panel", PanelReads.get_panel_width)
    get_panel_height = forward("_panel", PanelReads.get_panel_height)
    get_panel_size = forward("_panel", PanelReads.get_panel_size)
    get_panel_experiments = forward("_panel", PanelReads.get_panel_experiments)
    get_panel_experiment_keys = forward("_panel", PanelReads.get_panel_experiment_keys)
    get_panel_metrics_names = forward("_panel", PanelReads.get_panel_metrics_names)
    get_panel_request_count = forward("_panel", PanelReads.get_panel_request_count)
    get_panel_report = forward("_panel", PanelReads.get_panel_report)
