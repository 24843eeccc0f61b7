"""UbiOps' interface as routes of an aiohttp application."""

from typing import Final

from aiohttp import web
from pydantic import BaseModel

from runstream_protocols.kit.payloads import read_payload
from runstream_protocols.kit.side import Read, Write, add_side, reading, recorder_and_context, writing
from runstream_protocols.protocol import WritingSide
from runstream_protocols.ubiops import experiments, files, projects, runs, shown, variables
from runstream_protocols.ubiops import models as m
from runstream_protocols.ubiops.agents.routes import ROUTES as AGENT_ROUTES
from runstream_protocols.ubiops.errors import as_client_reads
from runstream_protocols.ubiops.paths import ADDRESS
from runstream_protocols.ubiops.side import UbiopsSide
from runstream_service.access import Action
from runstream_service.routing import Route, tagged

#: The client has no patience of its own: so long a change is waited for.
VISIBLE_TIMEOUT_S: Final = 10.0
_API: Final = f"{ADDRESS}/{{api}}"
_PROJECTS: Final = f"{_API}/projects"
_PROJECT: Final = f"{_PROJECTS}/{{project}}"
_ENVIRONMENT: Final = f"{_PROJECT}/environments/{{environment}}"
_DEPLOYMENT: Final = f"{_PROJECT}/deployments/{{deployment}}"
_EXPERIMENTS: Final = f"{_DEPLOYMENT}/versions"
_EXPERIMENT: Final = f"{_EXPERIMENTS}/{{version}}"
_PROJECT_VARIABLES: Final = f"{_PROJECT}/environment-variables"
_FILES: Final = f"{_PROJECT}/buckets/{{bucket}}/files"
_FILE: Final = f"{_FILES}/{{file}}"
_RUNS: Final = f"{_EXPERIMENT}/requests"
_RUN: Final = f"{_RUNS}/{{run}}"
_VARIABLES: Final = f"{_EXPERIMENT}/environment-variables"


def _get(
    path: str,
    summary: str,
    handle: Read[UbiopsSide],
    response: type[BaseModel],
    query: type[BaseModel] | None = None,
) -> Route:
    return Route("GET", path, Action.READ, summary, reading(handle), query, response, tags=("reads",))


def _write(
    method: str,
    path: str,
    summary: str,
    handle: Write[UbiopsSide],
    request: type[BaseModel],
    response: type[BaseModel],
    action: Action = Action.LOG,
) -> Route:
    return Route(method, path, action, summary, writing(handle), request, response)


def _delete(path: str, summary: str, handle: Read[UbiopsSide]) -> Route:
    return Route("DELETE", path, Action.EDIT, summary, reading(handle), None, m.Done)


def _bare(
    method: str,
    path: str,
    summary: str,
    handle: Read[UbiopsSide],
    response: type[BaseModel],
    request: type[BaseModel] | None = None,
    media: tuple[str, ...] = (),
) -> Route:
    """Return a route that writes, or will have something written, and reads nothing of its body."""
    return Route(method, path, Action.LOG, summary, reading(handle), request, response, request_media=media)


def _variables(path: str, listed: Route) -> tuple[Route, ...]:
    """Return the routes of the variables of a project or of an experiment."""
    one = f"{path}/{{id}}"
    return (
        listed,
        _write("POST", path, "Create a variable", variables.create, m.NewVariable, m.Variable),
        _get(one, "A variable", variables.variable, m.Variable),
        _write("PATCH", one, "Change a variable", variables.change, m.NewVariable, m.Variable),
        _delete(one, "Delete a variable", variables.delete),
    )


