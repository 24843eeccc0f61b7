"""Tokens to tree. One function a rule of the grammar (docs/query-language.md)."""

from typing import NoReturn, cast

from runstream_query.errors import FilterError
from runstream_query.filters.checks import (
    MAX_DEPTH,
    MAX_LIST_VALUES,
    check,
    field_fault,
    similar,
    text_fault,
    type_of,
    value_fault,
)
from runstream_query.filters.lexer import Token, tokens_of
from runstream_query.filters.times import instant_us
from runstream_query.filters.tree import (
    AGGREGATES,
    FLAGS,
    KINDS,
    NAMED,
    TEXT_OPERATORS,
    And,
    Between,
    Compare,
    Comparison,
    Expression,
    Field,
    FromNow,
    Instant,
    IsNull,
    Not,
    OneOf,
    Or,
    TextOperator,
    TextTest,
    Value,
)

_RESERVED = frozenset(("and", "or", "not", "in", "between", "is", "null", "true", "false", "exists", *TEXT_OPERATORS))
_OPERATORS = ("=", "==", "!=", "<", "<=", ">", ">=")


def parse(text: str) -> Expression:
    """The tree of a filter. Raises FilterError with the column of the mistake."""
    parser = _Parser(text)
    expression = parser.either(1)
    parser.end("`and`, `or` or the end")
    try:
        check(expression)
    except FilterError as error:  # the tree as a whole is too large: no single place is wrong
        raise FilterError(error.message, text=text, column=1) from None
    return expression


