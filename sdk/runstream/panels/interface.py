"""`ui`: what a panel shows, and what it lets people choose."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from runstream.errors import Invalid
from runstream.panel_context import VARIABLE, PanelContext
from runstream.panels.checking import MAX_COLUMNS
from runstream.panels.contents import Item, image_item, is_plotly, item_of
from runstream.panels.folder import ITEMS

#: JavaScript that is on the page already.
_libraries: Final[set[str]] = set()
_rows: Final = itertools.count()


class UI:
    """Every call adds to the panel's page, in the order of the calls. Outside of a panel texts are printed, and
    choices are the first ones, so that the same file runs as a script.

    What was chosen comes in as the options of the panel, by label (or `key`): `runstream panel run --option
    LABEL=TEXT`. For one thread.
    """

    def __init__(self, column: tuple[int, int, int] | None = None) -> None:
        """`column`: which row of columns of the page, which of them, of how many."""
        self._column = column
        self._context: PanelContext | None = None

    def _add(self, item: Item) -> None:
        context = os.environ.get(VARIABLE)
        if not context:
            if "text" in item and item["kind"] != "library":
                print(item["text"])
            return
        if self._column is not None and item["kind"] != "library":
            item = item | {"column": list(self._column)}
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
                self._add_plotly()
            self._add(item_of(thing))

    def _add_plotly(self) -> None:
        """Plotly's JavaScript, which its package brings along, once a page."""
        if "plotly" not in _libraries:
            import importlib

            text = importlib.import_module("plotly.offline").get_plotlyjs()
            _libraries.add("plotly")
            self._add({"kind": "library", "text": text})

    def columns(self, items: int, **unused: Any) -> list[UI]:
        """So many `ui`s, side by side on the page."""
        if not 1 <= items <= MAX_COLUMNS:
            raise Invalid(f"columns({items}): give 1 or more, at most {MAX_COLUMNS}")
        row = next(_rows)
        return [UI((row, place, items)) for place in range(items)]

    def display_figure(self, figure: Any) -> None:
        """A figure of matplotlib, or pyplot itself."""
        self.display(figure)

    def display_plotly_figure(self, figure: Any) -> None:
        self.display(figure)

    def display_image(self, data: Any) -> None:
        """The bytes of a PNG, JPEG, GIF or WebP file, or an image of Pillow."""
        self._add(image_item(data) if isinstance(data, bytes) else item_of(data))

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
        texts = [(format_func or _text_of)(choice) for choice in choices]
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
        ticked = given.lower() in ("true", "1", "yes", "on") if isinstance(given, str) else bool(given)
        shown = ["yes" if ticked else "no"]
        self._add({"kind": "control", "type": "checkbox", "label": label, "option": key or label, "chosen": shown})
        return ticked


def _text_of(choice: Any) -> str:
    name = getattr(choice, "name", None)
    return str(name or choice.run) if hasattr(choice, "get_metadata") else str(choice)


ui = UI()
