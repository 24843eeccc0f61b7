"""What the compiler asks of whoever makes the statement: a place for each value."""

from collections.abc import Sequence
from typing import Protocol


class Bound(Protocol):
    """Takes the values of a statement and gives the text that stands for each."""

    def text(self, value: str) -> str: ...

    def texts(self, values: Sequence[str]) -> str: ...

    def number(self, value: float) -> str: ...

    def integer(self, value: int) -> str: ...
