"""What a run printed, by line: for a console that shows a part of it, follows it, and searches it.

The lines of a run are those of its writers one behind the other, in the order in which these began, numbered from 1. So
of one writer, and of a run whose processes follow each other, a line keeps its number for ever.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from pydantic import Field as ModelField

from runstream_query.errors import InvalidRequest
from runstream_query.filters.checks import pattern_fault
from runstream_query.filters.times import instant_us
from runstream_query.http.context import Context
from runstream_query.http.requests import RequestParameters
from runstream_query.line_responses import (
    OutputLine,
    OutputLines,
    OutputMatch,
    OutputMatches,
    OutputWriter,
    OutputWriters,
)
from runstream_query.lines import Line, lines_of, matches_span, of_writer, span_of, width_for
from runstream_query.repositories.lines import PrintedWriter
from runstream_query.repositories.statements.printed import Pattern, Printed, Span
from runstream_service.access import Action
from runstream_service.routing import Call, Route
from runstream_service.store import QueryClass

_WRITER: Final = re.compile(r"[0-9a-f]{16}\Z")
_MAX_LINES: Final = 5_000
_MAX_MATCHES: Final = 1_000
#: Of a line that was found.
_MATCH_CHARS: Final = 1_000
#: Of one response; and pieces of one statement, which have 32,000 characters at most.
_TEXT_BYTES: Final = 4_000_000
_PIECES: Final = 2_000
#: Writers with fewer pieces have no blocks: their numbers are read at once.
_FEW_PIECES: Final = 20_000
#: Writers of one response.
_MOST_WRITERS: Final = 20


class PrintedParameters(RequestParameters):
    writer: str | None = ModelField(default=None, description="only this one, as pieces and lines show it")
    stream: Literal["stdout", "stderr"] | None = ModelField(default=None, description="only its lines are numbered")


class LinesParameters(PrintedParameters):
    from_line: int | None = ModelField(
        default=None, ge=-(2**62), lt=2**62, description="from 1; -100: the last hundred lines"
    )
    time_from: str | None = ModelField(default=None, max_length=100, description="an ISO time, instead of from_line")
    limit: int = ModelField(default=500, ge=1, le=_MAX_LINES, description="lines of a response at most")


class SearchParameters(PrintedParameters):
    search: str = ModelField(min_length=1, max_length=1_000, description="what a line has to have")
    regex: bool = ModelField(default=False, description="search is a regular expression (RE2)")
    ignore_case: bool = False
    from_line: int = ModelField(default=1, ge=1, lt=2**62, description="where to begin")
    limit: int = ModelField(default=100, ge=1, le=_MAX_MATCHES, description="lines of a response at most")


async def list_writers(context: Context, call: Call[PrintedParameters]) -> OutputWriters:
    """Who printed how many lines."""
    _, writers = await _printed(context, call)
    shown, first = [], 1
    for one in writers:
        shown.append(
            OutputWriter(
                writer=_name(one),
                first_line=first,
                lines=one.lines,
                is_open=one.is_open,
                began_at=one.began_at,
                last_at=one.last_at,
            )
        )
        first += one.lines
    return OutputWriters(writers=shown, total=first - 1)


async def list_lines(context: Context, call: Call[LinesParameters]) -> OutputLines:
    """Lines by number or by time, or the newest."""
    parameters = call.parameters
    printed, writers = await _printed(context, call)
    total = sum(one.lines for one in writers)
    at = await _beginning(context, parameters, printed, writers, total)
    shown: list[OutputLine] = []
    offset, looked_at = 0, 0
    for one in writers:
        first, end = at - offset, min(one.lines, at - offset + parameters.limit - len(shown))
        if 0 <= first < end:
            found = await _lines(context, printed, one, first, end)
            shown += [_line(line, one, offset) for line in found]
            at += len(found)
            looked_at += 1
            if len(found) < end - first or len(shown) == parameters.limit or looked_at == _MOST_WRITERS:
                break
        offset += one.lines
    return OutputLines(lines=shown, total=total, next_line=at + 1)


async def search(context: Context, call: Call[SearchParameters]) -> OutputMatches:
    """Lines that have a text or match a pattern, and how many there are."""
    parameters, pattern = call.parameters, _pattern(call.parameters)
    printed, writers = await _printed(context, call)
    lines, width = context.repositories.lines, width_for(writers)
    numbers = [one.writer for one in writers]
    blocks = await lines.blocks(context.scope, printed, numbers, width, pattern) if writers else []
    shown: list[OutputMatch] = []
    offset, looked_at, more = 0, 0, None
    for one in writers:
        left, first = parameters.limit + 1 - len(shown), max(0, parameters.from_line - 1 - offset)
        place = matches_span(one, list(of_writer(blocks, one.writer)), width, first, left)
        if place is not None and left > 0:
            if looked_at == _MOST_WRITERS:
                more = offset + first + 1
                break
            span, extra = place
            found = await lines.matching(
                context.scope, printed, one.writer, span, pattern, limit=left + extra, chars=_MATCH_CHARS
            )
            shown += [
                OutputMatch(
                    number=offset + match.number + 1,
                    at=match.at,
                    writer=_name(one),
                    stream=match.stream,
                    text=match.text,
                )
                for match in found
                if match.number >= first
            ]
            looked_at += 1
        offset += one.lines
    if len(shown) > parameters.limit:
        more = shown[parameters.limit].number
    return OutputMatches(
        matches=shown[: parameters.limit],
        count=sum(block.matches for block in blocks),
        total=sum(one.lines for one in writers),
        next_line=more,
    )


async def _printed(context: Context, call: Call[Any]) -> tuple[Printed, list[PrintedWriter]]:
    """Which text, and who printed it. Raises NotFound, InvalidRequest."""
    run, given = call.path["run"], call.parameters.writer
    if given is not None and not _WRITER.match(given):
        raise InvalidRequest(
            f"writer {given[:60]!r} is none: give 16 hexadecimal digits, as lines show it", name="writer"
        )
    printed = Printed(run, call.parameters.stream)
    writer = None if given is None else int(given, 16)
    writers = await context.repositories.lines.writers(context.scope, printed, writer)
    if not writers:
        await context.require_run(run)
    return printed, writers


async def _beginning(
    context: Context,
    parameters: LinesParameters,
    printed: Printed,
    writers: Sequence[PrintedWriter],
    total: int,
) -> int:
    """Return the number (from 0) of the first line that is requested."""
    if parameters.time_from is None:
        given = 1 if parameters.from_line is None else parameters.from_line
        return max(0, total + given) if given < 0 else max(0, given - 1)
    if parameters.from_line is not None:
        raise InvalidRequest("from_line and time_from are both given: give one of them", name="time_from")
    try:
        at_us = instant_us(parameters.time_from)
    except ValueError as error:
        raise InvalidRequest(f"time_from: {error}", name="time_from") from None
    since = await context.repositories.lines.at_time(context.scope, printed, at_us)
    offset = 0
    for one in writers:
        if one.writer in since:
            return offset + min(since[one.writer], one.lines)
        offset += one.lines
    return total


async def _lines(context: Context, printed: Printed, writer: PrintedWriter, first: int, end: int) -> list[Line]:
    lines = context.repositories.lines
    if writer.pieces <= _FEW_PIECES:
        span = Span(writer.first_seq, writer.last_seq + 1)
    else:
        width = width_for([writer])
        blocks = await lines.blocks(context.scope, printed, [writer.writer], width)
        span = span_of(writer, blocks, width, first, end)
    text_bytes = min(_TEXT_BYTES, context.settings.max_text_bytes)
    pieces = await lines.pieces(
        context.scope, printed, writer.writer, span, (first, end), limit=_PIECES, text_bytes=text_bytes
    )
    is_last = bool(pieces) and pieces[-1].seq >= writer.last_seq
    return await context.off_loop(lambda: lines_of(pieces, first, end, ends_open=is_last))


def _pattern(parameters: SearchParameters) -> Pattern:
    if "\n" in parameters.search:
        raise InvalidRequest("search has a newline, and no line has one: search for a part of a line", name="search")
    fault = pattern_fault(parameters.search) if parameters.regex else None
    if fault is None and "\0" in parameters.search:
        fault = "the text contains a NUL character: remove it"
    if fault is not None:
        raise InvalidRequest(f"search: {fault}", name="search")
    return Pattern(parameters.search, parameters.regex, parameters.ignore_case)


def _line(line: Line, writer: PrintedWriter, offset: int) -> OutputLine:
    return OutputLine(
        number=offset + line.number + 1,
        at=line.at,
        writer=_name(writer),
        stream=line.stream,
        text=line.text,
        cut=line.cut,
    )


def _name(writer: PrintedWriter) -> str:
    return f"{writer.writer:016x}"


_OUTPUT: Final = "/api/v1/runs/{run}/output"
ROUTES: Final[Iterable[Route]] = (
    Route(
        "GET",
        f"{_OUTPUT}/writers",
        Action.READ,
        "How many lines each writer of a run printed",
        list_writers,
        PrintedParameters,
        OutputWriters,
        timeless=True,
    ),
    Route(
        "GET",
        f"{_OUTPUT}/lines",
        Action.READ,
        "Lines that a run printed, by number or time",
        list_lines,
        LinesParameters,
        OutputLines,
        timeless=True,
    ),
    Route(
        "GET",
        f"{_OUTPUT}/search",
        Action.READ,
        "Lines that a run printed with a text or pattern",
        search,
        SearchParameters,
        OutputMatches,
        query_class=QueryClass.HEAVY,
        timeless=True,
    ),
)
