"""Statements about what runs printed, by line.

The text of a writer is the texts of its pieces, one behind the other, as a terminal shows them; a line is what stands
between two newlines. How many newlines a piece has is a column, so that a line is found without any text being read:
first the block of pieces in which it is (`blocks`), then its piece (`pieces`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.scoping import narrowed, of_runs
from runstream_service.access import Scope


@dataclass(frozen=True, slots=True)
class Printed:
    """Which text of a run: of one stream, or of both as they followed each other."""

    run: str
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is searched in lines: a text, or an RE2 pattern."""

    text: str
    is_regex: bool = False
    ignores_case: bool = False

    def in_line(self, column: str, parameters: Parameters) -> str:
        """Return the condition that a line has it."""
        if self.is_regex:
            flags = "(?i)" if self.ignores_case else ""
            return f"match({column}, {parameters.text(f'{flags}{self.text}')})"
        function = "position"
        if self.ignores_case:
            # Among the letters of ASCII case is one bit, and looked at several times as quickly.
            function = "positionCaseInsensitive" if self.text.isascii() else "positionCaseInsensitiveUTF8"
        return f"{function}({column}, {parameters.text(self.text)}) > 0"

    def in_text(self, column: str, parameters: Parameters) -> str:
        """Return a condition that a text has if a line of it has the pattern."""
        if not self.is_regex:
            return self.in_line(column, parameters)
        if "\\" in self.text or "(?" in self.text:
            return "1"  # an anchor, or flags, may mean something else in several lines
        flags = "(?im)" if self.ignores_case else "(?m)"
        return f"match({column}, {parameters.text(f'{flags}{self.text}')})"


@dataclass(frozen=True, slots=True)
class Span:
    """Pieces of a writer: sequence numbers [first_seq, end_seq), in front of which there are `before` newlines."""

    first_seq: int
    end_seq: int
    before: int = 0


#: The lines of a piece: what is behind its last newline is none if there is nothing.
_LINES: Final = "splitByChar('\\n', if(endsWith(text, '\\n'), substring(text, 1, length(text) - 1), text))"


def where(scope: Scope, printed: Printed, parameters: Parameters, writers: Sequence[int] | None = None) -> str:
    """Return the condition on pieces; of `writers` alone if they are given."""
    conditions = [f"run = {parameters.text(printed.run)}"]
    if writers is not None:
        conditions.append(f"writer IN {parameters.bind(list(writers), 'Array(UInt64)')}")
    if printed.stream is not None:
        conditions.append(f"stream = {parameters.text(printed.stream)}")
    return " AND ".join(conditions) + narrowed(of_runs(scope, parameters))


def writers(condition: str, writer: int | None, parameters: Parameters) -> str:
    """The writers in the order in which they began, with how much each printed."""
    only = "" if writer is None else f" AND writer = {parameters.bind(writer, 'UInt64')}"
    return (
        "SELECT writer, count() AS pieces, sum(newlines) AS newlines, min(seq) AS first_seq, max(seq) AS last_seq, "
        f"min(at) AS began_at, max(at) AS last_at FROM output WHERE {condition}{only} "
        "GROUP BY writer ORDER BY began_at, writer"
    )


def open_ends(condition: str, ends: Sequence[tuple[int, int]], parameters: Parameters) -> str:
    """The writers whose last piece (`ends`: writer and sequence number) ends within a line."""
    writers, seqs = ([pair[place] for pair in ends] for place in (0, 1))
    bound = [parameters.bind(values, "Array(UInt64)") for values in (writers, seqs)]
    return (
        f"SELECT writer FROM output WHERE {condition} AND writer IN {bound[0]} AND seq IN {bound[1]} "
        f"AND has(arrayZip({bound[0]}, {bound[1]}), (writer, seq)) AND notEmpty(text) AND NOT endsWith(text, '\\n')"
    )


