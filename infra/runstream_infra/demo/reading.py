"""What the demo reads from its server, as any reader would."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from runstream.api import API
from runstream_infra.cli.columns import row_members
from runstream_infra.cli.rows import DrawnCurve, asset_row, run_row, summary_row
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
    curves: dict[str, DrawnCurve]


def visible_points(api: API, experiment: str) -> int:
    """How many points of the demo's metrics can be read now."""
    columns = [f"metric.{metric}.count" for metric in METRICS]
    found = api.runs(of(experiment), limit=100, optional_columns=columns)
    return sum(int(run.columns.get(column) or 0) for run in found for column in columns)


def wait_visible(api: API, experiment: str, points: int, timeout_s: float, clock: Callable[[], float]) -> int:
    """Wait until `points` are visible, at most `timeout_s`. Returns how many are."""
    deadline = clock() + timeout_s
    while True:
        visible = visible_points(api, experiment)
        if visible >= points or clock() > deadline:
            return visible
        time.sleep(_LOOK_S)


def find(api: API, experiment: str) -> Findings:
    """Read everything that is shown."""
    columns = [column for column in COLUMNS if column not in row_members()]
    runs = [run_row(run) for run in api.runs(of(experiment), f"-{SORTED_BY}", 50, columns=columns)]
    expression = f"{of(experiment)} and param.learning_rate >= 0.03 and metric.val/loss.min < 0.1"
    matching = [run_row(run) for run in api.runs(expression, "metric.val/loss.min", 50, columns=columns)]
    best = runs[0]
    named = {run["id"]: str(run["name"]) for run in runs}
    curves = api.series(list(named), [CURVE], CURVE_POINTS)
    return Findings(
        runs=runs,
        question=Question(expression, matching),
        best=best,
        summaries=[summary_row(summary) for summary in api.summaries(best["id"])],
        assets=[asset_row(asset) for asset in api.assets(best["id"])],
        curves={named[curve.run]: DrawnCurve.of_buckets(curve) for curve in curves},
    )


def of(experiment: str) -> str:
    """The filter for this demo's runs: those of earlier demos are still there."""
    return f'experiment = "{experiment}"'
