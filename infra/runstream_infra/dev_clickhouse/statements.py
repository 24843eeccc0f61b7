"""What a request to ClickHouse's HTTP interface says: its statement, and where the rows of an insert begin.

Pure functions. A statement comes in `query=`, in the body, or in both, one behind the other; the rows of an insert
follow its `FORMAT NAME`.
"""

import re
from dataclasses import dataclass
from typing import Final

#: INSERT ... FORMAT Native: everything before FORMAT is the target (with SETTINGS, if any), everything behind the
#: white space that follows the name are rows. A quoted name may hold anything but its quote.
_QUOTED: Final = rb"""`[^`]*` | "[^"]*" | '(?:[^'\\]|\\.)*'"""
_INSERT: Final = re.compile(
    rb"""(?: \s | /\*.*?\*/ | --[^\n]*\n )*
    (?P<target>INSERT\s+INTO\s (?: [^`"'();] | %(quoted)s | \( (?: [^`"'()] | %(quoted)s )* \) )*?)
    \sFORMAT\s+(?P<format>\w+) (?: [ \t]*;?[ \t]*\r?\n | \s*\Z | [ \t] )"""
    % {b"quoted": _QUOTED},
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_SETTINGS: Final = re.compile(r"\sSETTINGS\s", re.IGNORECASE)
_WRITES_ROWS_ITSELF: Final = re.compile(r"\s(?:SELECT|WITH|FROM\s+INFILE)\s", re.IGNORECASE)
#: Formats whose rows are part of the statement.
_INLINE: Final = frozenset({"values"})

_NOT_FOUND: Final = frozenset({16, 46, 47, 50, 60, 81, 115})  # unknown column, function, identifier, type, table, ...
_BAD_REQUEST: Final = frozenset(
    {6, 26, 27, 32, 33, 36, 38, 41, 53, 62, 70, 72, 108, 117, 130, 131, 201, 349, 386, 427, 456, 457, 505}
)


class Refused(Exception):
    """The engine, or this server in its name, refuses a request. `code` is ClickHouse's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def status(self) -> int:
        """The HTTP status that a ClickHouse server answers with."""
        if self.code in (192, 193, 194, 516):
            return 401 if self.code == 194 else 403
        if self.code in _BAD_REQUEST:
            return 400
        if self.code in _NOT_FOUND:
            return 404
        return {48: 501, 159: 408, 209: 503}.get(self.code, 500)


@dataclass(frozen=True, slots=True)
class Insert:
    """An insert whose rows came behind the statement."""

    target: str
    format: str
    data: bytes

    def from_file(self, quoted_path: str) -> str:
        """The statement that inserts the rows from a file."""
        # The clause stands before SETTINGS, which belong behind it.
        found = _SETTINGS.search(self.target)
        end = found.start() if found else len(self.target)
        return f"{self.target[:end]} FROM INFILE {quoted_path}{self.target[end:]} FORMAT {self.format}"


def statement_of(query: str, body: bytes) -> str | Insert:
    """The statement that `query` (from the address) and `body` make together. Raises Refused."""
    text = query.encode()
    whole = text + b"\n" + body if text.strip() else body
    if found := _INSERT.match(whole):
        target, kind = found["target"].decode(), found["format"].decode()
        if kind.lower() not in _INLINE and not _WRITES_ROWS_ITSELF.search(target):
            return Insert(target, kind, whole[found.end() :])
    try:
        statement = whole.decode().strip().removesuffix(";")
    except UnicodeDecodeError as error:
        raise Refused(62, f"Code: 62. DB::Exception: Syntax error: the statement is no UTF-8: {error}") from None
    if not statement:
        raise Refused(62, "Code: 62. DB::Exception: Syntax error: Empty query. (SYNTAX_ERROR)")
    return statement
