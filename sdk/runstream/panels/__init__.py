"""Python Panels: a file of Python that shows something about the runs of a project, as a page.

    from runstream import API, ui

    api = API()
    metric = ui.dropdown("Metric", api.get_panel_metrics_names())
    ui.display(figure_of(api.get_metrics_for_chart(api.get_panel_experiment_keys(), [metric])))

`runstream panel run FILE` runs it and writes the page; `run_panel` and `page_of` are the same for programs.
docs/panels.md is about both.
"""

from typing import TYPE_CHECKING, Any

from runstream.panels.interface import UI, ui

if TYPE_CHECKING:
    from runstream.panel_context import PanelContext as PanelContext
    from runstream.panels.page import page_of as page_of
    from runstream.panels.results import PanelResult as PanelResult
    from runstream.panels.running import PanelLimits as PanelLimits
    from runstream.panels.running import run_panel as run_panel

#: What only those need who run panels, and where it stands.
_LATER = {
    "PanelContext": "runstream.panel_context",
    "PanelLimits": "runstream.panels.running",
    "PanelResult": "runstream.panels.results",
    "page_of": "runstream.panels.page",
    "run_panel": "runstream.panels.running",
}

__all__ = ["UI", "PanelContext", "PanelLimits", "PanelResult", "page_of", "run_panel", "ui"]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'runstream.panels' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LATER[name]), name)
