"""What the demo asks its server, as any reader would."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from runstream_infra.cli.server import Series, Server
from runstream_infra.demo.trials import STEP_METRICS, VALIDATION_METRICS

METRICS: Final = (*STEP_METRICS, *VALIDATION_METRICS)
SORTED_BY: Final = "metric.val/accuracy.max"
#: What a table of runs shows.
COLUMNS: Final = ("name", "status", "param.width", "param.learning_rate", "metric.val/loss", SORTED_BY)
CURVE: Final = "train/loss"
CURVE_POINTS: Final = 300
_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Question:
    """A filter expression and the runs that it found."""

    expression: str
    rows: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that the demo shows at its end."""

    runs: list[dict[str, Any]]
    question: Question
    best: dict[str, Any]
    summaries: list[dict[str, Any]]
    assets: list[dict[str, Any]]
    curves: dict[str, Series]


def visible_points(server: Server, experiment: str) -> int:
    """How many points of the demo's metrics can be read now."""
    columns = [f"metric.{metric}.count" for metric in METRICS]
    found = server.runs(filter_text=of(experiment), limit=100, columns=columns)
    return sum(int(row.get(column) or 0) for row in found.rows for column in columns)


def wait_visible(server: Server, experiment: str, points: int, timeout_s: float, clock: Callable[[], float]) -> int:
    """Wait until `points` are visible, at most `timeout_s`. Returns how many are."""
    deadline = clock() + timeout_s
    while True:
        visible = visible_points(server, experiment)
        if visible >= points or clock() > deadline:
            return visible
        time.sleep(_LOOK_S)


def find(server: Server, experiment: str) -> Findings:
    """Ask for everything that is shown."""
    runs = server.runs(filter_text=of(experiment), sort=f"-{SORTED_BY}", columns=COLUMNS).rows
    expression = f"{of(experiment)} and param.learning_rate >= 0.03 and metric.val/loss.min < 0.1"
    asked = server.runs(filter_text=expression, sort="metric.val/loss.min", columns=COLUMNS).rows
    best = runs[0]
    ids = [run["id"] for run in runs]
    named = {run["id"]: str(run["name"]) for run in runs}
    curves = server.curves(ids, [CURVE], CURVE_POINTS)
    return Findings(
        runs=runs,
        question=Question(expression, asked),
        best=best,
        summaries=server.summaries([best["id"]]),
        assets=server.assets(best["id"]),
        curves={named[run_id]: series for (run_id, _), series in curves.items()},
    )


def of(experiment: str) -> str:
    """The filter for this demo's runs: those of earlier demos are still there."""
    return f'experiment = "{experiment}"'
