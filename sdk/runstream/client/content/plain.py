"""From Python values to what JSON can hold. Pure; nothing here raises for odd values."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from runstream.events.limits import MAX_EVENT_BYTES, MAX_PARAMETER_NAME_CHARS
from runstream.spool.values import shown

_MAX_DEPTH: Final = 30
#: Room for the rest of the event around its values.
MAX_VALUES_BYTES: Final = MAX_EVENT_BYTES - 6_000
_CUT: Final = "... (cut)"


def as_mapping(values: object) -> Mapping[Any, Any] | None:
    """What `values` says by name: a mapping, a dataclass, a pydantic model, an argparse.Namespace. Else None."""
    if isinstance(values, Mapping):
        return values
    if dataclasses.is_dataclass(values) and not isinstance(values, type):
        return {field.name: getattr(values, field.name) for field in dataclasses.fields(values)}
    dump = getattr(values, "model_dump", None)
    if callable(dump):
        found = dump()
        return found if isinstance(found, Mapping) else None
    try:
        return dict(vars(values))
    except TypeError:
        return None


def flat_parameters(values: Mapping[Any, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of nested mappings. An empty mapping is a value."""
    for key, value in list(values.items()):
        name = f"{prefix}{key}"
        inner = as_mapping(value) if isinstance(value, Mapping) or dataclasses.is_dataclass(value) else None
        if inner and depth < _MAX_DEPTH:
            yield from flat_parameters(inner, f"{name}.", depth + 1)
        else:
            yield name[:MAX_PARAMETER_NAME_CHARS], value


def json_value(value: Any, odd: list[str], depth: int = 0) -> Any:
    """`value` as JSON can hold it: NaN and the infinities stay, numbers of numpy and torch become Python's, anything
    else its `str`. The types that became text are added to `odd`."""
    kind = type(value)
    if value is None or kind in (bool, int, float):
        return value
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode()
    if depth < _MAX_DEPTH:
        if isinstance(value, Mapping):
            return {_text(key): json_value(item, odd, depth + 1) for key, item in list(value.items())}
        if isinstance(value, list | tuple):
            return [json_value(item, odd, depth + 1) for item in value]
        if isinstance(value, set | frozenset):
            return sorted((json_value(item, odd, depth + 1) for item in value), key=repr)
        number = _number(value)
        if number is not None:
            return number
    odd.append(kind.__name__)
    return _text(value)


def json_values(values: Mapping[str, Any], tell: Callable[[str, str], None]) -> dict[str, Any]:
    """`values` as JSON can hold them. `tell` gets the name and the type of each that became text."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        odd: list[str] = []
        found[str(name)] = json_value(value, odd)
        if odd:
            tell(str(name), odd[0])
    return found


def pieces(values: Mapping[str, Any], max_bytes: int = MAX_VALUES_BYTES) -> Iterator[dict[str, Any]]:
    """JSON values in pieces that fit into one event each. A value that does not fit alone becomes text that is cut."""
    piece: dict[str, Any] = {}
    size = 0
    for name, value in values.items():
        item_bytes = _size(name, value)
        if item_bytes > max_bytes:
            # A character has at most six bytes in JSON (a control character as an escape).
            value = json.dumps(value, ensure_ascii=False)[: (max_bytes - _size(name, "")) // 6 - len(_CUT)] + _CUT
            item_bytes = _size(name, value)
        if piece and size + item_bytes > max_bytes:
            yield piece
            piece, size = {}, 0
        piece[name] = value
        size += item_bytes
    if piece:
        yield piece


def _size(name: str, value: Any) -> int:
    return len(json.dumps({name: value}, ensure_ascii=False).encode())


def _number(value: Any) -> Any:
    """The Python number (or bool, or text) of a scalar of numpy, torch and the like; None if it is none."""
    if isinstance(value, bool | int | float):
        return int(value) if isinstance(value, int) else float(value)
    if getattr(value, "ndim", None) == 0:
        try:
            item = value.item()
        except Exception:
            return None
        return item if type(item) in (bool, int, float, str) else None
    return None


def _text(value: Any) -> str:
    try:
        return str(value).encode("utf-8", "replace").decode()
    except Exception:
        return shown(value)
