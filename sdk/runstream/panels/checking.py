"""What a panel displayed, checked before it is put on a page: a panel can write anything into its file of items."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

#: Things on one page: more than anybody scrolls through, few enough to be made into HTML in a second.
MAX_ITEMS: Final = 5_000
#: Characters of one text, of HTML, or of the data of an image or figure: a file of items has 64 MiB at most.
MAX_TEXT_CHARS: Final = 32 << 20
#: `contents.MAX_ROWS` is what panels send; ten times that is no mistake of ours.
_MAX_TABLE_ROWS: Final = 10_000
_MAX_TABLE_CELLS: Final = 500_000
_MAX_CHOICES: Final = 20_000
MAX_COLUMNS: Final = 64
#: How many times as wide as others a column may be.
_MAX_WEIGHT: Final = 1_000
_MAX_SHOWN_CHARS: Final = 80


def problem_of(item: object) -> str | None:
    """Why `item` cannot be shown, in words; None if it can."""
    if not isinstance(item, dict):
        return f"it is {_shown(item)}, no object"
    kind = item.get("kind")
    check = _CHECKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        return f"its kind is {_shown(kind)}: known are {', '.join(_CHECKS)}"
    try:
        return check(item) or _column(item)
    except RecursionError:
        return f"the {kind} is nested too deeply"


def checked(item: object, number: int) -> dict[str, Any]:
    """`item`, or one that says on the page why the `number`th thing displayed is not there."""
    problem = problem_of(item)
    if problem is None and isinstance(item, dict):
        return item
    return {"kind": "error", "text": f"Item {number} cannot be shown: {problem}"}


def _text(item: Mapping[str, Any], name: str = "text") -> str | None:
    value = item.get(name)
    if not isinstance(value, str):
        return f"{name} is {_shown(value)}, no text"
    if len(value) > MAX_TEXT_CHARS:
        return f"{name} has {len(value):,} characters: at most {MAX_TEXT_CHARS:,} are shown"
    return None


def _image(item: Mapping[str, Any]) -> str | None:
    width = item.get("width", 1)
    if not _is_whole(width) or not 0 < width <= 100_000:
        return f"width is {_shown(width)}, no number of pixels"
    return _text(item, "type") or _text(item, "base64")


def _table(item: Mapping[str, Any]) -> str | None:
    columns, rows, total = item.get("columns"), item.get("rows"), item.get("total")
    if not isinstance(columns, list):
        return f"columns is {_shown(columns)}, no list"
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        return f"rows is {_shown(rows)}, no list of lists"
    if not _is_whole(total):
        return f"total is {_shown(total)}, no number of rows"
    cells = sum(map(len, rows)) + len(columns)
    if len(rows) > _MAX_TABLE_ROWS or cells > _MAX_TABLE_CELLS:
        return f"it has {len(rows):,} rows with {cells:,} cells: at most {_MAX_TABLE_ROWS:,} and {_MAX_TABLE_CELLS:,}"
    links = item.get("links", [])
    if not isinstance(links, list) or not all(map(_is_plain, links)):
        return f"links is {_shown(links)}, no list of columns"
    odd = next((cell for row in (columns, *rows) for cell in row if not _is_plain(cell)), None)
    return None if odd is None else f"a cell is {_shown(odd)}, neither text nor number"


def _media(item: Mapping[str, Any]) -> str | None:
    return _text(item, "type") or _text(item, "base64")


def _plotly(item: Mapping[str, Any]) -> str | None:
    problem = _text(item, "figure")
    if problem is not None:
        return problem
    try:
        figure = json.loads(item["figure"])
    except (ValueError, RecursionError) as error:
        return f"figure is no JSON: {error}"
    return None if isinstance(figure, dict) else f"figure is {_shown(figure)}, no object of data and layout"


def _control(item: Mapping[str, Any]) -> str | None:
    for name in ("choices", "chosen"):
        texts = item.get(name, [])
        if not isinstance(texts, list) or not all(map(_is_plain, texts)):
            return f"{name} is {_shown(texts)}, no list of texts"
        if len(texts) > _MAX_CHOICES:
            return f"{name} has {len(texts):,} texts: at most {_MAX_CHOICES:,}"
    return None if _is_plain(item.get("label", "")) else f"label is {_shown(item['label'])}, no text"


def _column(item: Mapping[str, Any]) -> str | None:
    if "column" not in item:
        return None
    weight = item.get("weight", 1)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= _MAX_WEIGHT:
        return f"weight is {_shown(weight)}: give more than 0, at most {_MAX_WEIGHT}"
    column = item["column"]
    if isinstance(column, list) and len(column) == 3 and all(map(_is_whole, column)):
        _, place, count = column
        if 0 <= place < count <= MAX_COLUMNS:
            return None
    return f"column is {_shown(column)}: [row, place, count] with place below count, and at most {MAX_COLUMNS}"


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= MAX_TEXT_CHARS
    return value is None or isinstance(value, float | bool) or _is_whole(value)


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    try:
        text = json.dumps(value)
    except (ValueError, TypeError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}..."


_CHECKS: Final[Mapping[str, Callable[[Mapping[str, Any]], str | None]]] = {
    "text": _text,
    "markdown": _text,
    "html": _text,
    "note": _text,
    "error": _text,
    "library": _text,
    "image": _image,
    "video": _media,
    "audio": _media,
    "table": _table,
    "plotly": _plotly,
    "control": _control,
}
