"""The runs that a filter holds for, as a subquery."""

from collections.abc import Collection

from runstream_query.filters.compiler import compile_filter
from runstream_query.filters.tree import Expression, fields_of
from runstream_query.repositories.questions import Clock
from runstream_query.repositories.statements.pages import columns_of
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.runs import run_rows
from runstream_query.repositories.statements.scoping import in_workspaces, narrowed
from runstream_service.access import Scope


def found_runs(
    scope: Scope, expression: Expression, clock: Clock, read: Collection[str], parameters: Parameters
) -> str:
    """Return the runs that match as a subquery with the columns of `read`. Raises FilterError."""
    needed = dict.fromkeys(("run", *read, *columns_of(fields_of(expression))))
    visible = in_workspaces(scope, parameters)
    if visible:
        needed["workspace"] = None
    condition = compile_filter(expression, parameters, clock.now_us) + narrowed(visible)
    return f"(SELECT * FROM {run_rows(parameters, clock, tuple(needed))} WHERE {condition}) AS found"
