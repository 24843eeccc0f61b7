"""Runstream: experiment tracking by events. In training code:

    import runstream as rs

    run = rs.init(project="digits", name="mlp-3", config={"lr": 1e-3})
    run.log({"loss": loss, "acc": acc}, step=step)
    run.finish()

Importing this is cheap; what needs more is imported when it is used.
"""

from typing import TYPE_CHECKING, Any

from runstream._version import VERSION as __version__
from runstream.client.init import init
from runstream.client.module_level import (
    active_run,
    add_tags,
    define_metric,
    finish,
    log,
    log_asset,
    log_figure,
    log_histogram,
    log_image,
    log_other,
    log_others,
    log_params,
    log_table,
    log_text,
    remove_tags,
    save,
    unwatch,
    watch,
)

if TYPE_CHECKING:
    from runstream.api import API as API
    from runstream.client.run import Run as Run
    from runstream.errors import Invalid as Invalid
    from runstream.errors import InvalidSetting as InvalidSetting
    from runstream.errors import RunstreamError as RunstreamError
    from runstream.errors import Unavailable as Unavailable
    from runstream.errors import Unusable as Unusable
    from runstream.panels import ui as ui
    from runstream.settings import Settings as Settings
    from runstream.settings import load_settings as load_settings
    from runstream.sweeping.environment import current_trial as current_trial
    from runstream.sweeping.opening import sweep as sweep
    from runstream.sweeping.stopping import ASHA as ASHA
    from runstream.sweeping.stopping import MedianRule as MedianRule
    from runstream.sweeping.sweep import Sweep as Sweep
    from runstream.sweeping.sweep import Trial as Trial

#: Names that are imported when they are first used, and where they stand.
_LATER = {
    "API": "runstream.api",
    "ASHA": "runstream.sweeping.stopping",
    "Invalid": "runstream.errors",
    "MedianRule": "runstream.sweeping.stopping",
    "InvalidSetting": "runstream.errors",
    "Run": "runstream.client.run",
    "RunstreamError": "runstream.errors",
    "Settings": "runstream.settings",
    "Unavailable": "runstream.errors",
    "Unusable": "runstream.errors",
    "load_settings": "runstream.settings",
    "Sweep": "runstream.sweeping.sweep",
    "Trial": "runstream.sweeping.sweep",
    "current_trial": "runstream.sweeping.environment",
    "sweep": "runstream.sweeping.opening",
    "ui": "runstream.panels",
}

__all__ = [
    "API",
    "ASHA",
    "Invalid",
    "InvalidSetting",
    "MedianRule",
    "Run",
    "RunstreamError",
    "Settings",
    "Sweep",
    "Trial",
    "Unavailable",
    "Unusable",
    "__version__",
    "active_run",
    "add_tags",
    "current_trial",
    "define_metric",
    "finish",
    "init",
    "load_settings",
    "log",
    "log_asset",
    "log_figure",
    "log_histogram",
    "log_image",
    "log_other",
    "log_others",
    "log_params",
    "log_table",
    "log_text",
    "remove_tags",
    "save",
    "sweep",
    "ui",
    "unwatch",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'runstream' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
