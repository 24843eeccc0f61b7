"""Tree to one condition on rows of runs, every value a bound parameter.

Logic has two values. A test asks whether the run has such a value, so that a missing one fails every test, and
`!=` and `not in` are the negations of `=` and `in`. That makes `not` safe everywhere: no NULL ever reaches it.
What runs do not have as a column (metrics, parameters, ...) is `run IN (SELECT run FROM ... WHERE ...)`.
"""

import math
from typing import Final, assert_never

from runstream_model.statistics import AGGREGATES
from runstream_query.filters.bound import Bound
from runstream_query.filters.checks import check, type_of
from runstream_query.filters.tree import (
    RUN_FIELDS,
    TIMES,
    And,
    Between,
    Compare,
    Expression,
    Field,
    FromNow,
    Instant,
    IsNull,
    Not,
    OneOf,
    Or,
    Test,
    TextTest,
    Value,
)

#: The number that an aggregate of a metric stands for, over the columns of `summary_states`.
SUMMARY_COLUMNS: Final = {aggregate: statistic.number for aggregate, statistic in AGGREGATES.items()}
ATTRIBUTE_KINDS: Final = {"param": "parameter", "other": "other", "env": "environment"}
#: Times are compared as microseconds: exact, and the whole range of an Int64 is allowed.
_COLUMNS: Final = {
    kind: f"toUnixTimestamp64Micro({column.name})" if kind in TIMES else column.name
    for kind, column in RUN_FIELDS.items()
}


def column_of(field: Field) -> str:
    """What a field that is not named stands for, over the columns of the runs' rows."""
    return _COLUMNS[field.kind]


def compile_filter(expression: Expression, parameters: Bound, now_us: int, only: str | None = None) -> str:
    """The condition on rows of runs as `repositories.statements.runs.run_rows` gives them, its values bound in
    `parameters`. `now_us` is what `now` means; `only` is what may stand behind IN: the ids of the runs that are asked
    about, if not all are. Raises FilterError."""
    check(expression)
    return _Compiler(parameters, now_us, True, only).condition(expression)


def compile_for_states(expression: Expression, parameters: Bound, now_us: int) -> str:
    """The condition on single states (rows of `run_states`), of metrics and logged values too: it may hold for a run
    whose newest state it does not hold for. For what `filters.states.weakened` makes of a checked expression."""
    return _Compiler(parameters, now_us, False, None).condition(expression)


