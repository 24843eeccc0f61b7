"""`ui` inside of a Streamlit process: Comet's names over Streamlit's own, which a panel may use beside them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from runstream.errors import Invalid
from runstream.panel_context import PanelContext
from runstream.panels.contents import is_plotly, text_of_choice

#: What draws figures of matplotlib.
_FIGURES: Final = ("matplotlib", "seaborn", "mpl_toolkits")


class StreamlitUI:
    """Adds to the page of the script that runs in this thread, at `root`: Streamlit's page, or a part of one (a column,
    a tab).

    Arguments and results are those of `comet_ml.ui`; `classes` and styles are taken and change nothing, as there.
    """

    def __init__(self, root: Any = None) -> None:
        self._part = root

    @property
    def _st(self) -> Any:
        return importlib.import_module("streamlit")

    @property
    def _root(self) -> Any:
        return self._st if self._part is None else self._part

    @property
    def session_state(self) -> Any:
        """What a viewer's session keeps between its runs of the panel."""
        return self._st.session_state

    # What people choose

    def dropdown(
        self,
        label: str,
        options: Sequence[Any],
        index: Any = 0,
        format_func: Callable[[Any], str] | None = None,
        key: str | None = None,
        on_change: Callable[..., None] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        multiple: bool = False,
        **unused: Any,
    ) -> Any:
        """One of `options` (None if there are none), or a list of them with `multiple`; experiments by their names. It
        begins with what the panel's options choose by its label, else at `index`."""
        choices = list(options)
        named = text_of_choice if format_func in (None, str) else format_func
        told = {"format_func": named, "key": key, "on_change": on_change, "args": args, "kwargs": kwargs}
        chosen = self._chosen(label, key)
        if multiple:
            default = list(index) if isinstance(index, Sequence) and index else choices[:1]
            if chosen is not None:
                wanted = chosen if isinstance(chosen, list) else [chosen]
                default = [one for one in choices if one in wanted or named(one) in wanted]
            return self._root.multiselect(label, choices, default=default, **told)
        first = index if isinstance(index, int) else 0
        if not choices:
            return self._root.selectbox(label, choices, **told)
        if not -len(choices) <= first < len(choices):
            raise Invalid(f"dropdown {label!r}: index is {first}, there are {len(choices)} options")
        found = next((at for at, one in enumerate(choices) if chosen is not None and chosen in (one, named(one))), None)
        return self._root.selectbox(label, choices, index=first % len(choices) if found is None else found, **told)

    def input(
        self,
        label: str,
        value: Any = "",
        key: str | None = None,
        on_click: Callable[..., None] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **unused: Any,
    ) -> str:
        """The text that was typed, else `value`."""
        chosen = self._chosen(label, key)
        given = str(value if chosen is None else chosen)
        told = {"key": key, "on_change": on_click, "args": args, "kwargs": kwargs}
        return cast(str, self._root.text_input(label, value=given, **told))

    def checkbox(
        self,
        label: str,
        value: bool = False,
        key: str | None = None,
        on_click: Callable[..., None] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **unused: Any,
    ) -> bool:
        """Whether it is ticked."""
        chosen = self._chosen(label, key)
        told = {"key": key, "on_change": on_click, "args": args, "kwargs": kwargs}
        return bool(self._root.checkbox(label, value=is_ticked(value if chosen is None else chosen), **told))

    def button(
        self,
        label: str,
        key: str | None = None,
        on_click: Callable[..., None] | None = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **unused: Any,
    ) -> bool:
        """Whether this run of the panel comes of a click on it."""
        return bool(self._root.button(label, key=key, on_click=on_click, args=args, kwargs=kwargs))

    def slider(self, label: str, *bounds: Any, key: str | None = None, **more: Any) -> Any:
        """The number that was chosen: `slider(label, min_value, max_value, value, step)`, as `st.slider`."""
        return self._root.slider(label, *bounds, key=key, **more)

    def _chosen(self, label: str, key: str | None) -> Any:
        return (PanelContext.here() or PanelContext("", "")).options.get(key or label)

    # Parts of the page

    def columns(self, items: int | Sequence[float], classes: Any = None, **styles: Any) -> list[StreamlitUI]:
        """So many `ui`s, side by side; or one for each of these widths."""
        return [StreamlitUI(column) for column in self._root.columns(items)]

    def tabs(self, labels: Sequence[str]) -> list[StreamlitUI]:
        """A `ui` for each tab."""
        return [StreamlitUI(tab) for tab in self._root.tabs([str(label) for label in labels])]

    def add_css(self, css: str) -> None:
        """Add style sheets to the page of the panel."""
        self._root.html(f"<style>{css}</style>")

    def set_css(self, css: str) -> None:
        """The same as `add_css`."""
        self.add_css(css)

    def get_theme(self) -> str:
        """`light` or `dark`, as the page around the panel or the viewer's browser has it."""
        context = PanelContext.here()
        told = context.theme if context is not None else ""
        return told or str(getattr(self._st.context.theme, "type", None) or "light")

    def get_instance(self) -> str:
        """What tells this place of the panel from others on the page around it; empty where that says nothing."""
        context = PanelContext.here()
        return context.instance if context is not None else ""

    def refresh(self, every_s: float = 1.0) -> None:
        """Run the panel again for this viewer when its project has new data, at most once in `every_s` seconds."""
        from runstream.panels.refreshing import refresh

        refresh(every_s)

    def progress(self, label: str, percent: float, *unused: Any, **more: Any) -> None:
        """A bar that is filled to `percent` (0 to 100)."""
        self._st.session_state["_runstream_progress"] = percent
        self._root.progress(min(max(percent / 100, 0.0), 1.0), text=str(label))

    def get_progress(self) -> float | None:
        """The last percentage that was shown in this session."""
        return cast("float | None", self._st.session_state.get("_runstream_progress"))

    def reset_progress(self, value: float = -1) -> None:
        """Forget it."""
        self._st.session_state["_runstream_progress"] = value

    # What is shown

    def display(self, *things: Any, format: str | None = None, **options: Any) -> None:
        """Show figures, frames, images, texts, anything; texts of one call stand in one line. `format`: markdown, html
        or text. Raises Invalid for another one."""
        if format not in (None, "text", "markdown", "html", "svg"):
            raise Invalid(f"format is {format!r}: give text, markdown, html or svg")
        if format == "markdown":
            self.display_markdown(*things)
        elif format == "html":
            self.display_html(*map(str, things))
        elif format == "svg":
            for thing in things:
                self.display_image(thing, format="svg", **options)
        elif all(isinstance(thing, str) for thing in things):
            text = " ".join(things)
            if format == "text":
                self.display_text(text)
            else:
                self._root.write(text, unsafe_allow_html=True)
        else:
            for thing in things:
                self._display_one(thing, **options)

    def _display_one(self, thing: Any, **options: Any) -> None:
        library = type(thing).__module__.partition(".")[0]
        if getattr(thing, "__name__", "") == "matplotlib.pyplot" or library in _FIGURES:
            self.display_figure(thing)
        elif is_plotly(thing):
            self.display_plotly_figure(thing)
        elif isinstance(thing, bytes | bytearray) or library == "PIL":
            self.display_image(thing, **options)
        elif library in ("pandas", "pyarrow", "polars"):
            self._root.write(thing)
        elif library == "runstream" and callable(getattr(thing, "rows", None)):
            self._root.dataframe(thing.rows())
        elif callable(getattr(thing, "_repr_png_", None)):
            self.display_image(thing._repr_png_(), **options)
        elif callable(getattr(thing, "_repr_html_", None)) and not isinstance(thing, type):
            self._root.write(thing._repr_html_(), unsafe_allow_html=True)
        elif callable(getattr(thing, "to_html", None)):
            self._root.write(thing.to_html(), unsafe_allow_html=True)
        elif callable(getattr(thing, "_repr_svg_", None)):
            self.display_image(thing._repr_svg_(), format="svg")
        else:
            self._root.write(thing, unsafe_allow_html=True)

    def display_figure(self, figure: Any) -> None:
        """A figure of matplotlib, its axes, or pyplot itself."""
        if hasattr(figure, "gcf"):
            figure = figure.gcf()
        self._root.pyplot(figure if hasattr(figure, "savefig") else getattr(figure, "figure", figure))

    def display_plotly_figure(self, figure: Any) -> None:
        """A figure of plotly, as wide as there is room."""
        self._root.plotly_chart(figure, width="stretch")

    def display_image(self, data: Any, format: str | None = None, width: int | None = None) -> None:
        """The bytes of an image file, an address, an image of Pillow, an array; with `format` svg its text."""
        if format == "svg" and isinstance(data, bytes):
            data = data.decode()
        self._root.image(data, **({} if width is None else {"width": width}))

    def display_video(self, data: Any, **options: Any) -> None:
        """The bytes of a video file, or its address; options are those of `st.video`."""
        self._root.video(data, **options)

    def display_audio(self, data: Any, **options: Any) -> None:
        """The bytes of a sound file, an array, or its address; options are those of `st.audio`."""
        self._root.audio(data, **options)

    def display_table(self, frame: Any, links: Sequence[str] = (), images: Sequence[str] = (), **options: Any) -> None:
        """A frame, a table or a list of rows; the cells of columns among `links` are links, of those among `images`
        images. Options are those of `st.dataframe`."""
        kinds = self._st.column_config
        config = {name: kinds.LinkColumn() for name in links} | {name: kinds.ImageColumn() for name in images}
        rows = frame.rows() if type(frame).__module__.startswith("runstream.") and hasattr(frame, "rows") else frame
        self._root.dataframe(rows, **({"column_config": config} if config else {}), **options)

    def display_text(self, *lines: Any) -> None:
        """Lines of text."""
        self._root.text("\n".join(map(str, lines)))

    def display_markdown(self, *texts: Any) -> None:
        """Markdown."""
        for text in texts:
            self._root.markdown(str(text))

    def display_html(self, *texts: str) -> None:
        """HTML, without its scripts."""
        for text in texts:
            self._root.html(text)


def is_ticked(value: Any) -> bool:
    """Return what a text or value means for a checkbox."""
    return value.lower() in ("true", "1", "yes", "on") if isinstance(value, str) else bool(value)
