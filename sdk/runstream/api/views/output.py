"""Lines of what runs printed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from runstream.api.values import Row, members_of


@dataclass(frozen=True, slots=True)
class OutputLine:
    """A line that a run printed, by its number from 1. `writer`: the first 16 digits of its writer's id; `cut`: the
    text is longer."""

    number: int
    at: datetime
    writer: str
    stream: str
    text: str
    cut: bool = False

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))
