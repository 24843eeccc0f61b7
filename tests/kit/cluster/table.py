"""The crash matrix as a table in Markdown."""

from collections.abc import Sequence

from kit.cluster.check import Row

_HEAD = (
    "cell", "done to it", "records produced", "acknowledged", "folded", "points produced", "visible", "lost", "doubled",
    "summaries equal", "rebuild equal",
)  # fmt: skip


def table_of(rows: Sequence[Row]) -> str:
    """A line a cell, and a last one with the sums."""
    lines = [_HEAD, tuple("---" if n < 2 else "---:" for n in range(len(_HEAD))), *map(_cells, rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(_HEAD))]
    return "".join(
        "| "
        + " | ".join(_padded(cell, width, n) for n, (cell, width) in enumerate(zip(line, widths, strict=True)))
        + " |\n"
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    figures = (row.produced, row.acknowledged, row.folded, row.points, row.visible, row.lost, row.doubled)
    unlike = any(text.startswith("rebuild") for text in row.differences)
    rebuilt = "no" if unlike else "yes" if row.rebuilt else "later"
    wrong = any("summaries" in text for text in row.differences)
    return (
        row.cell,
        row.kills,
        *(f"{figure:,}" for figure in figures),
        "no" if wrong else f"{row.summaries:,}",
        rebuilt,
    )


def _padded(text: str, width: int, column: int) -> str:
    if text == "---":
        return "-" * width
    if text == "---:":
        return "-" * (width - 1) + ":"
    return text.ljust(width) if column < 2 else text.rjust(width)
