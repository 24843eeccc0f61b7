"""A snapshot of a panel that uses Streamlit: the panel runs once, without a browser, and what Streamlit would show
becomes items of the static page.

Charts of Vega-Lite, maps and components are drawn by JavaScript of Streamlit's page alone: the snapshot has a note in
their place, and the data of a chart as a table.
"""

from __future__ import annotations

import base64
import importlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from runstream.errors import Invalid
from runstream.panels.contents import Item, image_item, item_of, media_item, svg_item
from runstream.panels.interface import plotly_library

#: AppTest's own bound of a run: what runs the panel ends it before.
_RUN_S: Final = 100_000.0
#: Widgets, and the attribute that holds what there is to choose from.
_WIDGETS: Final = (
    *("button", "checkbox", "color_picker", "date_input", "download_button", "link_button", "multiselect"),
    *("number_input", "radio", "selectbox", "select_slider", "slider", "text_area", "text_input", "time_input"),
    *("toggle", "button_group", "file_uploader", "chat_input", "camera_input"),
)
_SILENT: Final = frozenset(
    {"empty", "toast", "balloons", "snow", "spinner", "page_config", "skeleton", "space", "sound"}
)
_ALERTS: Final = frozenset({"info", "warning", "error", "success"})
_rows: Final = itertools.count(1_000_000)


class Snapshot:
    """What one run of a panel would show. `items`: in their order; `error`: the traceback, if it raised."""

    def __init__(self, script: Path, options: Mapping[str, Any]) -> None:
        """Run the panel; widgets whose labels are among `options` have these values. Raises what Streamlit raises for
        a file that it cannot run."""
        self._media: dict[str, tuple[bytes, str]] = {}
        self._keep_media()
        testing: Any = importlib.import_module("streamlit.testing.v1")
        page = testing.AppTest.from_file(str(script), default_timeout=_RUN_S).run()
        if _choose(page, options):
            page = page.run()
        self.items = list(self._items(page))
        self.error = "\n".join("\n".join(one.stack_trace) or f"{one.message}" for one in page.exception)

    def _keep_media(self) -> None:
        """Streamlit's test run forgets its files: keep those that this process adds."""
        storage = importlib.import_module("streamlit.runtime.memory_media_file_storage").MemoryMediaFileStorage
        add, media = storage.load_and_get_id, self._media

        def keeping(own: Any, path_or_data: Any, mimetype: str, *more: Any, **options: Any) -> str:
            found = str(add(own, path_or_data, mimetype, *more, **options))
            file = own.get_file(PurePosixPath(own.get_url(found)).name)
            media[found] = (bytes(file.content), mimetype)
            return found

        storage.load_and_get_id = keeping

    def _items(self, page: Any) -> Iterator[Item]:
        for root in (page.sidebar, page.main):
            yield from self._of_block(root)

    def _of_block(self, block: Any) -> Iterator[Item]:
        children = [child for _, child in sorted(block.children.items())]
        if children and all(child.type == "column" for child in children):
            yield from self._side_by_side(children, [float(child.weight) or 1.0 for child in children])
            return
        if children and all(child.type == "tab" for child in children):
            yield from self._side_by_side(children, [1.0] * len(children))
            return
        for child in children:
            yield from self._of(child)

    def _side_by_side(self, columns: list[Any], weights: list[float]) -> Iterator[Item]:
        row = next(_rows)
        for place, (column, weight) in enumerate(zip(columns, weights, strict=True)):
            for item in (*_heading(column), *self._of_block(column)):
                place_of = {"column": [row, place, len(columns)]} | ({"weight": weight} if weight != 1.0 else {})
                yield item if item["kind"] in ("library", "control") else {**item, **place_of}

    def _of(self, node: Any) -> Iterator[Item]:
        if hasattr(node, "children"):
            yield from _heading(node)
            yield from self._of_block(node)
            return
        known = next((make for names, make in self._makers() if node.type in names), None)
        try:
            if known is not None:
                yield from known(node)
            elif node.type not in _SILENT:
                yield _live_only(node.type)
        except (Invalid, ValueError, TypeError, AttributeError, KeyError) as error:
            yield {"kind": "note", "text": f"A part of the panel ({node.type}) is only in the live panel: {error}"}

    def _makers(self) -> Iterator[tuple[Any, Callable[[Any], Iterator[Item]]]]:
        yield ("markdown", "caption", "divider", "latex", "title", "header", "subheader", "heading"), _markdown
        yield ("text", "code", "json"), _text
        yield _ALERTS, _alert
        yield ("dataframe", "arrow_data_frame", "table", "arrow_table"), _table
        yield ("plotly_chart",), _plotly
        yield ("imgs", "image"), self._images
        yield ("video", "audio"), self._sound_or_video
        yield ("metric",), _metric
        yield ("html",), _html
        yield ("progress",), _progress
        yield _WIDGETS, _control
        yield ("arrow_vega_lite_chart", "vega_lite_chart"), _vega
        yield ("exception",), lambda node: iter(())

    def _images(self, node: Any) -> Iterator[Item]:
        for image in node.proto.imgs:
            yield self._image(image)
            if image.caption:
                yield {"kind": "text", "text": image.caption}

    def _image(self, image: Any) -> Item:
        if image.url.startswith("data:image/svg+xml"):
            head, _, data = image.url.partition(",")
            return svg_item(base64.b64decode(data) if "base64" in head else data)
        content, mimetype = self._file(image.url)
        return svg_item(content) if "svg" in mimetype else image_item(content)

    def _sound_or_video(self, node: Any) -> Iterator[Item]:
        yield media_item(node.type, self._file(node.proto.url)[0])

    def _file(self, url: str) -> tuple[bytes, str]:
        found = self._media.get(PurePosixPath(url).stem)
        if found is None:
            raise Invalid(f"{url[:200]!r} is at another place, and a snapshot fetches nothing")
        return found


