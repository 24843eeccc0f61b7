"""Conditions that keep a statement within a scope. A scope of everything adds nothing to a statement.

Tables of what belongs to runs have no column for the workspace: their rows are visible if the run is, by its newest
state. Artifacts never leave their workspace, so that any state of one tells it.
"""

from collections.abc import Iterable

from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.runs import newest_runs
from runstream_service.access import EVERY_WORKSPACE, Scope


def in_workspaces(scope: Scope, parameters: Parameters, column: str = "workspace") -> list[str]:
    """Return the conditions on a column with the name of a workspace."""
    if scope.workspaces is EVERY_WORKSPACE:
        return []
    if not scope.workspaces:
        return ["0"]
    return [f"{column} IN {parameters.texts(sorted(scope.workspaces))}"]


def of_runs(scope: Scope, parameters: Parameters, column: str = "run") -> list[str]:
    """Return the conditions on a column with the id of a run."""
    return [f"{column} IN {runs}" for runs in _visible_runs(scope, parameters)]


def of_artifacts(scope: Scope, parameters: Parameters, column: str = "artifact") -> list[str]:
    """Return the conditions on a column with the id of an artifact."""
    return [
        f"{column} IN (SELECT artifact FROM artifact_states WHERE {condition})"
        for condition in in_workspaces(scope, parameters)
    ]


def of_keys(scope: Scope, parameters: Parameters, column: str = "key") -> list[str]:
    """Return the conditions on a column with the key of records: the id of a run, or WORKSPACE/NAME."""
    named = in_workspaces(scope, parameters, f"splitByChar('/', {column})[1]")
    runs = _visible_runs(scope, parameters)
    return [
        f"if(position({column}, '/') > 0, {workspace}, {column} IN {visible})"
        for workspace, visible in zip(named, runs, strict=True)
    ]


def _visible_runs(scope: Scope, parameters: Parameters) -> list[str]:
    """Return what may stand behind IN: the ids of the runs whose newest state is within the scope; none for all."""
    subqueries = []
    for condition in in_workspaces(scope, parameters):
        once = f"(SELECT run FROM run_states WHERE {condition})"
        subqueries.append(f"(SELECT run FROM {newest_runs(('workspace',), once)} AS visible WHERE {condition})")
    return subqueries


def narrowed(conditions: Iterable[str]) -> str:
    """Return the conditions as they follow others: ` AND a AND b`, or nothing."""
    return "".join(f" AND {condition}" for condition in conditions)
