"""What runs printed, by line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runstream_query.repositories.reader import Reader
from runstream_query.repositories.statements import printed as statements
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.printed import Pattern, Printed, Span
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class PrintedWriter:
    """What a writer printed. `writer`: the first 64 bits of its id. `is_open`: its last line has no end yet."""

    writer: int
    pieces: int
    newlines: int
    first_seq: int
    last_seq: int
    began_at: datetime
    last_at: datetime
    is_open: bool = False

    @property
    def lines(self) -> int:
        """Return how many lines it has."""
        return self.newlines + self.is_open


@dataclass(frozen=True, slots=True)
class Block:
    """Pieces of a writer whose sequence numbers are alike: their newlines, and their lines with a pattern."""

    writer: int
    block: int
    newlines: int
    matches: int


@dataclass(frozen=True, slots=True)
class PieceRecord:
    """A piece of text. `before`: how many newlines are before it."""

    seq: int
    at: datetime
    stream: str
    text: str
    before: int


@dataclass(frozen=True, slots=True)
class MatchRecord:
    """A line with a pattern, by its number among those of its writer (from 0). `text` is cut."""

    number: int
    at: datetime
    stream: str
    text: str


class LineRepository:
    """Reads lines of what runs printed. All methods raise what the store raises."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def writers(self, scope: Scope, printed: Printed, writer: int | None = None) -> list[PrintedWriter]:
        """Return the writers that printed something, or one of them, in the order in which they began. Reads no text
        but that of their last pieces."""
        parameters = Parameters()
        condition = statements.where(scope, printed, parameters)
        sql = statements.writers(condition, writer, parameters)
        found = await self._reader.rows(sql, parameters)
        if not found:
            return []
        parameters = Parameters()
        condition = statements.where(scope, printed, parameters)
        ends = [(row["writer"], row["last_seq"]) for row in found]
        rows = await self._reader.rows(statements.open_ends(condition, ends, parameters), parameters)
        unfinished = {row["writer"] for row in rows}
        return [PrintedWriter(**row, is_open=row["writer"] in unfinished) for row in found]

    async def blocks(
        self, scope: Scope, printed: Printed, writers: Sequence[int], width: int, pattern: Pattern | None = None
    ) -> list[Block]:
        """Return the blocks of writers, `width` sequence numbers wide, by writer and block. With a pattern all texts
        are read, without one none."""
        parameters = Parameters()
        condition = statements.where(scope, printed, parameters, writers)
        sql = statements.blocks(condition, width, parameters, pattern)
        return await self._reader.records(lambda row: Block(**row), sql, parameters)

    async def pieces(
        self,
        scope: Scope,
        printed: Printed,
        writer: int,
        span: Span,
        lines: tuple[int, int],
        *,
        limit: int,
        text_bytes: int,
    ) -> list[PieceRecord]:
        """Return the first `limit` pieces of a span in which the lines [first, end) of a writer stand, with about
        `text_bytes` of text at most, and one at least."""
        parameters = Parameters()
        condition = statements.where(scope, printed, parameters, [writer])
        found = await self._reader.rows(statements.located(condition, span, lines, limit, parameters), parameters)
        before = {row["seq"]: row["before"] for row in found}
        if not before:
            return []
        parameters = Parameters()
        condition = statements.where(scope, printed, parameters, [writer])
        sql = statements.texts(condition, list(before), text_bytes, parameters)
        return await self._reader.records(lambda row: PieceRecord(**row, before=before[row["seq"]]), sql, parameters)

    async def matching(
        self, scope: Scope, printed: Printed, writer: int, span: Span, pattern: Pattern, *, limit: int, chars: int
    ) -> list[MatchRecord]:
        """Return the first `limit` lines in a span that have the pattern, each cut to so many characters."""
        parameters = Parameters()
        condition = statements.where(scope, printed, parameters, [writer])
        sql = statements.matching(condition, span, pattern, (limit, chars), parameters)
        found = await self._reader.rows(sql, parameters)
        if not found:
            return []
        parameters = Parameters()
        condition = statements.where(scope, printed, parameters, [writer])
        seqs = list(dict.fromkeys(row["seq"] for row in found))
        sql = statements.newlines_before(condition, span, seqs, parameters)
        before = {row["seq"]: row["before"] for row in await self._reader.rows(sql, parameters)}
        return [_match(row, before[row["seq"]]) for row in found]

    async def at_time(self, scope: Scope, printed: Printed, at_us: int) -> dict[int, int]:
        """Return for each writer that printed then (microseconds since 1970 UTC) or later the number of its first line
        since; by when they began."""
        parameters = Parameters()
        condition = statements.where(scope, printed, parameters)
        rows = await self._reader.rows(statements.time_lines(condition, at_us, parameters), parameters)
        return {row["writer"]: row["number"] for row in rows}


def _match(row: Mapping[str, Any], before: int) -> MatchRecord:
    return MatchRecord(before + row["place"] - 1, row["at"], row["stream"], row["text"])
