"""`runstream.API`: everything that was logged, read back; and commands."""

from __future__ import annotations

import re
from typing import Final, Self

from runstream.api.comet.api import CometApi
from runstream.api.comet.asset_types import ReadsAsset, ReadsAssetByName
from runstream.api.comet.charts import ChartReads
from runstream.api.comet.panel import PanelReads
from runstream.api.comet.projects import ProjectReads
from runstream.api.comet.reads import ExperimentReads
from runstream.api.comet.search import ExperimentSearch
from runstream.api.forwarding import forward, forward_as
from runstream.api.parts.artifacts import ArtifactsApi
from runstream.api.parts.assets import AssetsApi
from runstream.api.parts.projects import ProjectsApi
from runstream.api.parts.runs import RunsApi
from runstream.api.parts.saved_views import ViewsApi
from runstream.api.parts.series import SeriesApi
from runstream.api.parts.server import ServerApi
from runstream.api.parts.summaries import SummariesApi
from runstream.api.session import Session
from runstream.errors import InvalidSetting
from runstream.notices import PROCESS_NOTICES
from runstream.panel_context import PanelContext
from runstream.settings import load_settings

#: What is rather the name of a host than a key.
_HOST: Final = re.compile(r"[a-z][a-z0-9-]{0,19}")


class API:
    """Reads from, and sends commands to, one server, by its parts. Blocking; may be shared by threads.

    `url` and `api_key` default to the client's settings (environment and files). `workspace` and `project`, where they
    are given here, narrow what `runs` and `experiments` list; the settings' own are for logging and narrow nothing.

    As Comet's client, it may be given a key alone, `API(KEY)`, and `cache`, which changes nothing: every read asks the
    server.

    Options that most reads take: `wait_for` (a position such as "next:0:42": the response comes once it is visible)
    with `wait_s` (seconds, bounded by the server), and `as_of` (a position or an ISO time: the state at that moment).

    Most methods of the parts have a name here as well: `api.rename(run, name)` is `api.runs.rename(run, name)`. So have
    those of Comet's page on Python Panels (`get_experiments`, `query`, ...); inside of a panel they are about the
    panel's project.

    Raises InvalidSetting here; every method raises ServerUnreachable, ServerFailed, Refused or NotFound.
    """

    #: `api.runs(filter)` reads runs; its methods read and change one.
    runs: RunsApi
    #: `api.series(runs, metrics)` reads curves.
    series: SeriesApi
    #: `api.summaries(runs, metrics)` reads summaries of metrics.
    summaries: SummariesApi
    #: `api.assets(run)` reads the list of a run's files.
    assets: AssetsApi
    #: `api.artifacts(type)` reads artifacts; its methods read and change one.
    artifacts: ArtifactsApi
    #: `api.projects(workspace)` reads projects; its methods workspaces and experiments.
    projects: ProjectsApi
    #: `api.views(project)` reads the list of a project's saved views; its methods read, save and delete one.
    views: ViewsApi
    #: What the server tells of itself.
    server: ServerApi
    #: The methods of Comet's page on Python Panels.
    comet: CometApi

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        workspace: str | None = None,
        project: str | None = None,
        cache: bool | None = None,
    ) -> None:
        if url is not None and api_key is None:
            url, api_key = _address_or_key(url)
        settings = load_settings(url=url, api_key=api_key, workspace=workspace, project=project)
        for note in settings.notes:
            PROCESS_NOTICES.once(note, note)
        values = settings.values
        key = values.api_key.get_secret_value() if values.api_key else None
        self._compose(Session(values.url, key, workspace=workspace, project=project, panel=PanelContext.here()))

    @classmethod
    def over(cls, session: Session) -> Self:
        """Return the API over a session that was made of settings before."""
        api = cls.__new__(cls)
        api._compose(session)
        return api

    def _compose(self, session: Session) -> None:
        self._session = session
        self.runs = RunsApi(session, self)
        self.series = SeriesApi(session)
        self.summaries = SummariesApi(session)
        self.assets = AssetsApi(session)
        self.artifacts = ArtifactsApi(session, self)
        self.projects = ProjectsApi(session)
        self.views = ViewsApi(session)
        self.server = ServerApi(session)
        self.comet = CometApi(session, self.runs, self.projects, self.summaries)

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._session.url

    @property
    def position(self) -> str:
        """Up to where the log has what this API wrote: what another reader waits for (`wait_for`) to see all of it.
        Empty if it wrote nothing."""
        return self._session.position

    def __repr__(self) -> str:
        return f"API({self.url!r})"

    run = forward("runs", RunsApi.get)
    writers = forward("runs", RunsApi.writers)
    parameters = forward("runs", RunsApi.parameters)
    others = forward("runs", RunsApi.others)
    environment = forward("runs", RunsApi.environment)
    output = forward("runs", RunsApi.output)
    history = forward("runs", RunsApi.history)
    live = forward("runs", RunsApi.live)
    command = forward("runs", RunsApi.command)
    rename = forward("runs", RunsApi.rename)
    archive = forward("runs", RunsApi.archive)
    delete = forward("runs", RunsApi.delete)
    restore = forward("runs", RunsApi.restore)
    add_tags = forward("runs", RunsApi.add_tags)
    remove_tags = forward("runs", RunsApi.remove_tags)
    set_notes = forward("runs", RunsApi.set_notes)
    move = forward("runs", RunsApi.move)

    download = forward("assets", AssetsApi.download)
    download_all = forward("assets", AssetsApi.download_all)

    workspaces = forward("projects", ProjectsApi.workspaces)
    experiments = forward("projects", ProjectsApi.experiments)
    create_project = forward("projects", ProjectsApi.create)
    create_experiment = forward("projects", ProjectsApi.create_experiment)

    artifact = forward("artifacts", ArtifactsApi.get)
    create_artifact = forward("artifacts", ArtifactsApi.create)
    update_artifact = forward("artifacts", ArtifactsApi.update)
    delete_artifact = forward("artifacts", ArtifactsApi.delete)
    log_artifact_version = forward("artifacts", ArtifactsApi.log_version)
    artifact_versions = forward("artifacts", ArtifactsApi.versions)
    artifact_version = forward("artifacts", ArtifactsApi.version)
    run_artifacts = forward("artifacts", ArtifactsApi.of_run)
    artifact_contents = forward("artifacts", ArtifactsApi.contents)
    update_artifact_version = forward("artifacts", ArtifactsApi.update_version)
    delete_artifact_version = forward("artifacts", ArtifactsApi.delete_version)
    download_artifact = forward("artifacts", ArtifactsApi.download)
    read_artifact_file = forward("artifacts", ArtifactsApi.read)

    get = forward("comet", CometApi.get)
    get_workspaces = forward("comet", ProjectReads.get_workspaces)
    get_projects = forward("comet", ProjectReads.get_projects)
    get_project = forward("comet", ProjectReads.get_project)
    get_project_notes = forward("comet", ProjectReads.get_project_notes)
    get_experiment_project_notes = forward("comet", ProjectReads.get_experiment_project_notes)
    get_project_columns = forward("comet", ProjectReads.get_project_columns)
    get_query_variables = forward("comet", ProjectReads.get_query_variables)
    get_project_experiments = forward("comet", ExperimentSearch.get_project_experiments)
    get_experiments = forward("comet", ExperimentSearch.get_experiments)
    get_experiment = forward("comet", ExperimentSearch.get_experiment)
    get_experiment_by_key = forward("comet", ExperimentSearch.get_experiment_by_key)
    get_experiment_by_id = forward("comet", ExperimentSearch.get_experiment_by_id)
    get_experiment_by_name = forward("comet", ExperimentSearch.get_experiment_by_name)
    query = forward("comet", ExperimentSearch.query)
    query_project = forward("comet", ExperimentSearch.query_project)
    get_experiment_metadata = forward("comet", ExperimentReads.get_experiment_metadata)
    get_experiment_name = forward("comet", ExperimentReads.get_experiment_name)
    get_experiment_url = forward("comet", ExperimentReads.get_experiment_url)
    get_experiment_tags = forward("comet", ExperimentReads.get_experiment_tags)
    get_experiment_html = forward("comet", ExperimentReads.get_experiment_html)
    get_experiment_code = forward("comet", ExperimentReads.get_experiment_code)
    get_experiment_output = forward("comet", ExperimentReads.get_experiment_output)
    get_experiment_model_graph = forward("comet", ExperimentReads.get_experiment_model_graph)
    get_experiment_graph = forward("comet", ExperimentReads.get_experiment_graph)
    get_model_graph = forward("comet", ExperimentReads.get_model_graph)
    get_experiment_system_details = forward("comet", ExperimentReads.get_experiment_system_details)
    get_experiment_installed_packages = forward("comet", ExperimentReads.get_experiment_installed_packages)
    get_experiment_metric = forward("comet", ExperimentReads.get_experiment_metric)
    get_experiment_metrics_summaries = forward("comet", ExperimentReads.get_experiment_metrics_summaries)
    get_experiment_parameters_summaries = forward("comet", ExperimentReads.get_experiment_parameters_summaries)
    get_experiment_others_summaries = forward("comet", ExperimentReads.get_experiment_others_summaries)
    get_experiment_asset_list = forward("comet", ExperimentReads.get_experiment_asset_list)
    get_experiment_curves = forward("comet", ExperimentReads.get_experiment_curves)
    get_experiment_images = forward("comet", ExperimentReads.get_experiment_images)
    get_experiment_models = forward("comet", ExperimentReads.get_experiment_models)
    get_experiment_model_asset_list = forward("comet", ExperimentReads.get_experiment_model_asset_list)
    get_experiment_assets_named = forward("comet", ExperimentReads.get_experiment_assets_named)
    get_experiment_git_metadata = forward("comet", ExperimentReads.get_experiment_git_metadata)
    get_experiment_git_patch = forward("comet", ExperimentReads.get_experiment_git_patch)
    get_experiment_artifact_lineage = forward("comet", ExperimentReads.get_experiment_artifact_lineage)
    download_experiment_model = forward("comet", ExperimentReads.download_experiment_model)
    get_metrics_for_chart = forward("comet", ChartReads.get_metrics_for_chart)
    get_metrics_df = forward("comet", ChartReads.get_metrics_df)
    get_panel_workspace = forward("comet", PanelReads.get_panel_workspace)
    get_panel_project_name = forward("comet", PanelReads.get_panel_project_name)
    get_panel_project_id = forward("comet", PanelReads.get_panel_project_id)
    get_panel_options = forward("comet", PanelReads.get_panel_options)
    get_panel_experiment_colors = forward("comet", PanelReads.get_panel_experiment_colors)
    get_panel_metric_colors = forward("comet", PanelReads.get_panel_metric_colors)
    get_panel_width = forward("comet", PanelReads.get_panel_width)
    get_panel_height = forward("comet", PanelReads.get_panel_height)
    get_panel_size = forward("comet", PanelReads.get_panel_size)
    get_panel_experiments = forward("comet", PanelReads.get_panel_experiments)
    get_panel_experiment_keys = forward("comet", PanelReads.get_panel_experiment_keys)
    get_panel_metrics_names = forward("comet", PanelReads.get_panel_metrics_names)
    get_panel_request_count = forward("comet", PanelReads.get_panel_request_count)
    get_panel_report = forward("comet", PanelReads.get_panel_report)

    get_experiment_asset = forward_as[ReadsAsset]("comet", ExperimentReads.get_experiment_asset)
    get_experiment_asset_by_name = forward_as[ReadsAssetByName]("comet", ExperimentReads.get_experiment_asset_by_name)


def _address_or_key(text: str) -> tuple[str | None, str | None]:
    """Return what a text that was given alone is: an address, which has a scheme, or a key. One that looks like the
    name of a host is told. Raises InvalidSetting for one that has a port, a path or dots, and no scheme."""
    if "://" in text:
        return text, None
    if "*" not in text and any(sign in text for sign in ":/."):
        raise InvalidSetting(
            f"API({text!r}) is no address, because it has no scheme: give API('http://{text}'), or API(api_key=...) if "
            "it is a key"
        )
    if _HOST.fullmatch(text):
        PROCESS_NOTICES.once(
            f"API {text}",
            f"API({text!r}) takes that for an API key: give API('http://{text}:PORT') if it is a host",
        )
    return None, text