class _Compiler:
    def __init__(self, parameters: Bound, now_us: int, newest: bool, only: str | None) -> None:
        self._bound = parameters
        self._now_us = now_us
        self._newest = newest
        self._only = f" AND s.run IN {only}" if only is not None else ""

    def condition(self, expression: Expression) -> str:
        match expression:
            case And(items):
                return "(" + " AND ".join(self.condition(item) for item in items) + ")"
            case Or(items):
                return "(" + " OR ".join(self.condition(item) for item in items) + ")"
            case Not(item):
                return f"(NOT {self.condition(item)})"
            case Compare() | OneOf() | Between() | TextTest() | IsNull():
                return self._test(expression)
            case _:
                assert_never(expression)

    def _test(self, test: Test) -> str:
        match test:
            case Compare(field, "!=", value):
                return f"(NOT {self._test(Compare(field, '=', value))})"
            case OneOf(field, values, True):
                return f"(NOT {self._test(OneOf(field, values))})"
            case IsNull(field, False):
                return f"(NOT {self._test(IsNull(field, True))})"
            case _:
                pass
        match test.field.kind:
            case "metric":
                return self._in_summaries(test)
            case "param" | "other" | "env":
                return self._in_attributes(test)
            case "tag":
                return self._in_tags(test)
            case _:
                return self._in_row(test)

    def _in_summaries(self, test: Test) -> str:
        condition = self._holds(test, SUMMARY_COLUMNS[test.field.aggregate or "last"])
        name = self._bound.text(test.field.name)
        return self._in_states("summary_states", f"s.metric = {name}", condition)

    def _in_attributes(self, test: Test) -> str:
        kind, name = self._bound.text(ATTRIBUTE_KINDS[test.field.kind]), self._bound.text(test.field.name)
        condition = f"NOT deleted AND {self._holds_logged(test)}"
        return self._in_states("attribute_states", f"s.kind = {kind} AND s.name = {name}", condition)

    def _in_states(self, table: str, key: str, condition: str) -> str:
        """Runs of which the newest state of a key, or any state of it, meets a condition."""
        states = f"SELECT s.run FROM {table} AS s WHERE {key}{self._only}"
        if self._newest:
            return f"run IN ({states} GROUP BY s.run HAVING argMax({condition}, s.offset))"
        return f"run IN ({states} AND {condition})"

    def _in_tags(self, test: Test) -> str:
        if isinstance(test, IsNull):
            return "notEmpty(tags)"
        return f"arrayExists(t -> {self._holds(test, 't')}, tags)"

    def _in_row(self, test: Test) -> str:
        column = column_of(test.field)
        if isinstance(test, IsNull):
            if test.field.kind == "name":  # a run without one is shown under its id
                return f"({column} NOT IN ('', run))"
            return f"({column} != '')" if type_of(test.field) == "text" else f"isNotNull({column})"
        return f"ifNull({self._holds(test, column)}, 0)"

    def _holds(self, test: Test, column: str) -> str:
        """Whether the value in `column` passes the test; the value is there, and has the type of the field."""
        match test:
            case Compare(_, operator, value):
                return self._compared(column, operator, value)
            case OneOf(_, values):
                return "(" + " OR ".join(self._equal_to_any(column, values)) + ")"
            case Between(_, low, high):
                return f"({self._compared(column, '>=', low)} AND {self._compared(column, '<=', high)})"
            case TextTest(_, operator, text):
                bound = self._bound.text(text)
                match operator:
                    case "contains":
                        return f"(position({column}, {bound}) > 0)"
                    case "startswith":
                        return f"startsWith({column}, {bound})"
                    case "endswith":
                        return f"endsWith({column}, {bound})"
                    case "matches":
                        return f"match({column}, {bound})"
                    case _:
                        assert_never(operator)
            case IsNull():
                return "1"
            case _:
                assert_never(test)

    def _compared(self, column: str, operator: str, value: Value) -> str:
        if isinstance(value, float) and math.isnan(value):
            return f"isNaN({column})"
        if isinstance(value, float) and operator == "=":
            # The engine turns chains of = into a set, in which 0.0 and -0.0 are two members.
            number = self._value(value)
            return f"({column} >= {number} AND {column} <= {number})"
        return f"({column} {operator} {self._value(value)})"

    def _equal_to_any(self, column: str, values: tuple[Value, ...]) -> list[str]:
        """Conditions, one of which holds; texts in one list, because a list of 1,000 run ids is usual."""
        texts = [value for value in values if isinstance(value, str)]
        others = [self._compared(column, "=", value) for value in values if not isinstance(value, str)]
        return ([f"has({self._bound.texts(texts)}, {column})"] if texts else []) + others

    def _value(self, value: Value) -> str:
        match value:
            case bool():
                return "1" if value else "0"
            case float() | int():
                return self._bound.number(value)
            case str():
                return self._bound.text(value)
            case Instant(at_us):
                return self._bound.integer(at_us)
            case FromNow(offset_us):
                return self._bound.integer(self._now_us + offset_us)
            case _:
                assert_never(value)

    def _holds_logged(self, test: Test) -> str:
        """The test on a logged value, which may be of any type: the literal's type says which values can pass."""
        match test:
            case Compare(field, operator, value):
                return self._compared_logged(operator, value)
            case OneOf(field, values):
                texts = tuple(value for value in values if isinstance(value, str))
                conditions = [self._compared_logged("=", value) for value in values if not isinstance(value, str)]
                if texts:
                    conditions.append(f"({IS_TEXT} AND {self._holds(OneOf(field, texts), 'text')})")
                return "(" + " OR ".join(conditions) + ")"
            case Between(_, low, high):
                return f"({self._compared_logged('>=', low)} AND {self._compared_logged('<=', high)})"
            case TextTest():
                return f"({IS_VALUE} AND {self._holds(test, 'text')})"
            case IsNull():
                return IS_VALUE
            case _:
                assert_never(test)

    def _compared_logged(self, operator: str, value: Value) -> str:
        if isinstance(value, bool):
            return f"(value = {self._bound.text('true' if value else 'false')})"
        if isinstance(value, str):
            return f"({IS_TEXT} AND {self._compared('text', operator, value)})"
        return f"ifNull({self._compared(AS_NUMBER, operator, value)}, 0)"


#: A logged null counts as missing. Texts, lists and dictionaries are what has no number.
IS_VALUE: Final = "(value != 'null')"
#: Command lines and override files make texts of numbers.
AS_NUMBER: Final = "ifNull(number, toFloat64OrNull(text))"
IS_TEXT: Final = "(value != 'null' AND isNull(number))"
