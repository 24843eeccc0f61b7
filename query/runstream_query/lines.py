"""Lines of pieces of text. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from runstream_query.repositories.lines import Block, PieceRecord, PrintedWriter
from runstream_query.repositories.statements.printed import Span

#: Of a line; what is longer is cut.
MAX_LINE_CHARS: Final = 10_000
#: How many blocks the pieces of a run are counted in, about; and of how many sequence numbers one is at least.
_BLOCKS: Final = 4_000
_MIN_WIDTH: Final = 4_096


@dataclass(frozen=True, slots=True)
class Line:
    """A line, by its number among those of its writer (from 0); `at` and `stream` are those of its beginning."""

    number: int
    at: datetime
    stream: str
    text: str
    cut: bool = False


def lines_of(pieces: Sequence[PieceRecord], first: int, end: int, *, ends_open: bool) -> list[Line]:
    """Return the lines [first, end) of a writer that are whole in pieces which follow each other. `ends_open`: a line
    without an end counts too, because nothing is behind it. Where not even one is whole, its beginning is returned."""
    found: list[Line] = []
    begun: PieceRecord | None = None
    parts: list[str] = []
    number = pieces[0].before if pieces else 0
    for piece in pieces:
        for place, text in enumerate(piece.text.split("\n")):
            if place:
                if first <= number < end:
                    found.append(_line(number, begun or piece, parts))
                number, begun, parts = number + 1, None, []
            if text:
                begun = begun or piece
                parts.append(text)
    if begun is not None and first <= number < end and (ends_open or not found):
        found.append(_line(number, begun, parts, is_cut=not ends_open))
    return found


def _line(number: int, begun: PieceRecord, parts: Iterable[str], *, is_cut: bool = False) -> Line:
    text = "".join(parts)
    return Line(number, begun.at, begun.stream, text[:MAX_LINE_CHARS], is_cut or len(text) > MAX_LINE_CHARS)


def width_for(writers: Sequence[PrintedWriter]) -> int:
    """Return how many sequence numbers a block of these writers has."""
    largest = max((writer.last_seq - writer.first_seq + 1 for writer in writers), default=1)
    return max(_MIN_WIDTH, largest * len(writers) // _BLOCKS + 1)


def span_of(writer: PrintedWriter, blocks: Sequence[Block], width: int, first: int, end: int) -> Span:
    """Return the pieces in which the lines [first, end) of a writer stand, by its blocks."""
    begins, before, stops = writer.first_seq, 0, writer.last_seq + 1
    counted = 0
    for block in blocks:
        if counted >= end:
            stops = block.block * width
            break
        if counted < first:
            begins, before = max(writer.first_seq, block.block * width), counted
        counted += block.newlines
    return Span(begins, stops, before)


def matches_span(
    writer: PrintedWriter, blocks: Sequence[Block], width: int, first: int, limit: int
) -> tuple[Span, int] | None:
    """Return the pieces that have the first `limit` matching lines of a writer from line `first` on, by its blocks, and
    how many such lines may stand in them before line `first`; None if there are none."""
    begins: Block | None = None
    before, counted, found, extra = 0, 0, 0, 0
    for block in blocks:
        if block.matches and counted + block.newlines >= first:
            if begins is None:
                begins, before = block, counted
            if counted < first:
                extra = block.matches
            else:
                found += block.matches
            if found >= limit:
                return Span(begins.block * width, (block.block + 1) * width, before), extra
        counted += block.newlines
    return None if begins is None else (Span(begins.block * width, writer.last_seq + 1, before), extra)


def of_writer(blocks: Iterable[Block], writer: int) -> Iterator[Block]:
    """Return the blocks of a writer."""
    return (block for block in blocks if block.writer == writer)
