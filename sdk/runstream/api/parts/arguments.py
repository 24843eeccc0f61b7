"""What methods of `API` take: ids or values, one or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from runstream.api.transport import segment
from runstream.api.views.runs import RunView

#: A run: its id, or the run itself.
RunOrId: TypeAlias = str | RunView
RunsOrIds: TypeAlias = RunOrId | Sequence[RunOrId]


def run_id(run: RunOrId) -> str:
    """Return the id of a run."""
    return run.run if isinstance(run, RunView) else run


def run_ids(runs: RunsOrIds) -> list[str]:
    """Return the ids of one run or several."""
    several = [runs] if isinstance(runs, str | RunView) else runs
    return [run_id(run) for run in several]


def run_path(run: RunOrId) -> str:
    """Return the path of a run in the query API."""
    return f"/api/v1/runs/{segment(run_id(run))}"


def texts(value: str | Sequence[str]) -> list[str]:
    """Return one text or several as a list."""
    return [value] if isinstance(value, str) else list(value)
