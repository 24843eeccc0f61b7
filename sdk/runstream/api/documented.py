"""Comet's page on Python Panels: every method under its documented name and signature.

    from runstream import API                    # there: from comet_ml import API
    from runstream.query import Metric, Tag      # there: from comet_ml.query import Metric, Tag

Which experiments there are is asked of the native routes, a page of up to 500 at a time; an experiment is a `RunView`
that knows its name, tags and metadata, so that reading those of 100 results costs no further request. Where the page
and Comet's present client take different arguments, both are taken.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from runstream.api.documented_reads import DocumentedReads, key_of, with_ids
from runstream.api.documented_run import PROGRAM, at_ms
from runstream.api.errors import NotFound
from runstream.api.panel_context import PanelContext
from runstream.api.values import number
from runstream.api.views import Project, Runs, RunView
from runstream.errors import Invalid
from runstream.events.names import project_id
from runstream.query import Environment, Metadata, Metric, Other, Parameter, QueryExpression, QueryVariable, Tag
from runstream.query.literals import quoted

if TYPE_CHECKING:
    from runstream.api.views import Table, Workspace

#: Ids in one filter: 36 kB of its 64,000 characters.
_IDS: Final = 500
#: Curves and experiments that one answer holds.
_CURVES: Final = 10_000
_CHARTS: Final = 1_000
_VARIABLES: Final[Mapping[str, Callable[[str], QueryVariable | Tag]]] = {
    "metadata": Metadata,
    "metrics": Metric,
    "params": Parameter,
    "log_other": Other,
    "env_details": Environment,
    "tag": Tag,
}


class Documented(DocumentedReads):
    """A part of `API`. Where a workspace or project is not given, it is that of the API or of the panel that it is used
    in; without either, all are meant."""

    _workspace: str | None
    _project: str | None
    _panel: PanelContext | None

    if TYPE_CHECKING:

        def _runs_by_page(self, question: dict[str, Any], limit: int | None) -> Runs: ...
        def workspaces(self) -> Table[Workspace]: ...
        def projects(self, workspace: str | None = None) -> Table[Project]: ...

    def get(
        self, workspace: str | None = None, project_name: str | None = None, experiment: str | None = None
    ) -> list[str] | Runs | RunView | None:
        """Workspaces' names; of a workspace, its projects' names; of a project, its experiments; or one experiment, by
        key or name, None if there is none. The three may stand in one text, with slashes between them."""
        names = [name for name in (workspace, project_name, experiment) if name is not None]
        parts = "/".join(names).split("/", 2) if len(names) < 3 else names
        match parts:
            case [""]:
                return self.get_workspaces()
            case [of]:
                return [project["projectName"] for project in self.get_projects(of)]
            case [of, project]:
                return self.get_experiments(of, project)
            case _:
                return self.get_experiment(*parts)

    def get_workspaces(self) -> list[str]:
        return [one.workspace for one in self.workspaces()]

    def get_projects(self, workspace: str) -> list[dict[str, Any]]:
        """Details of the projects of a workspace, by name, in the form of `get_project`; none of an unknown one."""
        return [_project_details(one) for one in self.projects(workspace)]

    def get_project(
        self, workspace: str | None = None, project_name: str | None = None, project_id: str | None = None
    ) -> dict[str, Any] | None:
        """projectId, projectName, workspaceName, projectDescription, numberOfExperiments, lastUpdated (milliseconds),
        ownerUserName (None: there are no users, only keys) and public. None if there is no such project."""
        found = self._find_project(workspace, project_name, project_id)
        return None if found is None else _project_details(found)

    def get_project_notes(self, project_id: str, project_name: str | None = None) -> str:
        """By the project's id, or by workspace and project name. Raises NotFound."""
        if project_name is None:
            found = self._find_project(None, None, project_id)
        else:
            found = self._find_project(project_id, project_name, None)
        if found is None:
            raise NotFound(f"there is no project {project_name or project_id!r}: look it up with get_projects", {})
        return found.notes

    def _find_project(self, workspace: str | None, project: str | None, wanted_id: str | None) -> Project | None:
        if wanted_id is not None:
            every = self.projects()
            return next((one for one in every if project_id(one.workspace, one.project) == wanted_id), None)
        place = self._place(workspace, project)
        if None in place:
            raise Invalid("which project? give workspace and project_name, or project_id")
        return next((one for one in self.projects(place[0]) if one.project == place[1]), None)

    def _place(self, workspace: str | None, project: str | None) -> tuple[str | None, str | None]:
        """What is meant where less is given. A project of the panel is only meant in its own workspace."""
        here = self._panel
        own = self._workspace or (here.workspace if here else None)
        if workspace not in (None, own):
            return workspace, project
        return own, project or self._project or (here.project if here else None)

    def _named_project(
        self, workspace: str | None, project: str | None, wanted_id: str | None
    ) -> dict[str, str | None]:
        if wanted_id is not None:
            return {"projectId": wanted_id}
        workspace, project = self._place(workspace, project)
        if workspace is None or project is None:
            raise Invalid("which project? give workspace and project_name, or project_id")
        return {"workspaceName": workspace, "projectName": project}

    def get_project_columns(
        self, workspace: str | None = None, project_name: str | None = None, project_id: str | None = None
    ) -> dict[str, Any]:
        """{"columns": [{"name", "source", "type"}, ...]}: what can be asked about the experiments of a project."""
        place = self._named_project(workspace, project_name, project_id)
        columns: dict[str, Any] = self._asked("project/column-names", **place)
        return columns

    def get_query_variables(
        self, workspace: str | None = None, project_name: str | None = None, project_id: str | None = None
    ) -> list[QueryVariable | Tag]:
        """The same as variables for `query`."""
        columns = self.get_project_columns(workspace, project_name, project_id)["columns"]
        return [_VARIABLES[one["source"]](one["name"]) for one in columns if one["source"] in _VARIABLES]

    def _found(
        self,
        filter: str,
        *,
        sort: str = "created",
        limit: int | None = None,
        workspace: str | None = None,
        project: str | None = None,
    ) -> Runs:
        """Runs with what their metadata needs, the oldest first, wherever nothing narrows them here: a key means a run
        in whatever project."""
        question = {"filter": filter, "sort": sort, "columns": PROGRAM, "workspace": workspace, "project": project}
        found = self._runs_by_page(question, limit)
        return Runs([dataclasses.replace(one, columns={PROGRAM: None, **one.columns}) for one in found])

    def _by_keys(self, keys: Sequence[str]) -> Runs:
        """Those that are there, in this order; a request for every 500."""
        pages = [self._found(with_ids(keys[at : at + _IDS])) for at in range(0, len(keys), _IDS)]
        found = {one.run: one for page in pages for one in page}
        return Runs([found[key] for key in dict.fromkeys(keys) if key in found])

    def get_project_experiments(
        self, workspace: str | None = None, project_name: str | None = None
    ) -> dict[str, dict[str, Any]]:
        """Metadata by key, the oldest experiment first, without archived ones."""
        workspace, project = self._place(workspace, project_name)
        return {one.run: one.get_metadata() for one in self._found("", workspace=workspace, project=project)}

    def get_experiments(
        self, workspace: str | None = None, project_name: str | None = None, pattern: str | None = None
    ) -> Runs:
        """Experiments of a workspace (by project) or project, the oldest first, without archived ones; with `pattern`
        those whose key or name begins with what the regular expression (Python's) describes."""
        whole = workspace is not None and project_name is None
        place = (workspace, None) if whole else self._place(workspace, project_name)
        found = self._found("", sort="project,created", workspace=place[0], project=place[1])
        if pattern is None:
            return found
        wanted = re.compile(pattern)
        return Runs([one for one in found if wanted.match(one.run) or (one.name and wanted.match(one.name))])

    def get_experiment(
        self,
        experiment_key: str | None = None,
        project_name: str | None = None,
        experiment: str | None = None,
        *,
        workspace: str | None = None,
    ) -> RunView | None:
        """One experiment, archived or not: `get_experiment(KEY)`, `get_experiment("WORKSPACE/PROJECT/KEY")` or
        `get_experiment(WORKSPACE, PROJECT, KEY)`. In the place of KEY may stand a name; of several with one name the
        newest is meant. None if there is none."""
        if workspace is not None and experiment is None:
            experiment, experiment_key = experiment_key, None
        given = [part for part in (workspace, experiment_key, project_name, experiment) if part is not None]
        if not given:
            raise Invalid("which experiment? give its key")
        parts = "/".join(given).split("/", 2) if len(given) < 3 else given
        found = self.get_experiment_by_key(parts[-1])
        if found is not None:
            return found
        place = (parts[0], parts[1]) if len(parts) == 3 else self._place(None, None)
        return self._newest_named(parts[-1], *place)

    def get_experiment_by_key(self, experiment_key: str) -> RunView | None:
        """None if there is none."""
        found = self._found(with_ids([experiment_key]))
        return found[0] if found else None

    def get_experiment_by_id(self, experiment: str) -> RunView | None:
        """The same as `get_experiment_by_key`."""
        return self.get_experiment_by_key(experiment)

    def get_experiment_by_name(self, experiment_name: str) -> RunView | None:
        """The newest one of this name that is not archived; None if there is none."""
        return self._newest_named(experiment_name, *self._place(None, None))

    def _newest_named(self, name: str, workspace: str | None, project: str | None) -> RunView | None:
        named = f"name = {quoted(name)}"
        found = self._found(named, sort="-created", limit=1, workspace=workspace, project=project)
        return found[0] if found else None

    def query(
        self,
        workspace: str | None = None,
        project_name: str | None = None,
        query: QueryExpression | str | None = None,
        archived: bool = False,
    ) -> Runs:
        """Experiments that the expression (`runstream.query`), or a filter (docs/query-language.md), holds for, the
        oldest first; archived ones alone with `archived`."""
        if isinstance(query, QueryVariable) or query is None:
            raise Invalid(f'query is {query!r}: give a question such as Metric("acc") > 0.9')
        asked = query if isinstance(query, str) else query.filter()
        workspace, project = self._place(workspace, project_name)
        if archived:
            asked = f"({asked}) and archived" if asked.strip() else "archived"
        return self._found(asked, workspace=workspace, project=project)

    def query_project(
        self, workspace: str, project_name: str, predicates: Sequence[Mapping[str, Any]], archived: bool = False
    ) -> Runs:
        """Experiments that match predicates in the form in which Comet's client sends them, the oldest first."""
        body = {
            "workspaceName": workspace,
            "projectName": project_name,
            "predicates": list(predicates),
            "archived": archived,
        }
        return self._by_keys(self._transport.post("/api/rest/v2/project/query", body)["experimentKeys"])

    def get_metrics_for_chart(
        self,
        experiments: Sequence[str | RunView],
        metrics: Sequence[str] = (),
        parameters: Sequence[str] = (),
        independent_metrics: bool = True,
        fetch_full: bool = False,
        *,
        independent: bool | None = None,
        full: bool | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Curves and parameters of experiments, by key: {"experiment_key", "experimentName", "steps", "epochs",
        "metrics": [{"metricName", "values", "steps", "epochs", "timestamps", "durations"}], "params"} (milliseconds;
        params is None if none were asked for). docs/comet.md says how long curves are sampled without `fetch_full`,
        and what sharing of steps means. One request for up to 1,000 experiments and 10,000 curves. `independent` and
        `full` are the names that Comet's present client gives the last two arguments."""
        names, wanted = [name for name in metrics or () if name], [name for name in parameters or () if name]
        keys = [key_of(one) for one in experiments]
        if not keys or not (names or wanted):
            return {}
        at_once = max(1, min(_CHARTS, _CURVES // max(1, len(names))))
        charts: dict[str, dict[str, Any]] = {}
        for begin in range(0, len(keys), at_once):
            # Comet's route: it samples real points of all curves in six statements; the native one gives buckets.
            body = {
                "targetedExperiments": keys[begin : begin + at_once],
                "metrics": names,
                "params": wanted or None,
                "independentMetrics": independent_metrics if independent is None else independent,
                "fetchFull": fetch_full if full is None else full,
            }
            charts |= self._transport.post("/api/rest/v2/experiments/multi-metric-chart", body)["experiments"]
        for curve in _curves_of(charts):
            curve["values"] = [None if value is None else _plain(number(value)) for value in curve["values"]]
        return charts


def _curves_of(charts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for chart in charts.values():
        yield from chart["metrics"]


def _plain(value: float) -> float:
    """NaN as the one object, so that charts can be compared."""
    return math.nan if math.isnan(value) else value


def _project_details(project: Project) -> dict[str, Any]:
    return {
        "projectId": project_id(project.workspace, project.project),
        "projectName": project.project,
        "ownerUserName": None,
        "projectDescription": project.description,
        "workspaceName": project.workspace,
        "numberOfExperiments": project.runs,
        "lastUpdated": None if project.updated_at is None else at_ms(project.updated_at),
        "public": False,
    }
