"""What the demo prints at its end."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runstream_infra.cli.output import Output
from runstream_infra.cli.sparkline import sparkline
from runstream_infra.cli.tables import Column
from runstream_infra.cli.values import plain_bytes
from runstream_infra.demo.reading import COLUMNS, SORTED_BY, Findings

_CURVE_CHARS = 48


@dataclass(frozen=True, slots=True)
class Counts:
    """Points at the three places where they are counted. They must agree."""

    logged: int
    acknowledged: int
    visible: int

    @property
    def agree(self) -> bool:
        return self.logged == self.acknowledged == self.visible

    def as_json(self) -> dict[str, Any]:
        return {
            "logged": self.logged,
            "acknowledged": self.acknowledged,
            "visible": self.visible,
            "agree": self.agree,
        }


def show(findings: Findings, counts: Counts, picture: Path, url: str, output: Output) -> None:
    """Print the runs, a question and its answer, the best run, curves, the counts and where the API is."""
    output.heading(f"Runs, the best first (--sort -{SORTED_BY})")
    _runs(findings.runs, output)
    output.heading("A question and its answer")
    output.line(f"  runstream query '{findings.question.expression}'", "cyan")
    _runs(findings.question.rows, output)
    output.heading(f"The best run: {findings.best['name']} ({findings.best['id']})")
    numbers = [Column(key, title, right=True) for key, title in _SUMMARY_COLUMNS]
    output.table([Column("metric", "metric", keep=2), *numbers], findings.summaries)
    files = ", ".join(f"{asset['name']} ({plain_bytes(asset['size_bytes'])})" for asset in findings.assets)
    output.line(f"files: {files}")
    output.heading(f"train/loss, also drawn in {picture}")
    width = max(len(name) for name in findings.curves)
    for name, curve in sorted(findings.curves.items()):
        output.line(f"  {name:<{width}}  {sparkline(curve.values, _CURVE_CHARS, output.marks)}")
    output.heading("Points")
    verdict = "all agree" if counts.agree else "they do NOT agree"
    output.line(
        f"  logged {counts.logged:,}   acknowledged {counts.acknowledged:,}   visible {counts.visible:,}   {verdict}",
        "green" if counts.agree else "bold red",
    )
    output.heading(f"The API is at {url}")
    output.line(f"  runstream runs --url {url}")
    output.line(f"  runstream show {findings.best['id']} --url {url}")
    output.line(f"  {url}/api/v1/runs?project=digits")


def as_json(findings: Findings, counts: Counts, picture: Path, url: str) -> dict[str, Any]:
    """The same for programs."""
    return {
        "url": url,
        "points": counts.as_json(),
        "runs": findings.runs,
        "query": {"expression": findings.question.expression, "runs": findings.question.rows},
        "best": {"run": findings.best, "summaries": findings.summaries, "assets": findings.assets},
        "picture": str(picture),
    }


_SUMMARY_COLUMNS = (
    ("count", "points"),
    ("minimum", "min"),
    ("minimum_step", "at step"),
    ("maximum", "max"),
    ("mean", "mean"),
    ("last", "last"),
)


def _runs(rows: list[dict[str, Any]], output: Output) -> None:
    titles = {"param.width": "width", "param.learning_rate": "lr", "metric.val/loss": "val/loss", SORTED_BY: "accuracy"}
    columns = [
        Column(key, titles.get(key, key), right="." in key, keep=len(COLUMNS) - at) for at, key in enumerate(COLUMNS)
    ]
    output.table(columns, rows)
