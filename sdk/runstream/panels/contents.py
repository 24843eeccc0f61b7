"""What people display, as what a page can hold. No library is needed here: a figure or a frame is known by its looks,
and brings its library along."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from runstream.errors import Invalid

#: kind, and what belongs to it: text, markdown, html, note (text), image (type, base64, width: in pixels of the page),
#: video and audio (type, base64), table (columns, rows, total, links: columns whose addresses are links), plotly
#: (figure: JSON), library (text: plotly's JavaScript), control (see `interface`). An item in a column has `column`
#: (row, place, count) and perhaps `weight`: how wide the column is beside the others.
Item = dict[str, Any]

#: Rows of a table that a page shows.
MAX_ROWS: Final = 1_000
_MAGIC: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}
#: Where a type of media says what it is, and what it says.
_MEDIA: Final = (
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (8, b"WAVE", "audio/wav"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
)
#: Pixels an inch of matplotlib's figures: twice its own, for screens of today.
_DPI: Final = 144


def item_of(thing: Any) -> Item:
    """The one way to show it: figures of matplotlib and plotly, images, frames and tables, what has an HTML form of its
    own, texts, and all else as Python prints it."""
    if isinstance(thing, str):
        return {"kind": "text", "text": thing}
    if isinstance(thing, bytes | bytearray):
        return image_item(bytes(thing))
    if is_plotly(thing):
        return {"kind": "plotly", "figure": thing.to_json()}
    for known in (_matplotlib_item, _table_item, _pillow_item, _array_item, _own_form_item):
        item = known(thing)
        if item is not None:
            return item
    if isinstance(thing, dict | list | tuple):
        return {"kind": "text", "text": json.dumps(thing, indent=2, ensure_ascii=False, default=str), "code": True}
    return {"kind": "text", "text": str(thing)}


def is_plotly(thing: Any) -> bool:
    return type(thing).__module__.partition(".")[0] == "plotly" and hasattr(thing, "to_json")


def image_item(content: bytes) -> Item:
    """An image of the bytes of a PNG, JPEG, GIF or WebP file. Raises Invalid for others."""
    known = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        known = "image/webp"
    if known is None:
        raise Invalid(f"{len(content)} bytes that begin with {content[:8]!r} are no PNG, JPEG, GIF or WebP image")
    return {"kind": "image", "type": known, "base64": base64.b64encode(content).decode()}


def media_item(kind: str, content: bytes) -> Item:
    """A video or a sound (`kind` video, audio) of the bytes of its file. Raises Invalid for those of no known type."""
    known = next((type_ for at, magic, type_ in _MEDIA if content[at : at + len(magic)] == magic), None)
    if known is None:
        raise Invalid(
            f"{len(content)} bytes that begin with {content[:8]!r} are no MP4, WebM, Ogg, WAV, FLAC or MP3 file"
        )
    return {"kind": kind, "type": known, "base64": base64.b64encode(content).decode()}


def svg_item(text: str | bytes) -> Item:
    """An image of the text of an SVG."""
    content = text.encode() if isinstance(text, str) else text
    return {"kind": "image", "type": "image/svg+xml", "base64": base64.b64encode(content).decode()}


def text_of_choice(choice: Any) -> str:
    """What people choose by: the name of an experiment, else the text of the value."""
    name = getattr(choice, "name", None)
    return str(name or choice.run) if hasattr(choice, "get_metadata") else str(choice)


def _array_item(thing: Any) -> Item | None:
    """An array of numpy with the shape of an image: height x width, or with 3 or 4 channels."""
    shape = getattr(thing, "shape", ())
    if type(thing).__module__.partition(".")[0] != "numpy" or not (len(shape) == 2 or shape[2:] in ((3,), (4,))):
        return None
    import importlib

    if thing.dtype.kind == "f":
        thing = (thing.clip(0.0, 1.0) * 255).round()
    return _pillow_item(importlib.import_module("PIL.Image").fromarray(thing.astype("uint8")))


def _matplotlib_item(thing: Any) -> Item | None:
    """A figure, what belongs to one (axes), or pyplot itself, which means its present figure."""
    if getattr(thing, "__name__", "") == "matplotlib.pyplot":
        thing = thing.gcf()
    if type(thing).__module__.partition(".")[0] in ("matplotlib", "seaborn", "mpl_toolkits"):
        thing = getattr(thing, "figure", None) or thing
    if not callable(getattr(thing, "savefig", None)):
        return None
    target = io.BytesIO()
    thing.savefig(target, format="png", dpi=_DPI, bbox_inches="tight")
    item = image_item(target.getvalue())
    # A PNG says its width in bytes 16 to 19; a page has 96 pixels an inch.
    return item | {"width": int.from_bytes(target.getvalue()[16:20]) * 96 // _DPI}


def _table_item(thing: Any) -> Item | None:
    """A DataFrame or Series of pandas, a table of pyarrow, or one of ours."""
    root = type(thing).__module__.partition(".")[0]
    if root == "pandas" and hasattr(thing, "to_frame") and not hasattr(thing, "columns"):
        thing = thing.to_frame()
    if root == "pandas" and hasattr(thing, "itertuples"):
        head = thing.head(MAX_ROWS)
        columns = ["" if name is None else str(name) for name in head.index.names] + [str(c) for c in head.columns]
        return table_of(columns, [list(row) for row in _with_index(head)], len(thing))
    if root == "pyarrow" and hasattr(thing, "column_names"):
        rows = thing.slice(0, MAX_ROWS).to_pylist()
        return table_of(thing.column_names, [list(row.values()) for row in rows], thing.num_rows)
    if root == "runstream" and callable(getattr(thing, "rows", None)):
        found = thing.rows()
        columns = list(dict.fromkeys(name for row in found for name in row))
        return table_of(columns, [[row.get(name) for name in columns] for row in found[:MAX_ROWS]], len(found))
    return None


def _with_index(frame: Any) -> Sequence[Sequence[Any]]:
    rows = frame.itertuples(index=True, name=None)
    return [[*(row[0] if frame.index.nlevels > 1 else row[:1]), *row[1:]] for row in rows]


def table_of(columns: Sequence[str], rows: Sequence[Sequence[Any]], total: int) -> Item:
    cells = [[_cell(value) for value in row] for row in rows]
    return {"kind": "table", "columns": list(columns), "rows": cells, "total": total}


def _cell(value: Any) -> Any:
    """Numbers as numbers, so that a page can align them; all else as text."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    return int(value)


def _pillow_item(thing: Any) -> Item | None:
    if type(thing).__module__.partition(".")[0] != "PIL" or not hasattr(thing, "save"):
        return None
    target = io.BytesIO()
    thing.save(target, format="PNG")
    return image_item(target.getvalue())


def _own_form_item(thing: Any) -> Item | None:
    for method, make in (("_repr_html_", _html), ("_repr_png_", image_item)):
        form = getattr(thing, method, None)
        if callable(form) and not isinstance(thing, type | Mapping):
            shown = form()
            if shown is not None:
                return make(shown)
    return None


def _html(text: str) -> Item:
    return {"kind": "html", "text": text}
