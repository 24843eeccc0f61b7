"""What a notebook shows of lists, runs and curves: tables and small pictures, without scripts and without requests. All
text is escaped. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

#: Rows of a list that are shown, and characters of a cell.
MAX_ROWS: Final = 100
MAX_CELL_CHARS: Final = 200
_WIDTH: Final = 240
_HEIGHT: Final = 36
_MARGIN: Final = 2
_STYLE: Final = "border-collapse:collapse;font-variant-numeric:tabular-nums"
_CELL: Final = "padding:2px 10px;text-align:"


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], more: str = "") -> str:
    """Return a table of the first rows; below it `more`, and how many rows are left out."""
    head = "".join(f'<th style="{_CELL}left">{escape(name)}</th>' for name in columns)
    body = "".join("<tr>" + "".join(_cell(row.get(name)) for name in columns) + "</tr>" for row in rows[:MAX_ROWS])
    left_out = len(rows) - MAX_ROWS
    notes = [f"{len(rows)} row{'s' if len(rows) != 1 else ''}, {left_out} more than shown"] if left_out > 0 else []
    below = f"<p>{escape('; '.join([*notes, more] if more else notes))}</p>" if notes or more else ""
    return f'<table style="{_STYLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}'


def pairs(title: str, values: Iterable[tuple[str, Any]]) -> str:
    """Return a title and a table of names and values; those that are empty are left out."""
    rows = "".join(
        f'<tr><th style="{_CELL}left">{escape(name)}</th>{_cell(value)}</tr>'
        for name, value in values
        if value not in (None, "", (), [])
    )
    return f'<strong>{escape(title)}</strong><table style="{_STYLE}"><tbody>{rows}</tbody></table>'


def curves(rows: Sequence[tuple[str, str, Sequence[float], Sequence[float]]]) -> str:
    """Return a table of curves, each a run, a metric, and the lowest and highest values along it: the picture, and the
    exact extremes of what is finite."""
    shown = "".join(_curve_row(*row) for row in rows[:MAX_ROWS])
    head = "".join(
        f'<th style="{_CELL}left">{name}</th>' for name in ("run", "metric", "curve", "min", "max", "points")
    )
    left_out = len(rows) - MAX_ROWS
    below = f"<p>{left_out} more curves</p>" if left_out > 0 else ""
    return f'<table style="{_STYLE}"><thead><tr>{head}</tr></thead><tbody>{shown}</tbody></table>{below}'


def sparkline(lows: Sequence[float], highs: Sequence[float]) -> str:
    """Return a picture (SVG) of a curve that goes from `lows[i]` to `highs[i]` at its i-th place. Of places that fall
    into one pixel the lowest and the highest are drawn, so that no spike is hidden. NaN leaves a gap; infinities reach
    the edge."""
    finite = [value for value in (*lows, *highs) if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    marks = "".join(_path(stretch, low, high) for stretch in _stretches(lows, highs))
    box = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return (
        f'<svg {box} role="img" aria-label="curve"><path d="{marks}" stroke="#2563eb" '
        'stroke-width="1.5" stroke-linecap="round" fill="none"/></svg>'
    )


def plain(value: Any) -> str:
    """Return one value as people read it, cut if it is long."""
    match value:
        case None:
            text = ""
        case bool():
            text = "yes" if value else "no"
        case float():
            text = f"{value:.6g}"
        case datetime():
            text = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        case list() | tuple():
            text = ", ".join(plain(one) for one in value)
        case Mapping():
            text = ", ".join(f"{name}={plain(one)}" for name, one in value.items())
        case _:
            text = str(value)
    return text if len(text) <= MAX_CELL_CHARS else text[:MAX_CELL_CHARS] + "…"


def _cell(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f'<td style="{_CELL}{"right" if is_number else "left"}">{escape(plain(value))}</td>'


def _curve_row(run: str, metric: str, lows: Sequence[float], highs: Sequence[float]) -> str:
    low = [value for value in lows if math.isfinite(value)]
    high = [value for value in highs if math.isfinite(value)]
    cells = [_cell(run), _cell(metric), f'<td style="{_CELL}left">{sparkline(lows, highs)}</td>']
    cells += [_cell(min(low) if low else None), _cell(max(high) if high else None), _cell(len(lows))]
    return f"<tr>{''.join(cells)}</tr>"


def _stretches(lows: Sequence[float], highs: Sequence[float]) -> list[list[tuple[int, float, float]]]:
    """Return (pixel, lowest, highest) of the places that fall into each pixel, in stretches without a gap."""
    count, width = len(lows), _WIDTH - 2 * _MARGIN
    found: dict[int, tuple[float, float] | None] = {}
    for place, (low, high) in enumerate(zip(lows, highs, strict=True)):
        pixel = _MARGIN + (place * width // (count - 1) if count > 1 else width // 2)
        before = found.setdefault(pixel, None)
        if not (math.isnan(low) or math.isnan(high)):
            found[pixel] = (low, high) if before is None else (min(before[0], low), max(before[1], high))
    stretches: list[list[tuple[int, float, float]]] = [[]]
    for pixel, extremes in found.items():
        if extremes is None:
            stretches.append([])
        else:
            stretches[-1].append((pixel, *extremes))
    return [stretch for stretch in stretches if stretch]


def _path(stretch: Sequence[tuple[int, float, float]], least: float, most: float) -> str:
    """Return the line of a stretch: through both extremes of each pixel, the nearer one first."""
    parts: list[str] = []
    at = 0.0
    for pixel, low, high in stretch:
        first, last = _height(low, least, most), _height(high, least, most)
        if parts and abs(at - last) < abs(at - first):
            first, last = last, first
        # A vertical line of no length is drawn as a dot by its round ends.
        parts.append(f"{'L' if parts else 'M'}{pixel} {first:.1f}V{last:.1f}")
        at = last
    return "".join(parts)


def _height(value: float, least: float, most: float) -> float:
    """Return how far from the top a value is drawn."""
    room = _HEIGHT - 2 * _MARGIN
    if math.isinf(value):
        return 0.0 if value > 0 else float(_HEIGHT)
    if most == least:
        return _MARGIN + room / 2
    # Halved before the subtraction: the difference of two large values of different sign is an infinity.
    return _MARGIN + room * (1 - (value / 2 - least / 2) / (most / 2 - least / 2))
