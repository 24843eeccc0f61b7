"""The bound parameters of one statement."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any


class Parameters:
    """Collects the values of one statement. `bind` gives the text that stands for a value: `{p3:String}`.

    The same value of the same type is bound once. Not for two statements: the store refuses unused parameters.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._names: dict[tuple[str, str], str] = {}

    @property
    def values(self) -> Mapping[str, Any]:
        return self._values

    def bind(self, value: Any, kind: str) -> str:
        """The placeholder of `value` as ClickHouse's type `kind`."""
        key = (kind, repr(value))
        if key not in self._names:
            name = f"p{len(self._values)}"
            self._names[key] = name
            self._values[name] = value
        return f"{{{self._names[key]}:{kind}}}"

    def text(self, value: str) -> str:
        return self.bind(value, "String")

    def number(self, value: float) -> str:
        """As its bits: the engine's fast reading of decimal digits may be off by the last bit."""
        (bits,) = struct.unpack("<Q", struct.pack("<d", value))
        return f"reinterpretAsFloat64({self.bind(bits, 'UInt64')})"

    def integer(self, value: int) -> str:
        return self.bind(int(value), "Int64")

    def texts(self, values: Sequence[str]) -> str:
        return self.bind(list(values), "Array(String)")

    def run_ids(self, values: Sequence[str]) -> str:
        """Ids of runs that the store gave: no comma is in one, and as one text they are read in half the time."""
        return f"splitByChar(',', {self.text(','.join(values))})"
