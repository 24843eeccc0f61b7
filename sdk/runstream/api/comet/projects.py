"""Projects and workspaces, as Comet's page on Python Panels reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from runstream.api.comet.defaults import Defaults
from runstream.api.errors import NotFound
from runstream.api.guarding import reads_responses
from runstream.api.parts.projects import ProjectsApi
from runstream.api.session import Session
from runstream.api.views.comet_types import ProjectColumns, ProjectDetails
from runstream.api.views.projects import Project
from runstream.errors import Invalid
from runstream.events.moments import millis_of
from runstream.events.names import project_id
from runstream.query import Environment, Metadata, Metric, Other, Parameter, QueryVariable, Tag

_COLUMNS: Final = "/api/rest/v2/project/column-names"
_WHICH: Final = "which project? give workspace and project_name, or project_id"
_VARIABLES: Final[Mapping[str, Callable[[str], QueryVariable | Tag]]] = {
    "metadata": Metadata,
    "metrics": Metric,
    "params": Parameter,
    "log_other": Other,
    "env_details": Environment,
    "tag": Tag,
}


@reads_responses
class ProjectReads:
    """A part of `CometApi`."""

    def __init__(self, session: Session, projects: ProjectsApi) -> None:
        self._session = session
        self._projects = projects
        self._defaults = Defaults(session)

    def get_workspaces(self) -> list[str]:
        """Read the names of the workspaces."""
        return [one.workspace for one in self._projects.workspaces()]

    def get_projects(self, workspace: str) -> list[ProjectDetails]:
        """Read details of the projects of a workspace, by name, in the form of `get_project`; none of an unknown
        one."""
        return [_project_details(one) for one in self._projects(workspace)]

    def get_project(
        self, workspace: str | None = None, project_name: str | None = None, project_id: str | None = None
    ) -> ProjectDetails | None:
        """Read details of a project; None if there is no such project."""
        found = self._find_project(workspace, project_name, project_id)
        return None if found is None else _project_details(found)

    def get_project_notes(self, project_id: str, project_name: str | None = None) -> str:
        """Read the notes of a project by its id, or by workspace and project name. Raises NotFound."""
        if project_name is None:
            found = self._find_project(None, None, project_id)
        else:
            found = self._find_project(project_id, project_name, None)
        if found is None:
            raise NotFound(f"there is no project {project_name or project_id!r}: look it up with get_projects", {})
        return found.notes

    def get_experiment_project_notes(self, workspace: str, project_name: str) -> str:
        """Read the notes of a project by both names. Raises NotFound."""
        return self.get_project_notes(workspace, project_name)

    def _find_project(self, workspace: str | None, project: str | None, wanted_id: str | None) -> Project | None:
        if wanted_id is not None:
            every = self._projects()
            return next((one for one in every if project_id(one.workspace, one.project) == wanted_id), None)
        found = self._defaults.of(workspace, project)
        if None in found:
            raise Invalid(_WHICH)
        return next((one for one in self._projects(found[0]) if one.project == found[1]), None)

    def _named_project(
        self, workspace: str | None, project: str | None, wanted_id: str | None
    ) -> dict[str, str | None]:
        if wanted_id is not None:
            return {"projectId": wanted_id}
        workspace, project = self._defaults.of(workspace, project)
        if workspace is None or project is None:
            raise Invalid(_WHICH)
        return {"workspaceName": workspace, "projectName": project}

    def get_project_columns(
        self, workspace: str | None = None, project_name: str | None = None, project_id: str | None = None
    ) -> ProjectColumns:
        """Read what queries can be about the experiments of a project."""
        query = self._named_project(workspace, project_name, project_id)
        columns: ProjectColumns = self._session.get(_COLUMNS, **query)
        return columns

    def get_query_variables(
        self, workspace: str | None = None, project_name: str | None = None, project_id: str | None = None
    ) -> list[QueryVariable | Tag]:
        """Read the same as variables for `query`."""
        columns = self.get_project_columns(workspace, project_name, project_id)["columns"]
        return [_VARIABLES[one["source"]](one["name"]) for one in columns if one["source"] in _VARIABLES]


def _project_details(project: Project) -> ProjectDetails:
    return {
        "projectId": project_id(project.workspace, project.project),
        "projectName": project.project,
        "ownerUserName": project.workspace,
        "projectDescription": project.description,
        "workspaceName": project.workspace,
        "numberOfExperiments": project.runs,
        "lastUpdated": None if project.updated_at is None else millis_of(project.updated_at),
        "public": False,
    }
