"""ClickHouse's Native format, the writing half: column after column, each as its name, its type and its bytes.

Everything here is pure and works on whole columns, and numpy arrays are in the block as they are. What a column's data
may be:

    Int8..64, UInt8..64, Float32/64    a numpy array or a sequence of numbers
    Bool                               an array or a sequence of bools
    DateTime, DateTime64(...)          whole ticks since 1970 UTC (for DateTime64(6): microseconds)
    String                             a sequence of str or bytes, or `Constant`
    LowCardinality(String)             `Coded`, `Constant`, or a sequence of str
    Nullable(T)                        a sequence with None where nothing is, or `Gaps`
    Array(T)                           `Lists`, or a sequence of sequences
    Map(K, V)                          a sequence of mappings

The layout is ClickHouse's (src/Formats/NativeWriter.cpp and the types' bulk serialisations): varuint columns, varuint
rows; then for each column its name and type as length-prefixed text, and, if there are rows, its data.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeAlias

import numpy as np

from runstream_model.columns import Array, Coded, ColumnData, Constant, Gaps, Lists
from runstream_service.store import Block

Buffers: TypeAlias = list[bytes | memoryview]


class InvalidColumn(ValueError):
    """Data that do not fit their column; the message names column, type and what was found."""


Column: TypeAlias = tuple[str, str, ColumnData]

_FIXED: Final[dict[str, np.dtype[Any]]] = {
    **{
        f"{kind}{bits}": np.dtype(f"<{kind[0].lower()}{bits // 8}")
        for kind in ("Int", "UInt")
        for bits in (8, 16, 32, 64)
    },
    "Float32": np.dtype("<f4"),
    "Float64": np.dtype("<f8"),
    "Bool": np.dtype("u1"),
    "DateTime": np.dtype("<u4"),
    "Date": np.dtype("<u2"),
}
_DATETIME64: Final = np.dtype("<i8")

#: A LowCardinality column begins with its version: 1, keys of its own with every part of the column.
_LOW_CARDINALITY_VERSION: Final = (1).to_bytes(8, "little")
#: Then come flags: the index width's number (0..3 for 1, 2, 4, 8 bytes) and bit 9, "additional keys follow".
_HAS_ADDITIONAL_KEYS: Final = 1 << 9
_INDEX_WIDTHS: Final = tuple(np.dtype(f"<u{size}") for size in (1, 2, 4, 8))


def block(columns: Sequence[Column]) -> Block:
    """One Native block of (name, ClickHouse type, data) columns, which must have the same number of rows, and must not
    change while the block is in use.

    Raises InvalidColumn.
    """
    rows = {name: row_count(data) for name, _, data in columns}
    if len(set(rows.values())) > 1:
        raise InvalidColumn(f"columns of one block differ in rows: {rows}: give every column the same number")
    count = next(iter(rows.values()), 0)
    buffers: Buffers = [_varuint(len(columns)), _varuint(count)]
    for name, kind, data in columns:
        buffers += (_text(name.encode()), _text(kind.encode()))
        if count:
            try:
                _write_prefix(kind, buffers)
                _write(kind, data, buffers)
            except (TypeError, ValueError, OverflowError, AttributeError) as error:
                raise InvalidColumn(f"column {name} of type {kind} cannot hold its data: {error}") from error
    return Block(count, tuple(buffers))


def row_count(data: ColumnData) -> int:
    """How many rows a column's data make."""
    match data:
        case Constant():
            return data.rows
        case Coded():
            return len(data.codes)
        case Lists():
            return len(data.lengths)
        case Gaps():
            return len(data.values)
        case _:
            return len(data)


def _inner(kind: str, outer: str) -> str | None:
    return kind[len(outer) + 1 : -1] if kind.startswith(f"{outer}(") and kind.endswith(")") else None