def _choose(page: Any, options: Mapping[str, Any]) -> bool:
    """Give widgets their values by label; whether there was one."""
    found = False
    for kind in _WIDGETS:
        for widget in _widgets(page, kind):
            wanted = options.get(widget.label)
            if wanted is None or not hasattr(widget, "set_value"):
                continue
            now = widget.value
            if isinstance(wanted, str) and not isinstance(now, str | list | tuple) and now is not None:
                wanted = wanted.lower() in ("true", "1", "yes", "on") if isinstance(now, bool) else type(now)(wanted)
            widget.set_value([wanted] if isinstance(now, list) and not isinstance(wanted, list) else wanted)
            found = True
    return found


def _widgets(page: Any, kind: str) -> list[Any]:
    try:
        return list(page.get(kind))
    except (AttributeError, KeyError):
        return []


def _heading(block: Any) -> Iterator[Item]:
    label = getattr(block, "label", "") if block.type in ("tab", "expander", "expandable", "status") else ""
    if label:
        yield {"kind": "markdown", "text": f"### {label}"}


def _markdown(node: Any) -> Iterator[Item]:
    body = str(node.value)
    tag = str(getattr(node.proto, "tag", "") or "")
    if tag[:1] == "h" and tag[1:].isdigit():
        yield {"kind": "markdown", "text": f"{'#' * min(int(tag[1:]), 4)} {body}"}
    elif getattr(node.proto, "allow_html", False) and "<" in body:
        if not body.lstrip().startswith("<style"):  # styles of the live page
            yield {"kind": "html", "text": body}
    elif node.type != "divider":
        yield {"kind": "markdown", "text": body}


def _text(node: Any) -> Iterator[Item]:
    yield {"kind": "text", "text": str(node.value)} | ({"code": True} if node.type in ("code", "json") else {})


def _alert(node: Any) -> Iterator[Item]:
    yield {"kind": "note", "text": str(node.value)}


def _table(node: Any) -> Iterator[Item]:
    item = item_of(node.value)
    config = json.loads(getattr(node.proto, "columns", "") or "{}")
    links = [
        name for name, one in config.items() if ((one or {}).get("type_config") or {}).get("type") in ("link", "image")
    ]
    yield item | ({"links": links} if links else {})


def _plotly(node: Any) -> Iterator[Item]:
    yield from plotly_library()
    spec = json.loads(node.proto.spec or node.proto.figure.spec)
    yield {"kind": "plotly", "figure": json.dumps({"data": spec.get("data", []), "layout": spec.get("layout", {})})}


def _metric(node: Any) -> Iterator[Item]:
    delta = f" ({node.delta})" if node.delta else ""
    yield {"kind": "markdown", "text": f"{node.label}: **{node.value}**{delta}"}


def _html(node: Any) -> Iterator[Item]:
    body = str(node.proto.body)
    if not body.lstrip().startswith("<style"):
        yield {"kind": "html", "text": body}


def _progress(node: Any) -> Iterator[Item]:
    yield {"kind": "text", "text": f"{node.proto.text} {node.proto.value} %".strip()}


def _control(node: Any) -> Iterator[Item]:
    value = getattr(node, "value", None)
    chosen = list(map(str, value)) if isinstance(value, list | tuple) else [] if value is None else [str(value)]
    made: Item = {"kind": "control", "type": node.type, "label": str(node.label), "option": str(node.label)}
    choices = getattr(node, "options", None)
    yield made | {"chosen": chosen} | ({"choices": [str(one) for one in choices]} if choices else {})


def _vega(node: Any) -> Iterator[Item]:
    yield _live_only("chart")
    frames = [one.data for one in node.proto.datasets] or [node.proto.data]
    unpack = importlib.import_module("streamlit.dataframe_util").convert_arrow_bytes_to_pandas_df
    for data in frames:
        content = data if isinstance(data, bytes) else data.data
        if content:
            yield item_of(unpack(content))


def _live_only(kind: str) -> Item:
    return {"kind": "note", "text": f"A part of the panel ({kind}) is drawn in the live panel only."}
