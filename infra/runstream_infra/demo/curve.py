"""A curve as a picture."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from runstream_infra.cli.rows import DrawnCurve

#: What is above is drawn at the upper edge: a diverging loss reaches 1e300 before it is NaN.
CEILING: Final = 100.0


def draw_curves(curves: Mapping[str, DrawnCurve], metric: str, path: Path) -> None:
    """Draw one metric of several runs into a PNG: the mean of each stretch of steps as a line, what lies between its
    lowest and highest value as a shade. A cross marks where a curve ends in NaN."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel=metric, yscale="log")
    for at, (name, curve) in enumerate(sorted(curves.items())):
        color = f"C{at}"
        drawn = [
            (step, min(value, CEILING)) for step, value in zip(curve.steps, curve.values, strict=True) if value > 0
        ]
        steps, values = [step for step, _ in drawn], [value for _, value in drawn]
        axes.plot(steps, values, color=color, linewidth=1.2, label=name)
        if curve.low and curve.high:
            low, high = ([min(value, CEILING) for value in edge] for edge in (curve.low, curve.high))
            axes.fill_between(curve.steps, low, high, color=color, alpha=0.18, linewidth=0)
        if math.isnan(curve.values[-1]) and drawn:
            axes.plot(curve.steps[-1], values[-1], marker="x", color=color, markersize=9, markeredgewidth=2)
            axes.annotate("NaN", (curve.steps[-1], values[-1]), (8, -3), textcoords="offset points", color=color)
    axes.set_ylim(top=CEILING * 1.5)
    axes.legend(fontsize="small", ncols=2)
    axes.grid(alpha=0.25)
    figure.savefig(path, dpi=110)