def _write_prefix(kind: str, buffers: Buffers) -> None:
    """What stands once before a column's data: the version of each LowCardinality in it, outside in."""
    if kind.startswith("LowCardinality("):
        buffers.append(_LOW_CARDINALITY_VERSION)
    elif (inner := _inner(kind, "Array") or _inner(kind, "Nullable")) is not None:
        _write_prefix(inner, buffers)
    elif (inner := _inner(kind, "Map")) is not None:
        for part in _key_and_value(inner):
            _write_prefix(part, buffers)


def _write(kind: str, data: ColumnData, buffers: Buffers) -> None:
    if (dtype := _fixed_dtype(kind)) is not None:
        if isinstance(data, Constant | Coded | Lists | Gaps):
            raise TypeError(f"{type(data).__name__} is not for numbers")
        buffers.append(_numbers(data, dtype))
    elif kind == "String":
        _write_strings(data, buffers)
    elif kind == "LowCardinality(String)":
        _write_low_cardinality(data, buffers)
    elif (inner := _inner(kind, "Nullable")) is not None:
        _write_nullable(inner, data, buffers)
    elif (inner := _inner(kind, "Array")) is not None:
        _write_lists(inner, data, buffers)
    elif (inner := _inner(kind, "Map")) is not None:
        _write_maps(inner, data, buffers)
    else:
        raise TypeError("the type is not one that this module writes")


def _fixed_dtype(kind: str) -> np.dtype[Any] | None:
    if kind.startswith("DateTime64("):
        return _DATETIME64
    if kind.startswith("DateTime("):
        return _FIXED["DateTime"]
    return _FIXED.get(kind)


def _numbers(data: Array | Sequence[Any], dtype: np.dtype[Any]) -> bytes | memoryview:
    """The numbers as they lie in memory. A conversion that would change a whole number raises."""
    if not isinstance(data, np.ndarray):
        if dtype.kind in "iu" and any(isinstance(value, float) for value in data):
            raise TypeError(f"floats are not {dtype}")
        return _raw(np.array(data, dtype))
    if data.dtype == dtype:
        return _raw(data)
    if data.dtype.kind not in "biuf" or (data.dtype.kind == "f" and dtype.kind != "f"):
        raise TypeError(f"the data are {data.dtype}, not {dtype}")
    converted = data.astype(dtype)
    if dtype.kind in "iu" and not (converted == data).all():
        raise OverflowError(f"{data[converted != data][0]} does not fit {dtype}")
    return _raw(converted)


def _raw(array: Array) -> bytes | memoryview:
    if array.ndim != 1:
        raise ValueError(f"the data have {array.ndim} dimensions, not 1")
    # An empty memoryview cannot be cast.
    return np.ascontiguousarray(array).data.cast("B") if len(array) else b""


def _write_strings(data: ColumnData, buffers: Buffers) -> None:
    match data:
        case Constant():
            buffers.append(_text(data.value.encode()) * data.rows)
        case Coded():
            texts = _texts(data.dictionary)
            buffers += [texts[code] for code in data.codes.tolist()]
        case Lists():
            raise TypeError("lists need a type Array(...)")
        case Gaps():
            raise TypeError("gaps in numbers need a type Nullable(...)")
        case _:
            buffers += _texts(data)


def _texts(values: Iterable[str | bytes]) -> list[bytes]:
    encoded = [value if isinstance(value, bytes) else value.encode() for value in values]
    # Most texts are shorter than 128 bytes, whose length is one byte: a table lookup instead of a call.
    return [_SHORT[len(value)] + value if len(value) < 128 else _varuint(len(value)) + value for value in encoded]