def parse_field(text: str) -> Field:
    """The field that a sort key or a column names. Raises FilterError with the column of the mistake."""
    parser = _Parser(text)
    field = parser.field()
    parser.end("the end")
    return field


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens_of(text)
        self._at = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.sort != "end"
        return token

    def _take_keyword(self, *words: str) -> str:
        """The keyword that comes next if it is one of `words`, then behind it; else nothing."""
        word = self._next.keyword()
        if word in words:
            self._at += 1
            return word
        return ""

    def _take_operator(self, *operators: str) -> str:
        if self._next.sort == "operator" and self._next.text in operators:
            return self._take().text
        return ""

    def _fail(self, message: str, column: int) -> NoReturn:
        raise FilterError(message, text=self._text, column=column)

    def _expected(self, what: str) -> NoReturn:
        self._fail(f"expected {what}, found {self._next.shown()}", self._next.column)

    def end(self, what: str) -> None:
        if self._next.sort != "end":
            self._expected(what)

    def either(self, depth: int) -> Expression:
        items = [self._both(depth)]
        while self._take_keyword("or"):
            items.append(self._both(depth))
        return items[0] if len(items) == 1 else Or(tuple(items))

    def _both(self, depth: int) -> Expression:
        items = [self._negation(depth)]
        while self._take_keyword("and"):
            items.append(self._negation(depth))
        return items[0] if len(items) == 1 else And(tuple(items))

    def _negation(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            self._fail(f"the filter is nested more than {MAX_DEPTH} deep: write it flatter", self._next.column)
        if self._take_keyword("not"):
            return Not(self._negation(depth + 1))
        opening = self._next
        if self._take_operator("("):
            inner = self.either(depth + 1)
            if not self._take_operator(")"):
                self._fail(
                    f"expected `and`, `or` or `)` for the parenthesis at column {opening.column}, found "
                    f"{self._next.shown()}",
                    self._next.column,
                )
            return inner
        if self._next.sort == "text":
            return self._tag_membership()
        return self._test()

    def _tag_membership(self) -> Expression:
        """`"x" in tags`, `"x" not in tags`."""
        token = self._take()
        negated = bool(self._take_keyword("not"))
        if not self._take_keyword("in") or not self._take_keyword("tags", "tag"):
            self._fail('a text stands first only in `"x" in tags`; elsewhere begin with a field', token.column)
        field = Field("tag")
        self._refuse(value_fault(field, "=", token.text), token.column)
        return Compare(field, "!=" if negated else "=", token.text)

    def _refuse(self, fault: str | None, column: int) -> None:
        if fault is not None:
            self._fail(fault, column)

    def field(self) -> Field:
        token = self._next
        if token.sort in ("number", "duration", "time", "now"):
            self._fail("begin with a field; the value stands behind it: metric.loss < 0.1", token.column)
        if token.sort != "path" or token.keyword() in _RESERVED:
            self._expected("a field such as metric.loss, param.lr, tag or status")
        self._take()
        head, *rest = token.path
        kind = "tag" if head.text == "tags" else head.text
        if kind not in KINDS:
            hint = similar(kind, KINDS) or (
                f"; metrics are written metric.{token.text}, parameters param.{token.text}"
                if kind.isidentifier()
                else ""
            )
            self._fail(f"unknown field {kind!r}{hint}", head.column)
        aggregate: str | None = None
        if kind == "metric" and len(rest) > 1 and not rest[-1].quoted and rest[-1].text in AGGREGATES:
            aggregate = rest.pop().text
        if rest and kind not in NAMED:
            self._fail(f"{kind} has no parts: nothing may stand behind it", rest[0].column - 1)
        name = ".".join(segment.text for segment in rest)
        field = Field(kind, name, aggregate)
        self._refuse(field_fault(field), rest[0].column if rest else head.column)
        return field

    def _test(self) -> Expression:
        field = self.field()
        if operator := self._take_operator(*_OPERATORS):
            comparison = cast(Comparison, "=" if operator == "==" else operator)
            return Compare(field, comparison, self._value(field, comparison))
        if word := self._take_keyword(*TEXT_OPERATORS):
            return self._text_test(field, cast(TextOperator, word))
        if self._take_keyword("is"):
            negated = bool(self._take_keyword("not"))
            if not self._take_keyword("null"):
                self._expected("`null` or `not null`")
            return IsNull(field, negated)
        if self._take_keyword("exists"):
            return IsNull(field, True)
        if self._take_keyword("between"):
            low = self._value(field, "<=")
            if not self._take_keyword("and"):
                self._expected("`and` with the upper end of between")
            return Between(field, low, self._value(field, "<="))
        if self._next.keyword() == "not" and self._tokens[self._at + 1].keyword() == "in":
            self._at += 2
            return OneOf(field, self._list(field), True)
        if self._take_keyword("in"):
            return OneOf(field, self._list(field))
        if field.kind not in FLAGS:
            self._no_operator()
        return Compare(field, "=", True)

    def _no_operator(self) -> NoReturn:
        word = self._next.keyword()
        near = similar(word, (*TEXT_OPERATORS, "in", "between", "is null", "exists")) if word else ""
        self._expected(f"an operator (= != < <= > >= in, between, {', '.join(TEXT_OPERATORS)}, is null){near}")

    def _text_test(self, field: Field, operator: TextOperator) -> Expression:
        token = self._next
        self._refuse(text_fault(field, operator, ""), self._tokens[self._at - 1].column)
        if token.sort != "text":
            self._expected(f"a text in quotes behind {operator}")
        self._refuse(text_fault(field, operator, token.text), token.column)
        return TextTest(field, operator, self._take().text)

    def _list(self, field: Field) -> tuple[Value, ...]:
        if not self._take_operator("("):
            self._expected("`(` and the values")
        values = [self._value(field, "=")]
        while self._take_operator(","):
            if len(values) == MAX_LIST_VALUES:
                self._fail(f"more than {MAX_LIST_VALUES} values in one list", self._next.column)
            values.append(self._value(field, "="))
        if not self._take_operator(")"):
            self._expected("`,` or `)`")
        return tuple(values)

    def _value(self, field: Field, operator: str) -> Value:
        token = self._next
        value: Value
        if token.sort == "number":
            value = token.amount
        elif token.sort == "duration":
            if field.kind != "duration":
                self._fail(f"{token.text} is a duration, which only the field duration is compared with", token.column)
            value = token.amount / 1_000_000
        elif token.sort == "now":
            value = FromNow(round(token.amount))
        elif token.sort == "time" or (token.sort == "text" and type_of(field) == "time"):
            value = self._instant(token)
        elif token.sort == "text":
            value = token.text
        elif token.keyword() in ("true", "false"):
            value = token.keyword() == "true"
        elif token.sort == "path":
            self._fail(f'{token.shown()} is no value: a text stands in quotes, as in "{token.text}"', token.column)
        else:
            self._expected("a value")
        self._refuse(value_fault(field, operator, value), token.column)
        self._take()
        return value

    def _instant(self, token: Token) -> Instant:
        try:
            return Instant(instant_us(token.text))
        except ValueError as error:
            self._fail(str(error), token.column)