ROUTES: Final = tagged(
    "writes",
    (
        _get(_PROJECTS, "Projects", projects.projects, m.Projects),
        _write(
            "POST",
            _PROJECTS,
            "Create a project",
            projects.create_project,
            m.NewProject,
            m.ShownProject,
            Action.EDIT,
        ),
        _get(_PROJECT, "A project", projects.project, m.ShownProject),
        _get(f"{_API}/template-deployments", "Templates of deployments", projects.templates, m.Templates),
        _write(
            "POST",
            f"{_PROJECT}/deployments",
            "Make sure that trainings are there",
            projects.create_deployment,
            m.NewDeployment,
            m.Deployment,
        ),
        _get(_DEPLOYMENT, "The deployment of trainings", projects.deployment, m.Deployment),
        _get(f"{_PROJECT}/environments", "Environments", projects.environments, m.Environments),
        _get(_ENVIRONMENT, "An environment", projects.environment, m.Environment),
        _get(f"{_ENVIRONMENT}/tags", "Tags of an environment", projects.environment_tags, m.EnvironmentTags),
        _get(f"{_ENVIRONMENT}/tags/{{tag}}", "A tag of an environment", projects.environment_tag, m.EnvironmentTag),
        _get(f"{_PROJECT}/buckets", "Buckets", projects.buckets, m.Buckets),
        _write("POST", f"{_PROJECT}/buckets", "Create a bucket", projects.create_bucket, m.NewBucket, m.Bucket),
        _get(f"{_PROJECT}/buckets/{{bucket}}", "A bucket", projects.bucket, m.Bucket),
        _get(
            _EXPERIMENTS,
            "Experiments of a project",
            experiments.experiments,
            m.Experiments,
            m.ExperimentsQuery,
        ),
        _write("POST", _EXPERIMENTS, "Create an experiment", experiments.create, m.NewExperiment, m.ShownExperiment),
        _get(_EXPERIMENT, "An experiment", experiments.experiment, m.ShownExperiment),
        _write(
            "PATCH", _EXPERIMENT, "Change an experiment", experiments.change, m.ExperimentChanges, m.ShownExperiment
        ),
        _delete(_EXPERIMENT, "Delete an experiment with its runs", experiments.delete),
        _bare(
            "POST",
            f"{_EXPERIMENT}/revisions",
            "The revision of an experiment, as if it were made of a file",
            experiments.make_revision,
            m.RevisionMade,
            media=("multipart/form-data",),
        ),
        _get(f"{_EXPERIMENT}/revisions/{{revision}}", "A revision", experiments.revision, m.Revision),
        *_variables(
            _PROJECT_VARIABLES,
            _get(_PROJECT_VARIABLES, "Variables of a project", variables.of_project, m.Variables),
        ),
        *_variables(
            _VARIABLES,
            _get(_VARIABLES, "Variables of an experiment", variables.of_experiment, m.InheritedVariables),
        ),
        _write(
            "POST",
            f"{_EXPERIMENT}/copy-environment-variables",
            "Copy the variables of another experiment",
            variables.copy,
            m.VariablesToCopy,
            m.Variables,
        ),
        _get(_FILES, "Files of a bucket", files.files, m.ShownFiles, m.FilesQuery),
        _get(_FILE, "A file", files.file, m.ShownFile),
        _bare("POST", _FILE, "The URL to upload a file to", files.begin_upload, m.FileUrl, m.NewFile),
        _get(f"{_FILE}/download", "The URL of a file", files.begin_download, m.FileUrl),
        _delete(_FILE, "Delete a file", files.delete),
        Route(
            "PUT",
            f"{_API}/uploads/{{ticket}}",
            Action.LOG,
            "Store the bytes of a file",
            reading(files.upload),
            response=m.Done,
            request_media=("application/octet-stream",),
        ),
        Route(
            "GET",
            f"{_API}/downloads/{{ticket}}",
            Action.READ,
            "The bytes of a file",
            reading(files.download),
            media=("application/octet-stream",),
            tags=("reads",),
        ),
        _get(_RUNS, "Runs of an experiment", shown.runs, m.ListedRuns, m.RunsQuery),
        Route(
            "POST",
            f"{_RUNS}/batch",
            Action.LOG,
            "Create runs",
            writing(runs.create, read_payload),
            m.NewRuns,
            m.RunsMade,
        ),
        _get(_RUN, "A run", shown.run, m.ShownRun),
        _write("PATCH", _RUN, "Cancel a run", runs.change, m.RunChanges, m.Done),
        _delete(_RUN, "Delete a run", runs.delete),
    ),
)


def add_ubiops(app: web.Application, side: WritingSide) -> None:
    """Add ROUTES to the application of a gateway, before it starts."""
    recorder, context = recorder_and_context(app, side, VISIBLE_TIMEOUT_S)
    whole = UbiopsSide(recorder, side.gateway, context, side.sealing, recorder.now_us())
    add_side(app, ROUTES, whole, as_client_reads)
    add_side(app, AGENT_ROUTES, whole)