def _write_low_cardinality(data: ColumnData, buffers: Buffers) -> None:
    match data:
        case Constant():
            dictionary: Sequence[str] = [data.value]
            codes: Array = np.zeros(data.rows, np.uint8)
        case Coded():
            dictionary, codes = data.dictionary, data.codes
            if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < len(dictionary):
                raise ValueError(f"codes run from {codes.min()} to {codes.max()}, the dictionary has {len(dictionary)}")
        case Lists():
            raise TypeError("lists need a type Array(...)")
        case Gaps():
            raise TypeError("gaps in numbers need a type Nullable(...)")
        case _:
            numbers: dict[Any, int] = {}
            codes = np.fromiter((numbers.setdefault(text, len(numbers)) for text in data), np.uint64, len(data))
            dictionary = list(numbers)
    if len(codes) == 0:
        return
    width = next(i for i, dtype in enumerate(_INDEX_WIDTHS) if len(dictionary) <= 256**dtype.itemsize)
    buffers.append((width | _HAS_ADDITIONAL_KEYS).to_bytes(8, "little"))
    buffers.append(len(dictionary).to_bytes(8, "little"))
    buffers += _texts(dictionary)
    buffers.append(len(codes).to_bytes(8, "little"))
    buffers.append(_raw(np.ascontiguousarray(codes, _INDEX_WIDTHS[width])))


def _write_nullable(inner: str, data: ColumnData, buffers: Buffers) -> None:
    if isinstance(data, Constant | Coded | Lists):
        raise TypeError(f"{type(data).__name__} is not for Nullable")
    if isinstance(data, Gaps):
        if data.absent.shape != data.values.shape or data.absent.dtype != np.bool_:
            raise ValueError(f"{len(data.values)} values need as many bools, not {data.absent!r}")
        buffers.append(_raw(data.absent))
        # Under a gap always the same number: it compresses, and equal columns are equal bytes.
        _write(inner, np.where(data.absent, data.values.dtype.type(0), data.values), buffers)
        return
    if isinstance(data, np.ndarray):
        buffers.append(bytes(len(data)))
        _write(inner, data, buffers)
        return
    blank: Any = "" if inner == "String" else 0
    buffers.append(bytes(value is None for value in data))
    _write(inner, [blank if value is None else value for value in data], buffers)


def _write_lists(inner: str, data: ColumnData, buffers: Buffers) -> None:
    if isinstance(data, Constant | Coded | Gaps):
        raise TypeError(f"{type(data).__name__} is not for Array")
    if not isinstance(data, Lists):
        lengths = np.fromiter(map(len, data), np.int64, len(data))
        data = Lists(list(chain.from_iterable(data)), lengths)
    ends = np.cumsum(data.lengths, dtype=np.uint64)
    flat = int(ends[-1]) if len(ends) else 0
    if flat != row_count(data.flat):
        raise ValueError(f"the lengths sum to {flat}, the flat column has {row_count(data.flat)} rows")
    buffers.append(_raw(ends))
    _write(inner, data.flat, buffers)


def _key_and_value(inner: str) -> tuple[str, str]:
    """The two types in `Map(K, V)`, given "K, V". A key's type has no comma in it."""
    key, _, value = inner.partition(", ")
    return key, value


def _write_maps(inner: str, data: ColumnData, buffers: Buffers) -> None:
    """A map is a list of pairs, whose keys and values lie in a column each."""
    if isinstance(data, np.ndarray | Constant | Coded | Lists | Gaps) or not all(
        isinstance(row, Mapping) for row in data
    ):
        raise TypeError("a Map needs a sequence of mappings")
    buffers.append(_raw(np.cumsum([len(row) for row in data], dtype=np.uint64)))
    key, value = _key_and_value(inner)
    _write(key, list(chain.from_iterable(data)), buffers)
    _write(value, list(chain.from_iterable(row.values() for row in data)), buffers)


def _varuint(number: int) -> bytes:
    """LEB128, least significant seven bits first."""
    digits = bytearray()
    while number >= 128:
        digits.append(number & 127 | 128)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _text(encoded: bytes) -> bytes:
    return _varuint(len(encoded)) + encoded


_SHORT: Final = [bytes([size]) for size in range(128)]
