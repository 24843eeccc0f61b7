"""Text to tokens, each with its column."""

import math
import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from runstream_query.errors import FilterError
from runstream_query.filters.checks import MAX_FILTER_CHARS

Sort: TypeAlias = Literal["path", "text", "number", "duration", "time", "now", "operator", "end"]

_SPACE: Final = re.compile(r"\s*")
_NOW: Final = re.compile(r"now(?:\s*([+-])\s*(\d+(?:\.\d+)?)([a-z]+))?(?![\w./])", re.IGNORECASE)
_TIME: Final = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?(?:Z|[+-]\d{2}:?\d{2})?(?![\w])"
)
_NUMBER: Final = re.compile(
    r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|inf(?:inity)?(?![\w./])|nan(?![\w./]))", re.IGNORECASE
)
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w)(?!\w)")
_BARE: Final = re.compile(r"[\w/\-]+")
_OPERATOR: Final = re.compile(r"==|!=|<=|>=|[=<>(),]")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}

#: Microseconds of each unit of a duration.
UNIT_US: Final = {
    "us": 1,
    "ms": 1000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 7 * 86_400_000_000,
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a dotted path; only a part that is not quoted can be a keyword or an aggregate."""

    text: str
    quoted: bool
    column: int


@dataclass(frozen=True, slots=True)
class Token:
    """`text` is what a text, an operator or a time says; `amount` the number, or the microseconds of a duration
    or of a `now` offset; `path` the parts of a path. Columns count from 1."""

    sort: Sort
    column: int
    text: str = ""
    amount: float = 0.0
    path: tuple[Segment, ...] = ()

    def keyword(self) -> str:
        """The word in lower case, if this is a single word without quotes."""
        return self.path[0].text.lower() if len(self.path) == 1 and not self.path[0].quoted else ""

    def shown(self) -> str:
        """As an error message calls it."""
        if self.sort == "end":
            return "the end"
        if self.sort == "path":
            return repr(".".join(segment.text for segment in self.path))
        return f"the text {self.text!r}" if self.sort == "text" else repr(self.text)


def tokens_of(text: str) -> list[Token]:
    """The tokens, ending with one of sort `end`. Raises FilterError."""
    if len(text) > MAX_FILTER_CHARS:
        raise FilterError(f"the filter has {len(text)} characters: at most {MAX_FILTER_CHARS} are allowed")
    tokens: list[Token] = []
    at = _skip_space(text, 0)
    while at < len(text):
        token, at = _token(text, at)
        tokens.append(token)
        at = _skip_space(text, at)
    tokens.append(Token("end", len(text) + 1))
    return tokens


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _token(text: str, at: int) -> tuple[Token, int]:
    column = at + 1
    character = text[at]
    if character in "\"'":
        value, end = _quoted(text, at)
        return Token("text", column, value), end
    if match := _NOW.match(text, at):
        return _now(text, match, column), match.end()
    if match := _TIME.match(text, at):
        return Token("time", column, match[0]), match.end()
    if match := _DURATION.match(text, at):
        return Token("duration", column, match[0], float(match[1]) * UNIT_US[match[2]]), match.end()
    if match := _NUMBER.match(text, at):
        return _number(text, match, column), match.end()
    if match := _OPERATOR.match(text, at):
        return Token("operator", column, match[0]), match.end()
    if character == "_" or character.isalpha():
        return _path(text, at)
    hints = {"&": "; write `and`", "|": "; write `or`", "!": "; write `not` or `!=`", "*": "; only columns take `*`"}
    raise FilterError(f"{character!r} has no meaning here{hints.get(character, '')}", text=text, column=column)


def _now(text: str, match: re.Match[str], column: int) -> Token:
    if match[1] is None:
        return Token("now", column, "now")
    unit = match[3].lower()
    if unit not in UNIT_US:
        raise FilterError(f"unknown unit {match[3]!r}: use {', '.join(UNIT_US)}", text=text, column=match.start(3) + 1)
    sign = -1 if match[1] == "-" else 1
    return Token("now", column, match[0], sign * float(match[2]) * UNIT_US[unit])


def _number(text: str, match: re.Match[str], column: int) -> Token:
    end = match.end()
    if end < len(text) and (text[end].isalnum() or text[end] in "_."):
        word = re.match(r"[\w.]+", text[match.start() :])
        shown = word[0] if word else match[0]
        raise FilterError(
            f"{shown!r} is neither a number, a duration (90m, 1.5h) nor a time (2026-01-31)", text=text, column=column
        )
    amount = float(match[0])
    if amount in (float("inf"), float("-inf")) and "inf" not in match[0].lower():
        raise FilterError(f"{match[0]} is too large: the largest number is 1.79e308, or inf", text=text, column=column)
    # The one NaN object: equal trees stay equal, because Python compares by identity first.
    return Token("number", column, match[0], math.nan if math.isnan(amount) else amount)


def _path(text: str, at: int) -> tuple[Token, int]:
    column = at + 1
    segments: list[Segment] = []
    while True:
        if at < len(text) and text[at] in "\"'" and segments:
            value, end = _quoted(text, at)
            segments.append(Segment(value, True, at + 1))
        elif match := _BARE.match(text, at):
            end = match.end()
            segments.append(Segment(match[0], False, at + 1))
        else:
            raise FilterError(
                'a name is missing behind "."; names with other characters than letters, digits, _ / - . stand in '
                'quotes: metric."top 1".max',
                text=text,
                column=at + 1,
            )
        if end >= len(text) or text[end] != ".":
            return Token("path", column, text[column - 1 : end], path=tuple(segments)), end
        at = end + 1


def _quoted(text: str, at: int) -> tuple[str, int]:
    """The text whose opening quote is at `at`, and where it ends. An unknown escape keeps its backslash, so that
    patterns read as they are: `matches "\\d+"`."""
    quote, begin = text[at], at
    parts: list[str] = []
    at += 1
    while at < len(text):
        character = text[at]
        if character == quote:
            return "".join(parts), at + 1
        if character == "\\" and at + 1 < len(text):
            following = text[at + 1]
            code = re.compile(r"u([0-9a-fA-F]{4})").match(text, at + 1)
            if code:
                parts.append(chr(int(code[1], 16)))
                at += 6
                continue
            parts.append(_ESCAPES.get(following, "\\" + following))
            at += 2
            continue
        parts.append(character)
        at += 1
    raise FilterError(f"the text that begins here has no closing {quote}", text=text, column=begin + 1)
