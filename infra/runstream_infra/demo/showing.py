"""What the demo prints at its end."""

import math
import os
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from runstream.addresses import page_of_project
from runstream_infra.cli.output import Output
from runstream_infra.cli.sparkline import sparkline
from runstream_infra.cli.tables import Column
from runstream_infra.cli.values import plain_bytes
from runstream_infra.demo.reading import COLUMNS, CURVE, SORTED_BY, Findings
from runstream_infra.demo.trials import PROJECT, WORKSPACE

_CURVE_CHARS: Final = 60
#: What the client samples of the machine by itself.
_MACHINE: Final = "system/"
_TITLES: Final = {
    "param.width": "width",
    "param.learning_rate": "lr",
    "metric.val/loss": "val/loss",
    SORTED_BY: "best accuracy",
}
_SUMMARY_COLUMNS: Final = (
    ("count", "points"),
    ("minimum", "min"),
    ("minimum_step", "at step"),
    ("maximum", "max"),
    ("mean", "mean"),
    ("last", "last"),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Points at the three places where they are counted. They must agree."""

    logged: int
    acknowledged: int
    visible: int

    @property
    def agree(self) -> bool:
        return self.logged == self.acknowledged == self.visible


def as_json(findings: Findings, counts: Counts, picture: Path, url: str) -> dict[str, Any]:
    """Everything that `show` prints, for programs."""
    return {
        "url": url,
        "points": asdict(counts) | {"agree": counts.agree},
        "runs": findings.runs,
        "query": {"expression": findings.question.expression, "runs": findings.question.rows},
        "best": {"run": findings.best, "summaries": findings.summaries, "assets": findings.assets},
        "picture": str(picture),
    }


def show(findings: Findings, counts: Counts, picture: Path, output: Output) -> None:
    """Print the runs, a question and its answer, the best run, curves and the counts."""
    output.heading(f"Runs (runstream runs --sort -{SORTED_BY})")
    _runs(findings.runs, output)
    for run in findings.runs:
        if run["message"]:
            output.line(f"{run['name']} {run['status']}: {run['message']}", "dim")
    output.heading("A question and its answer")
    output.line(f"runstream query '{findings.question.expression}'", "cyan")
    _runs(findings.question.rows, output)
    _best(findings, output)
    output.heading(f"{CURVE}, logarithmic (in colour: {picture})")
    width = max(len(name) for name in findings.curves)
    for name, curve in sorted(findings.curves.items()):
        line = sparkline([logarithm(value) for value in curve.values], _CURVE_CHARS, output.marks)
        output.line(f"{name:<{width}}  {line}")
    _counts(counts, output)


def show_where(best_id: str, url: str, folder: Path, keep: bool, output: Output) -> None:
    """How to look around, while the server runs or after it ended."""
    program = program_name()
    if keep:
        output.heading(f"The page is at {page_of_project(url, WORKSPACE, PROJECT)}")
        output.line("To look around from another terminal:", "dim")
    else:
        output.heading(f"The page was at {url}; it ends with the demo")
        output.line("To look around, start it again and use another terminal:", "dim")
        output.line(f"{program} up --port {url.rpartition(':')[2]} --data-dir {folder / 'data'}")
    output.line(f"export RUNSTREAM_URL={url}")
    output.line(f"{program} runs")
    output.line(f"{program} show {best_id}")
    output.line(f"curl '{url}/api/v1/runs?project=digits'")


def program_name() -> str:
    """What to type for `runstream` here: `make demo` installs it where no PATH leads to."""
    if shutil.which("runstream"):
        return "runstream"
    return os.path.relpath(Path(sys.executable).with_name("runstream"))


def logarithm(value: float) -> float:
    """For a curve over many orders of magnitude. NaN and infinity stay; what has no logarithm is NaN or -infinity."""
    if value == 0:
        return -math.inf
    return math.log10(value) if 0 < value < math.inf else math.inf if value > 0 else math.nan


def _runs(rows: list[dict[str, Any]], output: Output) -> None:
    columns = [
        Column(key, _TITLES.get(key, key), right="." in key, keep=len(COLUMNS) - at) for at, key in enumerate(COLUMNS)
    ]
    output.table(columns, rows)


def _best(findings: Findings, output: Output) -> None:
    output.heading(f"The best run: {findings.best['name']} ({findings.best['id']})")
    own = [summary for summary in findings.summaries if not str(summary["metric"]).startswith(_MACHINE)]
    numbers = [Column(key, title, right=True) for key, title in _SUMMARY_COLUMNS]
    output.table([Column("metric", "metric", keep=2), *numbers], own)
    output.line(f"and {len(findings.summaries) - len(own)} metrics of the machine, {_MACHINE}...", "dim")
    files = ", ".join(f"{asset['name']} ({plain_bytes(asset['size_bytes'])})" for asset in findings.assets)
    output.line(f"files: {files}")


def _counts(counts: Counts, output: Output) -> None:
    verdict = "all agree" if counts.agree else "they do NOT agree"
    output.heading("Points")
    output.line(
        f"logged {counts.logged:,}   acknowledged {counts.acknowledged:,}   visible {counts.visible:,}   {verdict}",
        "green" if counts.agree else "bold red",
    )
