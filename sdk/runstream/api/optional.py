"""Packages that reading as tables needs and a training node does not have."""

import importlib
from typing import Any

from runstream.api.errors import DataPackageMissing


def pyarrow(what: str) -> Any:
    """The module pyarrow. Raises DataPackageMissing; `what` says what needed it."""
    return _module("pyarrow", what)


def pandas(what: str) -> Any:
    """The module pandas. Raises DataPackageMissing; `what` says what needed it."""
    return _module("pandas", what)


def _module(name: str, what: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataPackageMissing(f"{what} needs {name}: pip install 'runstream[data]' ({error})") from error
