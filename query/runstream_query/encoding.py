"""JSON of large responses, made in pieces, so that no call holds the interpreter for long."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_json

#: Values that one call encodes: 4,096 numbers of a list are 0.1 ms, as many values of rows 1 to 2 ms.
_VALUES: Final = 4096
#: Characters of a text that are as much work as one value.
_VALUE_CHARS: Final = 256
#: What is encoded as it is.
_SCALARS: Final = frozenset((str, int, float, bool, type(None), datetime))
#: Pieces are joined up to this; a longer text is a piece of its own.
_PIECE_BYTES: Final = 65_536


def json_pieces(response: BaseModel, *, by_alias: bool = False) -> Iterator[bytes]:
    """The same bytes as `response.model_dump_json(by_alias=...)`, with NaN and the infinities as strings, in pieces of
    about 64 kB."""
    held: list[bytes] = []
    size = 0
    for piece in _model(response, by_alias):
        held.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _model(model: BaseModel, by_alias: bool) -> Iterator[bytes]:
    values = model.__dict__
    if _weight(model) <= _VALUES:
        yield model.model_dump_json(by_alias=by_alias).encode()
        return
    fields = type(model).model_fields
    names = [(field.serialization_alias or field.alias or name) if by_alias else name for name, field in fields.items()]
    members = list(zip(names, (values[name] for name in fields), strict=True))
    members += list((model.__pydantic_extra__ or {}).items())
    yield from _members(members, by_alias)


def _members(members: list[tuple[str, Any]], by_alias: bool) -> Iterator[bytes]:
    separator = b"{"
    for name, value in members:
        yield separator + to_json(name) + b":"
        yield from _value(value, by_alias)
        separator = b","
    yield b"}" if members else b"{}"


def _value(value: Any, by_alias: bool) -> Iterator[bytes]:
    if isinstance(value, str) or _weight(value) <= _VALUES:
        yield to_json(value, by_alias=by_alias, inf_nan_mode="strings")
    elif isinstance(value, BaseModel):
        yield from _model(value, by_alias)
    elif isinstance(value, Mapping):
        yield from _members([(str(name), member) for name, member in value.items()], by_alias)
    else:
        yield from _list(value, by_alias)


def _list(values: Sequence[Any], by_alias: bool) -> Iterator[bytes]:
    separator = b"["
    begin = 0
    while begin < len(values):
        end = begin + _VALUES if type(values[begin]) in _SCALARS else _end_of_some(values, begin)
        some = values[begin:end]
        begin = end
        yield separator
        if len(some) == 1:
            yield from _value(some[0], by_alias)
        else:
            yield to_json(list(some), by_alias=by_alias, inf_nan_mode="strings")[1:-1]
        separator = b","
    yield b"]"


def _end_of_some(values: Sequence[Any], begin: int) -> int:
    """Behind the last of the values from `begin` on that one call encodes, one at least."""
    weight, end = 0, begin
    while end < len(values):
        weight += _weight(values[end])
        if weight > _VALUES:
            break
        end += 1
    return max(end, begin + 1)


def _weight(value: Any) -> int:
    """How many values it has, about; for what has more than _VALUES only that it has more. A walk through all of it
    takes about as long as encoding it."""
    kind = type(value)
    if kind in _SCALARS:
        return 1 + len(value) // _VALUE_CHARS if kind is str else 1
    if isinstance(value, BaseModel):
        members: Collection[Any] = value.__dict__.values()
    elif isinstance(value, Mapping):
        members = value.values()
    elif isinstance(value, list | tuple):
        members = value
    else:
        return 1
    weight = 1 + len(members)
    if weight > _VALUES:
        return weight
    kinds = set(map(type, members))
    if str in kinds:
        weight += sum([len(member) for member in members if type(member) is str]) // _VALUE_CHARS
    if not kinds <= _SCALARS:
        for member in members:
            if type(member) not in _SCALARS:
                weight += _weight(member)
                if weight > _VALUES:
                    break
    return weight
