"""Expressions and what they mean as a filter. Immutable; nothing is asked of a server here.

As in SQL, a run without the value passes neither a test nor its opposite: `x != 1` and `~(x == 1)` find
runs that have an `x`. Only tags are either there or not. `~` goes down to the tests at once: it turns `&` into `|` and
every operator into its opposite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, NoReturn

from runstream.errors import Invalid
from runstream.query.literals import FieldType, checked, instant, number, number_of, quoted, text_of

#: No run has an empty id.
NOTHING: Final = 'id = ""'
_OPPOSITES: Final = {
    "=": "!=",
    "<": ">=",
    ">": "<=",
    "between": "not between",
    "in": "not in",
    "contains": "not contains",
    "startswith": "not startswith",
    "endswith": "not endswith",
    "matches": "not matches",
    "is null": "is not null",
    "is empty": "is not empty",
}
_OPPOSITE: Final = _OPPOSITES | {opposite: operator for operator, opposite in _OPPOSITES.items()}
#: Operators whose opposite has to say that the value is there: of `<` and `>` the opposites are tests themselves.
_DENIALS: Final = {opposite: operator for operator, opposite in _OPPOSITES.items() if operator not in ("<", ">")}
_LOGICAL: Final = "use & for and, | for or, ~ for not, and parentheses around each test"


class QueryExpression:
    """A question about runs; made by comparing a variable. `&`, `|` and `~` combine it."""

    def filter(self) -> str:
        """The question in the filter language."""
        raise NotImplementedError

    def __and__(self, other: QueryExpression) -> QueryExpression:
        return _Group("and", (self, _expression(other)))

    def __or__(self, other: QueryExpression) -> QueryExpression:
        return _Group("or", (self, _expression(other)))

    def __invert__(self) -> QueryExpression:
        raise NotImplementedError

    def __bool__(self) -> NoReturn:
        raise TypeError(f"a query has no truth value of its own: {_LOGICAL}")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError(f"a query cannot be compared: {_LOGICAL}")

    def __ne__(self, other: object) -> NoReturn:
        raise TypeError(f"a query cannot be compared: {_LOGICAL}")

    __hash__ = None  # type: ignore[assignment]


class _Group(QueryExpression):
    def __init__(self, word: str, items: Iterable[QueryExpression]) -> None:
        self._word = word
        self._items: tuple[QueryExpression, ...] = ()
        for item in items:  # a long chain is one group, not as deep as it is long
            self._items += item._items if isinstance(item, _Group) and item._word == word else (item,)

    def filter(self) -> str:
        return f" {self._word} ".join(
            f"({item.filter()})" if isinstance(item, _Group) else item.filter() for item in self._items
        )

    def __invert__(self) -> QueryExpression:
        return _Group("or" if self._word == "and" else "and", [~item for item in self._items])

    def __repr__(self) -> str:
        sign = " & " if self._word == "and" else " | "
        return f"({sign.join(map(repr, self._items))})"


class _Test(QueryExpression):
    def __init__(self, variable: QueryVariable, operator: str, value: Any = None) -> None:
        self._variable, self._operator, self._value = variable, operator, value

    def filter(self) -> str:
        *fields, last = self._variable.fields()
        text = self._about(last)
        for field in reversed(fields):
            if self._operator == "is null":
                text = f"({self._about(field)} and {text})"
            else:
                text = f"({self._about(field)} or ({field} is null and {text}))"
        return text

    def _about(self, field: str) -> str:
        if self._operator in _DENIALS:
            return _denied(field, self._variable.type, _DENIALS[self._operator], self._value)
        return _positive(field, self._variable.type, self._operator, self._value)

    def __invert__(self) -> QueryExpression:
        return _Test(self._variable, _OPPOSITE[self._operator], self._value)

    def __repr__(self) -> str:
        words = {"=": "==", "is null": "==", "is not null": "!=", "is empty": "==", "is not empty": "!="}
        shown = "" if "empty" in self._operator else self._value
        return f"({self._variable!r} {words.get(self._operator, self._operator)} {shown!r})"


class Tag(QueryExpression):
    """Runs that have this tag; `~Tag("x")` those that do not."""

    def __init__(self, name: str, *, there: bool = True) -> None:
        if not isinstance(name, str) or not name:
            raise Invalid(f"{name!r} is no tag: give a text that is not empty")
        self.name = name
        self._there = there

    def filter(self) -> str:
        return f"tag {'=' if self._there else '!='} {quoted(self.name)}"

    def __invert__(self) -> QueryExpression:
        return Tag(self.name, there=not self._there)

    def __repr__(self) -> str:
        return f"{'' if self._there else '~'}Tag({self.name!r})"


class QueryVariable:
    """Something of a run that is asked about. Compare it: alone it is no question."""

    #: The part of a run that it is in.
    source: str = ""

    def __init__(self, name: str, type: FieldType) -> None:
        if not isinstance(name, str) or not name:
            raise Invalid(f"{name!r} names nothing: give a text that is not empty")
        self.name = name
        #: number, text, time, or any (as it was logged).
        self.type = type

    def field(self) -> str:
        """Its name in the filter language."""
        raise NotImplementedError

    def fields(self) -> tuple[str, ...]:
        """Its names in the filter language, of which the first one that a run has counts."""
        return (self.field(),)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def __eq__(self, value: object) -> QueryExpression:  # type: ignore[override]
        if value is None:
            return _Test(self, "is null")
        return _Test(self, "is empty") if isinstance(value, str) and value == "" else _Test(self, "=", checked(value))

    def __ne__(self, value: object) -> QueryExpression:  # type: ignore[override]
        return ~(self == value)

    def __lt__(self, value: Any) -> QueryExpression:
        return _Test(self, "<", checked(value))

    def __le__(self, value: Any) -> QueryExpression:
        return _Test(self, "<=", checked(value))

    def __gt__(self, value: Any) -> QueryExpression:
        return _Test(self, ">", checked(value))

    def __ge__(self, value: Any) -> QueryExpression:
        return _Test(self, ">=", checked(value))

    def between(self, low: Any, high: Any) -> QueryExpression:
        """Both ends belong to it."""
        if low is None or high is None:
            raise Invalid(f"between({low!r}, {high!r}) of {self!r}: give two values, the lower end first")
        return _Test(self, "between", (checked(low), checked(high)))

    def in_(self, values: Iterable[Any]) -> QueryExpression:
        """One of the values; None and "" among them mean what they mean behind `==`."""
        if isinstance(values, str):
            raise Invalid(f"in_({values!r}) of {self!r}: give a list of values")
        listed = list(values)
        special = [value for value in listed if value is None or (isinstance(value, str) and not value)]
        plain = _Test(self, "in", tuple(checked(value) for value in listed if not _is_in(value, special)))
        return _Group("or", [plain, *(self == value for value in special)]) if special else plain

    def contains(self, text: str) -> QueryExpression:
        """Literally: `%`, `_` and quotes are characters."""
        return _Test(self, "contains", _text(self, "contains", text))

    def startswith(self, text: str) -> QueryExpression:
        return _Test(self, "startswith", _text(self, "startswith", text))

    def endswith(self, text: str) -> QueryExpression:
        return _Test(self, "endswith", _text(self, "endswith", text))

    def matches(self, pattern: str) -> QueryExpression:
        """An RE2 pattern is found anywhere in the text."""
        return _Test(self, "matches", _text(self, "matches", pattern))

    def __contains__(self, value: object) -> NoReturn:
        raise TypeError(f"`in` asks Python, not the server: use {self!r}.contains(text) or {self!r}.in_(values)")

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no truth value of its own: compare it; {_LOGICAL}")

    __hash__ = None  # type: ignore[assignment]


def _is_in(value: Any, special: list[Any]) -> bool:
    return any(value is one for one in special)


def _text(variable: QueryVariable, method: str, text: str) -> str:
    if not isinstance(text, str):
        raise Invalid(f"{variable!r}.{method}({text!r}): give a text")
    if variable.type not in ("any", "text"):
        raise Invalid(f"{variable!r} is a {variable.type} and has no text: {method} asks about texts")
    return text


def _expression(other: object) -> QueryExpression:
    if isinstance(other, QueryExpression):
        return other
    if isinstance(other, QueryVariable):
        raise Invalid(f"{other!r} is compared with nothing: write {other!r} == value")
    raise Invalid(f"{other!r} is no query: {_LOGICAL}")


def _denied(field: str, type: FieldType, operator: str, value: Any) -> str:
    """The value is there and the test fails."""
    if operator == "is null":
        return f"{field} is not null"
    return f"({field} is not null and not {_positive(field, type, operator, value)})"


def _positive(field: str, type: FieldType, operator: str, value: Any) -> str:
    match operator:
        case "is null":
            return f"{field} is null"
        case "is empty":
            # Texts of the run itself are empty where they are missing; a logged one may be either.
            return {"text": f"{field} is null", "any": f'{field} = ""'}.get(type, NOTHING)
        case "contains" | "startswith" | "endswith" | "matches":
            return f"{field} {operator} {quoted(value)}"
        case "between":
            return _between(field, type, *value)
        case "in":
            return _one_of(field, type, value)
        case _:
            return _compared(field, type, operator, value)


def _between(field: str, type: FieldType, low: Any, high: Any) -> str:
    if type == "time":
        return f"{field} between {instant(low)} and {instant(high)}"
    ends = [number_of(low), number_of(high)]
    if type != "text" and None not in ends:
        if any(math.isnan(end or 0.0) for end in ends):
            return NOTHING
        return f"{field} between {number(ends[0] or 0.0)} and {number(ends[1] or 0.0)}"
    return NOTHING if type == "number" else f"{field} between {quoted(text_of(low))} and {quoted(text_of(high))}"


def _one_of(field: str, type: FieldType, values: tuple[Any, ...]) -> str:
    wanted = list(dict.fromkeys(text for value in values for text in _literals(type, "=", value)))
    return f"{field} in ({', '.join(wanted)})" if wanted else NOTHING


def _compared(field: str, type: FieldType, operator: str, value: Any) -> str:
    if type == "any" and operator != "=" and isinstance(value, str) and number_of(value) is not None:
        return _ordered(field, operator, value)
    tests = [f"{field} {operator} {literal}" for literal in _literals(type, operator, value)]
    if not tests:
        return NOTHING
    return tests[0] if len(tests) == 1 else f"({' or '.join(tests)})"


def _ordered(field: str, operator: str, text: str) -> str:
    """A text that says a number, in an order: it stands as a number among numbers, those that were logged as texts too,
    and as a text among other texts."""
    numeric = [f"{field} {operator} {literal}" for literal in _literals("number", operator, text)]
    is_number = f"{field} <= {number(math.inf)} or {field} = {number(math.nan)}"
    return f"({' or '.join([*numeric, f'({field} {operator} {quoted(text)} and not ({is_number}))'])})"


def _literals(type: FieldType, operator: str, value: Any) -> list[str]:
    """What the field is compared with, one of which is to pass. A logged value may be a number here and a text there;
    foreign clients log all of them as texts, so that a text that says a number, or a truth value, means both."""
    if value is None:
        return []
    if type == "time":
        return [instant(value)]
    if type == "text":
        return [quoted(text_of(value))]
    known = number_of(value)
    # No number has an order with NaN; it is equal to itself, so that it can be found.
    ordered = known is not None and (operator == "=" or not math.isnan(known))
    numeric = [number(known)] if ordered and known is not None else []
    if type == "number" or (known is not None and not isinstance(value, str)):
        return numeric
    text = text_of(value)
    truth = [text.lower()] if operator == "=" and text.lower() in ("true", "false") else []
    return [quoted(text), *numeric, *truth]
