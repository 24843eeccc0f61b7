"""What a panel has without importing it, as Comet's has: `st`, which is Streamlit, and a `print` that shows on the
page. In a panel's process alone."""

from __future__ import annotations

import builtins
import importlib
import sys
from typing import Any, Final, TextIO

from runstream.panels.script import is_inside

_OWN_PRINT: Final = builtins.print
_MAIN: Final = "__main__"


def provide() -> None:
    """Provide both. Loads Streamlit."""
    vars(builtins)["st"] = importlib.import_module("streamlit")
    vars(builtins)["print"] = _print


def withdraw() -> None:
    """Undo `provide`, for tests."""
    vars(builtins).pop("st", None)
    vars(builtins)["print"] = _OWN_PRINT


def _print(*values: Any, sep: str | None = " ", file: TextIO | None = None, **more: Any) -> None:
    """Print, and where the panel itself prints, show it as `st.write` does. What libraries print is not shown."""
    _OWN_PRINT(*values, sep=sep, file=file, **more)
    if file is None and sys._getframe(1).f_globals.get("__name__") == _MAIN and is_inside():
        text = (" " if sep is None else sep).join(map(str, values))
        if text.strip():
            importlib.import_module("streamlit").write(text, unsafe_allow_html=True)
