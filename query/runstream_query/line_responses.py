"""Responses that show lines of what a run printed."""

from datetime import datetime

from runstream_query.responses import ResponseModel


class OutputLine(ResponseModel):
    """A line, by its number from 1. at, stream: of the piece in which it begins. cut: its text is longer."""

    number: int
    at: datetime
    writer: str
    stream: str
    text: str
    cut: bool


class OutputLines(ResponseModel):
    """Lines in their order. total: how many there are now; next_line: the number of the line behind these, where
    reading goes on, now or once it is printed."""

    lines: list[OutputLine]
    total: int
    next_line: int


class OutputWriter(ResponseModel):
    """What a writer printed: lines [first_line, first_line + lines). is_open: its last line has no end yet."""

    writer: str
    first_line: int
    lines: int
    is_open: bool
    began_at: datetime
    last_at: datetime


class OutputWriters(ResponseModel):
    """In the order in which they began, which is that of their lines."""

    writers: list[OutputWriter]
    total: int


class OutputMatch(ResponseModel):
    """A line that has the pattern, by its number from 1. Its text is cut."""

    number: int
    at: datetime
    writer: str
    stream: str
    text: str


class OutputMatches(ResponseModel):
    """Lines that have the pattern. count: of all lines; total: how many lines were looked at; next_line: where to go
    on, null if there are no more."""

    matches: list[OutputMatch]
    count: int
    total: int
    next_line: int | None