def blocks(condition: str, width: int, parameters: Parameters, pattern: Pattern | None = None) -> str:
    """How many newlines are in each block of a writer's sequence numbers, `width` wide, and how many lines that have
    the pattern."""
    matches = "toUInt64(0)"
    if pattern is not None:
        found = f"arrayCount(line -> {pattern.in_line('line', parameters)}, {_LINES})"
        matches = f"sumIf({found}, {pattern.in_text('text', parameters)})"
    return (
        f"SELECT writer, intDiv(seq, {parameters.bind(width, 'UInt64')}) AS block, sum(newlines) AS newlines, "
        f"{matches} AS matches FROM output WHERE {condition} GROUP BY writer, block ORDER BY writer, block"
    )


def located(condition: str, span: Span, lines: tuple[int, int], most: int, parameters: Parameters) -> str:
    """The first `most` pieces in which the `lines` [first, end) stand, each with how many newlines are before it."""
    first, end = (parameters.bind(number, "UInt64") for number in lines)
    return (
        f"SELECT seq, before FROM ({_counted(condition, span, parameters)}) "
        f"WHERE before + newlines >= {first} AND before < {end} "
        f"ORDER BY seq LIMIT {parameters.bind(most, 'UInt64')}"
    )


def newlines_before(condition: str, span: Span, seqs: Sequence[int], parameters: Parameters) -> str:
    """How many newlines are before each of these pieces."""
    return (
        f"SELECT seq, before FROM ({_counted(condition, span, parameters)}) "
        f"WHERE seq IN {parameters.bind(list(seqs), 'Array(UInt64)')}"
    )


def texts(condition: str, seqs: Sequence[int], text_bytes: int, parameters: Parameters) -> str:
    """The first of these pieces, with about so many bytes of text at most, and one at least."""
    size = "sum(length(text)) OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - length(text)"
    first, last = (parameters.bind(seq, "UInt64") for seq in (min(seqs), max(seqs)))
    return (
        f"SELECT seq, at, stream, text FROM (SELECT seq, at, stream, text, {size} AS bytes_before FROM output "
        f"WHERE {condition} AND seq >= {first} AND seq <= {last} AND seq IN "
        f"{parameters.bind(list(seqs), 'Array(UInt64)')}) "
        f"WHERE bytes_before < {parameters.bind(text_bytes, 'UInt64')} ORDER BY seq"
    )


def matching(condition: str, span: Span, pattern: Pattern, limits: tuple[int, int], parameters: Parameters) -> str:
    """The first lines in these pieces that have the pattern, each with its place in its piece (from 1). A line that
    came in several pieces is looked at piece by piece. limits: of lines, and of characters of each."""
    first, end = (parameters.bind(seq, "UInt64") for seq in (span.first_seq, span.end_seq))
    most, chars = (parameters.bind(number, "UInt64") for number in limits)
    found = (
        f"SELECT seq, at, stream, {_LINES} AS lines FROM output "
        f"WHERE {condition} AND seq >= {first} AND seq < {end} AND {pattern.in_text('text', parameters)}"
    )
    return (
        f"SELECT seq, at, stream, place, substringUTF8(line, 1, {chars}) AS text FROM ({found}) "
        f"ARRAY JOIN lines AS line, arrayEnumerate(lines) AS place WHERE {pattern.in_line('line', parameters)} "
        f"ORDER BY seq, place LIMIT {most}"
    )


def _counted(condition: str, span: Span, parameters: Parameters) -> str:
    """The pieces of a span, each with how many newlines are before it. Without texts: the window holds all rows."""
    first, end = (parameters.bind(seq, "UInt64") for seq in (span.first_seq, span.end_seq))
    return (
        f"SELECT seq, newlines, {parameters.bind(span.before, 'UInt64')} + sum(newlines) OVER (ORDER BY seq "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - newlines AS before "
        f"FROM output WHERE {condition} AND seq >= {first} AND seq < {end}"
    )


def time_lines(condition: str, at_us: int, parameters: Parameters) -> str:
    """For each writer that printed at that time or later, the number of the first line then; by when it began."""
    moment = f"fromUnixTimestamp64Micro({parameters.integer(at_us)}, 'UTC')"
    return (
        f"SELECT writer, sumIf(newlines, at < {moment}) AS number FROM output WHERE {condition} "
        f"GROUP BY writer HAVING max(at) >= {moment} ORDER BY min(at), writer"
    )
