"""What a value says by name: the mappings, records and models that people keep their configuration in. Nothing is
imported for it that the program did not import itself."""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from itertools import islice
from types import SimpleNamespace
from typing import Any, Final

_SCALARS: Final = frozenset({str, int, float, bool, bytes, type(None)})
#: Keys of one mapping that are looked at: some are made up while they are read.
_MAX_KEYS: Final = 1_000_000


class Attributes(Mapping[str, Any]):
    """Attributes of an object as a mapping. They are read when they are asked for, so that each fails by itself."""

    def __init__(self, owner: object, names: Iterable[str]) -> None:
        self._owner = owner
        self._names = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Any:
        return getattr(self._owner, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def unwrapped(value: Any) -> Any:
    """Return the value of a member of an Enum, the root of a pydantic RootModel, anything else as it is."""
    if isinstance(value, Enum):
        return value.value
    return value.root if getattr(type(value), "__pydantic_root_model__", False) else value


def named_values(value: object) -> Mapping[Any, Any] | None:
    """Return what `value` says by name, one level deep: a mapping (OmegaConf's too), dataclass, attrs class, msgspec
    Struct, pydantic model, argparse.Namespace or SimpleNamespace. None for anything else, classes among it."""
    value = unwrapped(value)
    if type(value) in _SCALARS or isinstance(value, type):
        return None
    if isinstance(value, Mapping):
        return value
    names = _field_names(value)
    if names is not None:
        return Attributes(value, names)
    if hasattr(type(value), "model_fields"):
        return _of_model(value)
    if isinstance(value, SimpleNamespace) or _is_argparse(value):
        return Attributes(value, vars(value))
    if _looks_like_mapping(value):
        return _Keyed(value)
    return None


def as_mapping(values: object) -> Mapping[Any, Any] | None:
    """Return `named_values`, or else the attributes of an object, or those of a plain class that serves as one. None
    where there are none, and for a class that describes its instances (a dataclass, a model)."""
    found = named_values(values)
    if found is not None:
        return found
    if isinstance(values, type):
        return None if _describes_instances(values) else Attributes(values, _own_names(values))
    try:
        return Attributes(values, _own_names(values))
    except TypeError:
        return None


def items_of(values: Mapping[Any, Any], failed: Callable[[object, Exception], None]) -> Iterator[tuple[Any, Any]]:
    """Yield the items of `values`. `failed` gets the key of each that cannot be read (None: the keys cannot)."""
    if type(values) is dict:
        yield from list(values.items())  # other threads may change it
        return
    keys = islice(iter(values), _MAX_KEYS)
    while True:
        try:
            key = next(keys)
        except StopIteration:
            return
        except Exception as error:
            failed(None, error)
            return
        try:
            value = values[key]
        except Exception as error:
            failed(key, error)
            continue
        yield key, value


class _Keyed(Mapping[Any, Any]):
    """An object with `keys` and `[]` that is not registered as a mapping, such as ml_collections.ConfigDict."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def __getitem__(self, key: Any) -> Any:
        return self._owner[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._owner.keys())

    def __len__(self) -> int:
        return sum(1 for _ in islice(self, _MAX_KEYS))


def _field_names(value: object) -> list[str] | None:
    """The declared fields of a dataclass, an attrs class or a msgspec Struct."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    if (attributes := getattr(kind, "__attrs_attrs__", None)) is not None:
        return [attribute.name for attribute in attributes]
    if isinstance(names := getattr(kind, "__struct_fields__", None), tuple):
        return list(names)
    return None


def _of_model(model: Any) -> Mapping[Any, Any] | None:
    """What a pydantic model dumps, read field by field unless the model has serializers of its own."""
    kind = type(model)
    decorators = getattr(kind, "__pydantic_decorators__", None)
    if decorators is not None and (decorators.field_serializers or decorators.model_serializers):
        with contextlib.suppress(Exception):
            dumped = model.model_dump()
            return dumped if isinstance(dumped, Mapping) else None
    names = [name for name, field in kind.model_fields.items() if not field.exclude]
    extra = getattr(model, "__pydantic_extra__", None) or ()
    return Attributes(model, [*names, *extra, *getattr(kind, "model_computed_fields", ())])


def _is_argparse(value: object) -> bool:
    argparse = sys.modules.get("argparse")
    return argparse is not None and isinstance(value, argparse.Namespace)


def _looks_like_mapping(value: object) -> bool:
    """Tables and arrays have keys as well; those have a shape."""
    kind = type(value)
    return callable(getattr(kind, "keys", None)) and hasattr(kind, "__getitem__") and not hasattr(kind, "shape")


def _describes_instances(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or any(
        hasattr(kind, mark) for mark in ("__attrs_attrs__", "__struct_fields__", "model_fields")
    )


def _own_names(values: object) -> list[str]:
    """Names of attributes, without Python's own; of a class without its methods. Raises TypeError if it has none."""
    names = [name for name in vars(values) if not (name.startswith("__") and name.endswith("__"))]
    return [name for name in names if not isinstance(values, type) or not callable(getattr(values, name, None))]
