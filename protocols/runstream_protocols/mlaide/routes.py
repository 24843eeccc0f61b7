"""ML Aide's interface as routes of an aiohttp application."""

from typing import Final

from aiohttp import web
from pydantic import BaseModel

from runstream_protocols.kit.side import Read, Write, add_side, reading, recorder_and_context, writing
from runstream_protocols.mlaide import artifact_models as a
from runstream_protocols.mlaide import artifacts, projects, runs, shown, shown_artifacts, stages
from runstream_protocols.mlaide import models as m
from runstream_protocols.mlaide.errors import as_client_reads
from runstream_protocols.mlaide.paths import ADDRESS
from runstream_protocols.mlaide.side import MlaideSide
from runstream_protocols.protocol import WritingSide
from runstream_query.responses import ResponseModel
from runstream_service.access import Action
from runstream_service.routing import Route, tagged

#: The client gives a request up after 5 s, in which it has to have the response.
VISIBLE_TIMEOUT_S: Final = 4.0
_PROJECTS: Final = f"{ADDRESS}/projects"
_PROJECT: Final = f"{_PROJECTS}/{{project_key}}"
_EXPERIMENTS: Final = f"{_PROJECT}/experiments"
_RUNS: Final = f"{_PROJECT}/runs"
_RUN: Final = f"{_RUNS}/{{run_key}}"
_ARTIFACTS: Final = f"{_PROJECT}/artifacts"
_ARTIFACT: Final = f"{_ARTIFACTS}/{{artifact_name}}/{{artifact_version}}"
_FILES: Final = f"{_ARTIFACT}/files"


def _get(
    path: str,
    summary: str,
    handle: Read[MlaideSide],
    response: type[ResponseModel],
    query: type[BaseModel] | None = None,
) -> Route:
    return Route("GET", path, Action.READ, summary, reading(handle), query, response, tags=("reads",))


def _post(
    path: str, summary: str, handle: Write[MlaideSide], request: type[BaseModel], response: type[ResponseModel]
) -> Route:
    return Route("POST", path, Action.LOG, summary, writing(handle), request, response)


def _patch(path: str, summary: str, handle: Write[MlaideSide], request: type[BaseModel]) -> Route:
    return Route("PATCH", path, Action.LOG, summary, writing(handle), request, m.Done)


def _bytes(path: str, summary: str, handle: Read[MlaideSide], media: str) -> Route:
    return Route("GET", path, Action.READ, summary, reading(handle), None, None, (media,), tags=("reads",))


ROUTES: Final = tagged(
    "writes",
    (
        _get(_PROJECTS, "Projects", projects.projects, m.ShownProjects),
        Route(
            "POST",
            _PROJECTS,
            Action.EDIT,
            "Create a project",
            writing(projects.create_project),
            m.NewProject,
            m.ShownProject,
        ),
        _get(_PROJECT, "A project", projects.project, m.ShownProject),
        _get(_EXPERIMENTS, "Experiments of a project", projects.experiments, m.ShownExperiments),
        _post(_EXPERIMENTS, "Create an experiment", projects.create_experiment, m.NewExperiment, m.ShownExperiment),
        _get(f"{_EXPERIMENTS}/{{experiment_key}}", "An experiment", projects.experiment, m.ShownExperiment),
        _get(_RUNS, "Runs of a project", shown.runs, m.ListedRuns, m.RunsQuery),
        _post(_RUNS, "Start a run", runs.start, m.NewRun, m.ShownRun),
        _get(_RUN, "A run", shown.run, m.ShownRun),
        _patch(_RUN, "End or rename a run", runs.change, m.RunChanges),
        _patch(f"{_RUN}/metrics", "Log values of metrics", runs.log_metrics, m.LoggedValues),
        _patch(f"{_RUN}/parameters", "Log parameters", runs.log_parameters, m.LoggedValues),
        _get(_ARTIFACTS, "Artifacts of a project", shown_artifacts.artifacts, a.ListedArtifacts, a.ArtifactsQuery),
        _post(_ARTIFACTS, "Create a version of an artifact", artifacts.create, a.NewArtifact, a.ShownArtifact),
        _get(_ARTIFACT, "A version of an artifact", shown_artifacts.artifact, a.ShownArtifact, a.LatestQuery),
        _bytes(_FILES, "The files of a version, in an archive", shown_artifacts.download, "application/zip"),
        Route(
            "POST",
            _FILES,
            Action.LOG,
            "Add a file to a version",
            artifacts.add_file,
            a.NewFile,
            m.Done,
            request_media=("multipart/form-data",),
        ),
        _bytes(f"{_FILES}/{{file_id}}", "A file of a version", shown_artifacts.file, "application/octet-stream"),
        Route(
            "PUT",
            f"{_ARTIFACT}/model",
            Action.LOG,
            "Make a version a model, or give it a stage",
            writing(stages.set_model),
            a.ModelChange,
            m.Done,
        ),
    ),
)


def add_mlaide(app: web.Application, side: WritingSide) -> None:
    """Add ROUTES to the application of a gateway, before it starts."""
    recorder, context = recorder_and_context(app, side, VISIBLE_TIMEOUT_S)
    add_side(app, ROUTES, MlaideSide(recorder, side.gateway, context), as_client_reads)
