"""Which experiments there are, as Comet's page on Python Panels asks for them.

They are read from the native routes, a page of up to 500 at a time; an experiment is a `RunView` that knows its name,
tags and metadata, so that reading those of 100 results costs no further request.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

from runstream.api.comet.defaults import Defaults
from runstream.api.guarding import reads_responses
from runstream.api.parts.runs import RunQuery, RunsApi
from runstream.api.session import Session
from runstream.api.values import Logged
from runstream.api.views.comet_experiment import PROGRAM
from runstream.api.views.comet_types import ExperimentMetadata
from runstream.api.views.runs import Runs, RunView
from runstream.errors import Invalid
from runstream.query import QueryExpression, QueryVariable
from runstream.query.literals import quoted

#: Ids in one filter: 36 kB of its 64,000 characters.
_IDS: Final = 500
_QUERY: Final = "/api/rest/v2/project/query"


@reads_responses
class ExperimentSearch:
    """A part of `CometApi`."""

    def __init__(self, session: Session, runs: RunsApi) -> None:
        self._session = session
        self._runs = runs
        self._defaults = Defaults(session)

    def matching(
        self,
        filter: str,
        *,
        sort: str = "started",
        limit: int | None = None,
        workspace: str | None = None,
        project: str | None = None,
    ) -> Runs:
        """Read runs with what their metadata needs, the oldest first. Nothing but the arguments narrows them: a key
        means a run in whatever project."""
        # Runs that are made by REST alone have no program.
        query = RunQuery(filter, sort, workspace=workspace, project=project, optional_columns=(PROGRAM,))
        found = self._runs.find(query, limit)
        return Runs([dataclasses.replace(one, columns={PROGRAM: None, **one.columns}) for one in found])

    def by_keys(self, keys: Sequence[str]) -> Runs:
        """Read those that are there, in this order; a request for every 500."""
        pages = [self.matching(with_ids(keys[at : at + _IDS])) for at in range(0, len(keys), _IDS)]
        found = {one.run: one for page in pages for one in page}
        return Runs([found[key] for key in dict.fromkeys(keys) if key in found])

    def get_project_experiments(
        self, workspace: str | None = None, project_name: str | None = None
    ) -> dict[str, ExperimentMetadata]:
        """Read metadata by key, the oldest experiment first, without archived ones."""
        workspace, project = self._defaults.of(workspace, project_name)
        return {one.run: one.get_metadata() for one in self.matching("", workspace=workspace, project=project)}

    def get_experiments(
        self, workspace: str | None = None, project_name: str | None = None, pattern: str | None = None
    ) -> Runs:
        """Read experiments of a workspace (by project) or project, the oldest first, without archived ones; with
        `pattern` those whose key or name begins with what the regular expression (Python's) describes."""
        whole = workspace is not None and project_name is None
        place = (workspace, None) if whole else self._defaults.of(workspace, project_name)
        found = self.matching("", sort="project,started", workspace=place[0], project=place[1])
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
        """Read one experiment, archived or not: `get_experiment(KEY)`, `get_experiment("WORKSPACE/PROJECT/KEY")` or
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
        place = (parts[0], parts[1]) if len(parts) == 3 else self._defaults.of(None, None)
        return self._newest_named(parts[-1], *place)

    def get_experiment_by_key(self, experiment_key: str) -> RunView | None:
        """Read one experiment, archived or not, by its key; None if there is none."""
        found = self.matching(with_ids([experiment_key]))
        return found[0] if found else None

    def get_experiment_by_id(self, experiment: str) -> RunView | None:
        """Read the same as `get_experiment_by_key`."""
        return self.get_experiment_by_key(experiment)

    def get_experiment_by_name(self, experiment_name: str) -> RunView | None:
        """Read the newest one of this name that is not archived; None if there is none."""
        return self._newest_named(experiment_name, *self._defaults.of(None, None))

    def _newest_named(self, name: str, workspace: str | None, project: str | None) -> RunView | None:
        named = f"name = {quoted(name)}"
        found = self.matching(named, sort="-started", limit=1, workspace=workspace, project=project)
        return found[0] if found else None

    def query(
        self,
        workspace: str | None = None,
        project_name: str | None = None,
        query: QueryExpression | str | None = None,
        archived: bool = False,
    ) -> Runs:
        """Read experiments that the expression (`runstream.query`), or a filter (docs/query-language.md), holds for,
        the oldest first; archived ones alone with `archived`."""
        if isinstance(query, QueryVariable) or query is None:
            raise Invalid(f'query is {query!r}: give an expression such as Metric("acc") > 0.9')
        filter = query if isinstance(query, str) else query.filter()
        workspace, project = self._defaults.of(workspace, project_name)
        if archived:
            filter = f"({filter}) and archived" if filter.strip() else "archived"
        return self.matching(filter, workspace=workspace, project=project)

    def query_project(
        self, workspace: str, project_name: str, predicates: Sequence[Mapping[str, Logged]], archived: bool = False
    ) -> Runs:
        """Read experiments that match predicates in the form in which Comet's client sends them, the oldest first."""
        body = {
            "workspaceName": workspace,
            "projectName": project_name,
            "predicates": list(predicates),
            "archived": archived,
        }
        return self.by_keys(self._session.post(_QUERY, body)["experimentKeys"])


def with_ids(keys: Sequence[str]) -> str:
    """Return the filter for these runs, archived ones too."""
    return f"id in ({', '.join(quoted(key) for key in keys)}) and (archived or not archived)"
