"""`run.config` and `run.summary`: what was logged of a run, by name and by attribute."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from runstream.client.content.mappings import as_mapping, items_of
from runstream.events.names import SYSTEM_METRICS

#: Attributes of the objects themselves, which are read while they are made.
_SLOTS: Final = ("_log", "_values", "_last")


class NamedValues(Mapping[str, Any]):
    """Values by name (`values["lr"]`) and by attribute (`values.lr`). What is set is logged, and kept as it was given.

    Names of methods and of the interpreter (`__x__`) are read by `[]` alone, whatever is set. Values of this process
    only: not those of other processes of the run, nor those that it had before it was resumed.
    """

    __slots__ = ("_log", "_values")

    def __init__(self, log: Callable[[Mapping[str, Any]], None]) -> None:
        """`log` writes values into the run; it never raises."""
        object.__setattr__(self, "_log", log)
        object.__setattr__(self, "_values", {})

    def update(self, values: object = None, /, *, allow_val_change: bool | None = None, **named: Any) -> None:
        """Set several values: of a mapping, dataclass, model, Namespace or pairs, and those given by name. Later values
        replace earlier ones, whatever `allow_val_change` is."""
        del allow_val_change
        if isinstance(values, list | tuple):
            with contextlib.suppress(TypeError, ValueError):  # no pairs: that is told
                values = dict(values)
        if values is not None:
            self._set(values)
        if named:
            self._set(named)

    def setdefaults(self, values: object) -> None:
        """Set those values that have none yet."""
        named = as_mapping(values)
        if named is None:
            self._set(values)  # where it is told
        elif missing := {name: value for name, value in _texts(named) if name not in self}:
            self._set(missing)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return the value of `name`; where it has none, set it to `default`."""
        self.setdefaults({name: default})
        return self[name]

    def as_dict(self) -> dict[str, Any]:
        """Return the values as a dict of their own."""
        return dict(self)

    def remember(self, values: object) -> None:
        """Keep the values of a mapping or the like, which are logged already. Never raises."""
        with contextlib.suppress(Exception):  # an object whose attributes raise
            named = as_mapping(values)
            if named is not None:
                self._values.update(_texts(named))

    def _set(self, values: Any) -> None:
        self._log(values)
        self.remember(values)

    def _found(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._values
        return found

    def __getitem__(self, name: str) -> Any:
        return self._found()[str(name)]

    def __setitem__(self, name: str, value: Any) -> None:
        self._set({name: value})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in _SLOTS:
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            known = ", ".join(sorted(self)[:10]) or "nothing"
            what = f"the {type(self).__name__.lower()} of this run has no {name!r} (it has {known})"
            raise AttributeError(what) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._found()))

    def __len__(self) -> int:
        return len(self._found())

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
        return dict, (dict(self),)


def _texts(values: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what can be read of the items, their names as texts."""
    for name, value in items_of(values, lambda *_: None):
        try:
            text = str(name)
        except Exception:
            continue
        yield text, value


class Config(NamedValues):
    """The run's parameters, as they were given. `config(values)` is `Run.log_params`."""

    __slots__ = ()

    def __call__(self, values: Any) -> None:
        self._set(values)


class Summary(NamedValues):
    """The value that each metric was logged with last, and what was set here, which counts in its place and is kept as
    `Run.log_other` keeps it."""

    __slots__ = ("_last",)

    def __init__(self, log: Callable[[Mapping[str, Any]], None], last: Callable[[], Mapping[str, float]]) -> None:
        """`last` returns the last value of each metric."""
        super().__init__(log)
        object.__setattr__(self, "_last", last)

    def _found(self) -> Mapping[str, Any]:
        metrics = {name: value for name, value in self._last().items() if not name.startswith(SYSTEM_METRICS)}
        return {**metrics, **self._values}
