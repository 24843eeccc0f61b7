"""`ui`: what a panel shows, and what it lets people choose. In a process of Streamlit it adds to Streamlit's page
(`streamlit_ui`), elsewhere to the snapshot that `runstream panel run` writes (`UI`)."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runstream.errors import Invalid
from runstream.panel_context import VARIABLE, PanelContext
from runstream.panels.checking import MAX_COLUMNS
from runstream.panels.contents import (
    MAX_ROWS,
    Item,
    image_item,
    is_plotly,
    item_of,
    media_item,
    svg_item,
    table_of,
    text_of_choice,
)
from runstream.panels.folder import ITEMS
from runstream.panels.script import is_inside
from runstream.panels.streamlit_ui import StreamlitUI, is_ticked

#: JavaScript that is on the page already.
_libraries: Final[set[str]] = set()
_rows: Final = itertools.count()


class _Session(dict[str, Any]):
    """What a session keeps: by name as an item or as an attribute."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the session keeps nothing called {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


#: A snapshot is one run of one session.
_session: Final = _Session()


def plotly_library() -> Iterator[Item]:
    """Plotly's JavaScript, which its package brings along, once a page."""
    if "plotly" not in _libraries:
        import importlib

        text = importlib.import_module("plotly.offline").get_plotlyjs()
        _libraries.add("plotly")
        yield {"kind": "library", "text": text}


