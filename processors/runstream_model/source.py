"""Where an event comes from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """Where in the log an event stands, and who sent it."""

    writer: str
    seq: int
    part: int
    offset: int
