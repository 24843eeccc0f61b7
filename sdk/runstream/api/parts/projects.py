"""`api.projects`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from runstream.api.errors import NameTaken
from runstream.api.guarding import reads_responses
from runstream.api.session import Session
from runstream.api.views.projects import Experiment, Project, Workspace
from runstream.api.views.table import Table


@reads_responses
class ProjectsApi:
    """Workspaces, projects and experiments: `api.projects(workspace)`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, workspace: str | None = None) -> Table[Project]:
        """Read the list of projects, of one workspace or all."""
        rows = self._session.get("/api/v1/projects", workspace=workspace or self._session.workspace)["projects"]
        return Table([Project.of(row) for row in rows])

    def workspaces(self) -> Table[Workspace]:
        """Read the list of workspaces."""
        return Table([Workspace.of(row) for row in self._session.get("/api/v1/workspaces")["workspaces"]])

    def experiments(self, workspace: str | None = None, project: str | None = None) -> Table[Experiment]:
        """Read the list of experiments, of a workspace or project or all."""
        rows = self._session.get(
            "/api/v1/experiments",
            workspace=workspace or self._session.workspace,
            project=project or self._session.project,
        )["experiments"]
        return Table([Experiment.of(row) for row in rows])

    def create(
        self, project: str, workspace: str | None = None, *, description: str = "", exist_ok: bool = False
    ) -> str:
        """Create a project and return its position. A name is created once, however many request it at the same time
        and wherever: NameTaken for all others, unless `exist_ok`."""
        path = {"workspace": workspace or self._session.workspace or "default", "project": project}
        event = {"type": "project_created.v1", **path, "description": description}
        return self._create(f"project {project!r}", path, event, exist_ok)

    def create_experiment(
        self,
        experiment: str,
        project: str | None = None,
        workspace: str | None = None,
        *,
        description: str = "",
        exist_ok: bool = False,
    ) -> str:
        """Create an experiment of a project; the rest as `create_project`."""
        path = {
            "workspace": workspace or self._session.workspace or "default",
            "project": project or self._session.project or "default",
        }
        event = {"type": "experiment_created.v1", **path, "experiment": experiment, "description": description}
        return self._create(f"experiment {experiment!r}", path, event, exist_ok)

    def _create(self, what: str, path: Mapping[str, str], event: Mapping[str, str], exist_ok: bool) -> str:
        key = f"{path['workspace']}/{path['project']}"
        receipt = self._session.append_and_wait(key, event)
        outcome = self._session.outcome_of(receipt)
        if not outcome.changed and not exist_ok:
            taken = f"there is a {what} in {key!r} already: give another name, or exist_ok=True"
            raise NameTaken(taken, asdict(outcome))
        return receipt.positions
