"""Parameters of queries: checked before clickhouse-connect sees them, because it is too obliging.

A statement without a `{name:Type}` makes it paste values into the text instead; a naive datetime is taken for local
time; a number that is too large for its type wraps round in the engine. None of this may happen to us.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from runstream_service.store import StoreInvalid

_PLACEHOLDER: Final = re.compile(r"\{([a-z_][a-z0-9_]*)\s*:\s*([^}]+?)\s*\}")
_INTEGER: Final = re.compile(r"(U?)Int(8|16|32|64)\b")


def checked_parameters(sql: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """`parameters`, each of which stands in `sql` as `{name:Type}`, and the other way round. Raises StoreInvalid."""
    types = dict(_PLACEHOLDER.findall(sql))
    if types.keys() != parameters.keys():
        missing, unused = sorted(types.keys() - parameters.keys()), sorted(parameters.keys() - types.keys())
        raise StoreInvalid(f"parameters do not match the statement: missing {missing}, without a place {unused}")
    for name, kind in types.items():
        for value in _values(parameters[name]):
            _check(name, kind, value)
    return parameters


def _values(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _check(name: str, kind: str, value: Any) -> None:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise StoreInvalid(f"parameter {name} is {value!r} without a time zone: give one with datetime.UTC")
    if isinstance(value, bytes | bytearray | memoryview):
        raise StoreInvalid(f"parameter {name} is {type(value).__name__}: give a string")
    if (integer := _INTEGER.search(kind)) and isinstance(value, int):
        bits = int(integer[2])
        lowest, highest = (0, 2**bits - 1) if integer[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if not lowest <= value <= highest:
            raise StoreInvalid(f"parameter {name} is {value}: {integer[0]} holds {lowest} to {highest}")
