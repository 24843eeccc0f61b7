"""JSON of large answers, made in pieces, so that no call holds the interpreter for long."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import to_json

#: Values that one call encodes: 4,096 numbers are 0.1 ms, and as many rows are encoded one by one.
_VALUES: Final = 4096
_MODELS: Final = 16
#: What is encoded as it is.
_SCALARS: Final = frozenset((str, int, float, bool, type(None), datetime))
#: Pieces are joined up to this; a longer text is a piece of its own.
_PIECE_BYTES: Final = 65_536


def json_pieces(answer: BaseModel, *, by_alias: bool = False) -> Iterator[bytes]:
    """The same bytes as `answer.model_dump_json(by_alias=...)`, with NaN and the infinities as strings, in pieces of
    about 64 kB."""
    held: list[bytes] = []
    size = 0
    for piece in _model(answer, by_alias):
        held.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def _model(model: BaseModel, by_alias: bool) -> Iterator[bytes]:
    values = model.__dict__
    if not any(_is_large(value) for value in values.values()):
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
    if isinstance(value, BaseModel):
        yield from _model(value, by_alias)
    elif isinstance(value, str) or not _is_large(value):
        yield to_json(value, by_alias=by_alias, inf_nan_mode="strings")
    elif isinstance(value, Mapping):
        yield from _members([(str(name), member) for name, member in value.items()], by_alias)
    else:
        yield from _list(value, by_alias)


def _list(values: Sequence[Any], by_alias: bool) -> Iterator[bytes]:
    separator = b"["
    begin = 0
    while begin < len(values):
        if type(values[begin]) in _SCALARS:
            some: Sequence[Any] = values[begin : begin + _VALUES]
        else:
            some = values[begin : begin + _MODELS]
            if any(_is_large(value) for value in some):
                some = some[:1]
        begin += len(some)
        yield separator
        if len(some) == 1:
            yield from _value(some[0], by_alias)
        else:
            yield to_json(list(some), by_alias=by_alias, inf_nan_mode="strings")[1:-1]
        separator = b","
    yield b"]"


def _is_large(value: Any) -> bool:
    """Whether it is to be encoded member by member."""
    kind = type(value)
    if kind in _SCALARS:
        return kind is str and len(value) > _PIECE_BYTES
    if isinstance(value, BaseModel):
        return any(_is_large(member) for member in value.__dict__.values())
    if isinstance(value, Mapping):
        return len(value) > _VALUES or any(_is_large(member) for member in value.values())
    if isinstance(value, list | tuple):
        if not value or type(value[0]) in _SCALARS:
            return len(value) > _VALUES
        return len(value) > _MODELS or any(_is_large(member) for member in value)
    return False
