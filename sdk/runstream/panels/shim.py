"""`comet_ml` in a panel's process: Runstream's API and `ui` under its name, whether or not the package is installed, so
that a panel file runs as it is. Nowhere but in a panel's process."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from typing import Any, Final

from runstream.errors import RunstreamError

NAME: Final = "comet_ml"
#: Modules of it, and where their names are found here.
_MODULES: Final = {
    NAME: ("API", "APIExperiment", "ui", "query", "api"),
    f"{NAME}.api": ("API", "APIExperiment", "Metric", "Parameter", "Tag", "Metadata", "Environment", "Other"),
    f"{NAME}.query": ("Metric", "Parameter", "Tag", "Metadata", "Environment", "Other", "QueryExpression"),
}
_QUERY: Final = frozenset(_MODULES[f"{NAME}.query"])
#: Calls that set the client up: a panel is set up already.
_NEEDLESS: Final = frozenset({"init", "login", "init_onprem"})
_WRITING: Final = frozenset(
    {
        "Artifact",
        "CometExperiment",
        "ExistingExperiment",
        "ExistingOfflineExperiment",
        "Experiment",
        "ExperimentConfig",
        "OfflineExperiment",
        "Optimizer",
        "end",
        "flush",
        "start",
    }
)


class NotInPanels(RunstreamError):
    """A part of `comet_ml` that writes. A panel reads."""


class _OneExperiment(type):
    """`isinstance(x, APIExperiment)` is true for what the API returns."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, importlib.import_module("runstream.api.views.runs").RunView)


class APIExperiment(metaclass=_OneExperiment):
    """`APIExperiment(previous_experiment=KEY)`: the experiment, as `API().get_experiment_by_key(KEY)` returns it."""

    def __new__(
        cls,
        *unused: Any,
        previous_experiment: str | None = None,
        experiment_key: str | None = None,
        api_key: str | None = None,
        **more: Any,
    ) -> Any:
        key = previous_experiment or experiment_key
        if key is None:
            raise NotInPanels("APIExperiment() without previous_experiment makes an experiment, and a panel only reads")
        return importlib.import_module("runstream.api").API().get_experiment_by_key(key)


def install() -> None:
    """Have imports of `comet_ml` in this process give Runstream's. Call it before the panel runs; twice is once."""
    if not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]


def uninstall() -> None:
    """Undo `install`, for tests."""
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, _Finder)]
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def _installed(name: str) -> importlib.machinery.ModuleSpec | None:
    """A module that is not ours, of the package itself, if that is installed: what panels use beside the API."""
    package = importlib.machinery.PathFinder.find_spec(NAME)
    for part in name.split(".")[1:]:
        if package is None or package.submodule_search_locations is None:
            return None
        parent = f"{package.name}.{part}"
        package = importlib.machinery.PathFinder.find_spec(parent, package.submodule_search_locations)
    return package


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] != NAME:
            return None
        if fullname not in _MODULES:
            found = _installed(fullname)
            if found is not None:
                return found
            raise ModuleNotFoundError(
                f"a panel of Runstream has no {fullname}: it has {', '.join(sorted(_MODULES))}", name=fullname
            )
        return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname == NAME)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return types.ModuleType(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        name = module.__name__
        module.__dict__["__getattr__"] = lambda wanted: _found(name, wanted)
        module.__dict__["__all__"] = [name for name in _MODULES[name] if name not in ("query", "api")]


def _found(module: str, name: str) -> Any:
    if name == "__version__":
        return importlib.import_module("runstream").__version__
    if name == "APIExperiment":
        return APIExperiment
    if name in ("API", "ui"):
        return getattr(importlib.import_module("runstream"), name)
    if name in _QUERY and module != NAME:
        return getattr(importlib.import_module("runstream.query"), name)
    if name in _NEEDLESS:
        return lambda *arguments, **options: None
    if name in _WRITING:
        return _refusing(name)
    raise AttributeError(f"{module} of a panel has no {name!r}: it has {', '.join(_MODULES[module])}")


def _refusing(name: str) -> Any:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise NotInPanels(f"{NAME}.{name} writes, and a panel only reads")

    return refuse
