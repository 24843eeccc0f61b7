"""A curve as a picture."""

import math
from collections.abc import Mapping
from pathlib import Path

from runstream_infra.cli.server import Series


def draw_curves(curves: Mapping[str, Series], metric: str, path: Path) -> None:
    """Draw one metric of several runs into a PNG: the last value of each stretch of steps as a line, what lies between
    its lowest and highest value as a shade. A cross marks where a curve ends in NaN."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel=metric, yscale="log")
    for at, (name, series) in enumerate(sorted(curves.items())):
        color = f"C{at}"
        shown = [step for step, value in zip(series.steps, series.values, strict=True) if drawable(value)]
        values = [value for value in series.values if drawable(value)]
        axes.plot(shown, values, color=color, linewidth=1.2, label=name)
        if series.low and series.high:
            axes.fill_between(series.steps, series.low, series.high, color=color, alpha=0.18, linewidth=0)
        if series.values and math.isnan(series.values[-1]) and shown:
            axes.plot(shown[-1], values[-1], marker="x", color=color, markersize=9, markeredgewidth=2)
    axes.legend(fontsize="small", ncols=2)
    axes.grid(alpha=0.25)
    figure.savefig(path, dpi=110)


def drawable(value: float) -> bool:
    """Whether a logarithmic axis has a place for it."""
    return math.isfinite(value) and value > 0
