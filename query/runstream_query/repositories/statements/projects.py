"""The runs of a project as a subquery, and lists with texts that nobody bounds."""

from typing import Final

from runstream_query.repositories.arguments import Place, ProjectRuns
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.runs import newest_runs
from runstream_query.repositories.statements.scoping import in_workspaces, narrowed
from runstream_service.access import Scope

#: What a list shows of a text that has no room in it.
_CUT_CHARS: Final = 200


def in_project(workspace: str, project: str, parameters: Parameters) -> str:
    """Return the condition on columns `workspace` and `project`."""
    return f"workspace = {parameters.text(workspace)} AND project = {parameters.text(project)}"


def ids_of_project(scope: Scope, wanted: ProjectRuns, parameters: Parameters) -> str:
    """Return what may stand behind IN: the ids of the runs of a project."""
    where = in_project(wanted.workspace, wanted.project, parameters)
    if wanted.linked:
        where = f"({where} OR run IN {parameters.run_ids(wanted.linked)})"
    where += narrowed(in_workspaces(scope, parameters))
    once = f"(SELECT run FROM run_states WHERE {where})"
    return (
        f"(SELECT run FROM {newest_runs(('workspace', 'project', 'deleted'), once)} AS newest "
        f"WHERE {where} AND NOT deleted)"
    )


def runs_within(scope: Scope, within: Place, parameters: Parameters) -> str:
    """Return the condition, as it follows others, on a column `run`: that it is at a place, deleted or not."""
    wanted = {"workspace": within.workspace, "project": within.project, "experiment": within.experiment}
    named = [f"{column} = {parameters.text(value)}" for column, value in wanted.items() if value is not None]
    if not named:
        return ""
    where = " AND ".join([*named, *in_workspaces(scope, parameters)])
    newest = newest_runs(tuple(wanted), f"(SELECT run FROM run_states WHERE {where})")
    return f" AND run IN (SELECT run FROM {newest} AS newest WHERE {where})"


def with_texts(texts: tuple[str, ...], others: str, source: str, most_bytes: int) -> str:
    """Return the SELECT of a whole list with its texts: the shortest ones as they are, as long as all together have no
    more than `most_bytes`; of the others the beginning and their length, so that nobody's long texts make the list
    unreadable."""
    size = " + ".join(f"length({name})" for name in texts)
    so_far = f"sum({size}) OVER (ORDER BY {size} ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS so_far"
    shown = ", ".join(
        f"if(so_far <= {most_bytes} OR lengthUTF8(whole_{name}) <= {_CUT_CHARS}, whole_{name}, "
        f"concat(substringUTF8(whole_{name}, 1, {_CUT_CHARS}), '... (', toString(lengthUTF8(whole_{name})), "
        f"' characters)')) AS {name}"
        for name in texts
    )
    whole = ", ".join(f"{name} AS whole_{name}" for name in texts)
    return f"SELECT {others}, {shown} FROM (SELECT {others}, {whole}, {so_far} FROM {source})"