class UI:
    """Every call adds to the panel's page, in the order of the calls. Outside of a panel texts are printed, and
    choices are the first ones, so that the same file runs as a script.

    What was chosen comes in as the options of the panel, by label (or `key`): `runstream panel run --option
    LABEL=TEXT`. For one thread.
    """

    def __init__(self, column: tuple[int, int, int] | None = None, weight: float = 1.0) -> None:
        """`column`: which row of columns of the page, which of them, of how many; `weight`: how wide it is."""
        self._column = column
        self._weight = weight
        self._context: PanelContext | None = None

    def _add(self, item: Item) -> None:
        context = os.environ.get(VARIABLE)
        if not context:
            if "text" in item and item["kind"] != "library":
                print(item["text"])
            return
        if self._column is not None and item["kind"] != "library":
            item = item | {"column": list(self._column)} | ({"weight": self._weight} if self._weight != 1.0 else {})
        # Opened each time: what is displayed stays, whatever happens to the process.
        with Path(context).with_name(ITEMS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(item, ensure_ascii=True) + "\n")

    def _options(self) -> Mapping[str, Any]:
        if self._context is None:
            self._context = PanelContext.here() or PanelContext("", "")
        return self._context.options

    def display(self, *things: Any, format: str | None = None) -> None:
        """Show figures (matplotlib, plotly), images (bytes, Pillow), frames and tables (pandas, pyarrow, ours), texts,
        or anything else as Python prints it. Texts are shown as they are; with `format` "markdown" or "html" they are
        read as such. HTML stands in a frame of its own, which can run scripts and reach neither the page nor a
        network. Raises Invalid."""
        if format not in (None, "text", "markdown", "html"):
            raise Invalid(f"format is {format!r}: give text, markdown or html")
        for thing in things:
            if isinstance(thing, str) and format in ("markdown", "html"):
                self._add({"kind": format, "text": thing})
                continue
            if is_plotly(thing):
                for item in plotly_library():
                    self._add(item)
            self._add(item_of(thing))

    def columns(self, items: int | Sequence[float], **unused: Any) -> list[UI]:
        """So many `ui`s, side by side on the page; or one for each of these widths."""
        weights = [1.0] * items if isinstance(items, int) else [float(one) for one in items]
        if not 1 <= len(weights) <= MAX_COLUMNS or min(weights) <= 0:
            raise Invalid(f"columns({items}): give 1 or more, at most {MAX_COLUMNS}, or as many widths above 0")
        row = next(_rows)
        return [UI((row, place, len(weights)), weight) for place, weight in enumerate(weights)]

    def tabs(self, labels: Sequence[str]) -> list[UI]:
        """A `ui` for each tab: the page has them side by side, below their labels."""
        made = self.columns(len(labels))
        for tab, label in zip(made, labels, strict=True):
            tab.display_markdown(f"### {label}")
        return made

    @property
    def session_state(self) -> Any:
        """What the panel keeps, by name. A snapshot is one session."""
        return _session

    def add_css(self, css: str) -> None:
        """Styles are those of the live page; the snapshot has its own."""

    def set_css(self, css: str) -> None:
        """The same as `add_css`."""

    def get_theme(self) -> str:
        """`light` or `dark`, as the panel's context has it."""
        context = PanelContext.here()
        return (context.theme if context is not None else "") or "light"

    def get_instance(self) -> str:
        """What tells this place of the panel from others on the page around it; empty where that says nothing."""
        context = PanelContext.here()
        return context.instance if context is not None else ""

    def refresh(self, every_s: float = 1.0) -> None:
        """A snapshot is run once: live panels run again when there are new data."""

    def progress(self, label: str, percent: float, *unused: Any, **more: Any) -> None:
        """A snapshot is shown when all is done."""
        _session["_runstream_progress"] = percent

    def get_progress(self) -> Any:
        """The last percentage that was given to `progress`."""
        return _session.get("_runstream_progress")

    def reset_progress(self, value: float = -1) -> None:
        """Forget it."""
        _session["_runstream_progress"] = value

    def display_figure(self, figure: Any) -> None:
        """A figure of matplotlib, or pyplot itself."""
        self.display(figure)

    def display_plotly_figure(self, figure: Any) -> None:
        self.display(figure)

    def display_image(self, data: Any, format: str | None = None, width: int | None = None) -> None:
        """The bytes of a PNG, JPEG, GIF or WebP file, an image of Pillow, an array; with `format` svg its text."""
        if format == "svg" or (isinstance(data, str) and data.lstrip().startswith("<")):
            item = svg_item(data)
        else:
            item = image_item(data) if isinstance(data, bytes) else item_of(data)
        self._add(item if width is None else item | {"width": int(width)})

    def display_video(self, data: bytes, **unused: Any) -> None:
        """The bytes of an MP4 or WebM file."""
        self._add(media_item("video", data))

    def display_audio(self, data: bytes, **unused: Any) -> None:
        """The bytes of a WAV, Ogg, FLAC or MP3 file."""
        self._add(media_item("audio", data))

    def display_table(self, frame: Any, links: Sequence[str] = (), images: Sequence[str] = (), **unused: Any) -> None:
        """A frame, a table or a list of rows; addresses in columns among `links` are links. Images are shown where a
        cell has the data of one (`data:image/png;base64,...`): the page fetches nothing."""
        if isinstance(frame, list | tuple) and all(isinstance(row, Mapping) for row in frame):
            columns = list(dict.fromkeys(str(name) for row in frame for name in row))
            item = table_of(columns, [[row.get(name) for name in columns] for row in frame[:MAX_ROWS]], len(frame))
        else:
            item = item_of(frame)
        self._add(item | ({"links": list(links)} if links and item["kind"] == "table" else {}))

    def display_text(self, *lines: Any) -> None:
        self._add({"kind": "text", "text": "\n".join(map(str, lines))})

    def display_markdown(self, *texts: str) -> None:
        """Headings, lists, paragraphs, `code` and **bold**; all else, HTML too, is shown as it is."""
        self.display(*texts, format="markdown")

    def display_html(self, *texts: str) -> None:
        self.display(*texts, format="html")

    def dropdown(
        self,
        label: str,
        options: Sequence[Any],
        index: int | Sequence[Any] = 0,
        format_func: Callable[[Any], str] | None = None,
        key: str | None = None,
        multiple: bool = False,
        **unused: Any,
    ) -> Any:
        """One of `options` (None if there are none): the one that was chosen, else the one at `index`. With `multiple`
        a list of them, by default the first. `format_func` gives the texts that people choose from; of an experiment
        it is its name. A choice that is not among the options any more is passed over, with a note on the page."""
        choices = list(options)
        texts = [(text_of_choice if format_func in (None, str) else format_func)(choice) for choice in choices]
        chosen = self._options().get(key or label)
        if multiple:
            default = list(index) if isinstance(index, Sequence) else choices[:1]
            wanted = default if chosen is None else chosen if isinstance(chosen, list) else [chosen]
            places = [place for one in wanted if (place := self._place(label, choices, texts, one)) is not None]
        else:
            first = index if isinstance(index, int) else 0
            if choices and not -len(choices) <= first < len(choices):
                raise Invalid(f"dropdown {label!r}: index is {first}, there are {len(choices)} options")
            found = None if chosen is None else self._place(label, choices, texts, chosen)
            places = [] if not choices else [first % len(choices) if found is None else found]
        named = {"label": label, "option": key or label, "choices": texts}
        self._add({"kind": "control", "type": "dropdown", "chosen": [texts[place] for place in places], **named})
        values = [choices[place] for place in places]
        return values if multiple else values[0] if values else None

    def _place(self, label: str, choices: Sequence[Any], texts: Sequence[str], wanted: Any) -> int | None:
        for place, (choice, text) in enumerate(zip(choices, texts, strict=True)):
            if text == wanted or (choice is wanted) or (type(choice) is type(wanted) and choice == wanted):
                return place
        self._add({"kind": "note", "text": f"{label}: {str(wanted)[:200]!r} is not among the choices"})
        return None

    def input(self, label: str, value: Any = "", key: str | None = None, **unused: Any) -> Any:
        """The text that was given, else `value`."""
        given = self._options().get(key or label, value)
        self._add({"kind": "control", "type": "input", "label": label, "option": key or label, "chosen": [str(given)]})
        return given

    def checkbox(self, label: str, value: bool = False, key: str | None = None, **unused: Any) -> bool:
        given = self._options().get(key or label, value)
        ticked = is_ticked(given)
        shown = ["yes" if ticked else "no"]
        self._add({"kind": "control", "type": "checkbox", "label": label, "option": key or label, "chosen": shown})
        return ticked

    def button(
        self,
        label: str,
        key: str | None = None,
        on_click: Callable[..., None] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **unused: Any,
    ) -> bool:
        """Whether the panel's options press it, by its label: `on_click` is called then."""
        pressed = is_ticked(self._options().get(key or label, False))
        if pressed and on_click is not None:
            on_click(*(args or ()), **(kwargs or {}))
        shown = ["pressed" if pressed else "not pressed"]
        self._add({"kind": "control", "type": "button", "label": label, "option": key or label, "chosen": shown})
        return pressed

    def slider(
        self,
        label: str,
        min_value: Any = 0,
        max_value: Any = 100,
        value: Any = None,
        step: Any = None,
        key: str | None = None,
        **unused: Any,
    ) -> Any:
        """The number that the panel's options have by its label, else `value`, else the least."""
        first = min_value if value is None else value
        given = self._options().get(key or label, first)
        if isinstance(given, str):
            try:
                given = type(min_value)(given)
            except ValueError:
                self._add({"kind": "note", "text": f"{label}: {given[:200]!r} is no number"})
                given = first
        shown = list(map(str, given)) if isinstance(given, list | tuple) else [str(given)]
        self._add({"kind": "control", "type": "slider", "label": label, "option": key or label, "chosen": shown})
        return given


class _Here:
    """The `ui` of wherever this thread runs: of Streamlit's page, or of the snapshot."""

    def __init__(self) -> None:
        self._snapshot = UI()
        self._streamlit = StreamlitUI()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._streamlit if is_inside() else self._snapshot, name)

    def __dir__(self) -> list[str]:
        return [name for name in dir(UI) if not name.startswith("_")]


if TYPE_CHECKING:
    ui = UI()
else:
    ui = _Here()
