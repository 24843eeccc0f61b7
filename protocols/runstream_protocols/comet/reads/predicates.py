"""From the predicates that `comet_ml` sends to an expression of the filter language. Pure.

The client sends rules of jQuery-QueryBuilder. Their comparisons follow SQL: a run without the value passes neither
`equal` nor `not_equal`, which is also what the client's `~` needs, because it flips operators itself (`~(x > 1)`
arrives as `less_or_equal`). Only tags are either there or not. docs/comet.md has the rules in full.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from runstream.query.literals import ENVIRONMENT_NAMES
from runstream_query.errors import FilterError
from runstream_query.filters.checks import MAX_TESTS, STATUSES, type_of
from runstream_query.filters.times import instant_us
from runstream_query.filters.tree import (
    And,
    Between,
    Compare,
    Comparison,
    Expression,
    Field,
    Instant,
    IsNull,
    Not,
    Or,
    TextOperator,
    TextTest,
)

#: What the client calls the parts of a run.
METRICS: Final = "metrics"
PARAMETERS: Final = "params"
OTHERS: Final = "log_other"
METADATA: Final = "metadata"
ENVIRONMENT: Final = "env_details"
TAGS: Final = "tag"
#: A group over several sources: its leaves have sources of their own, or none.
NESTED: Final = "nested"
#: Where a name without a source is looked up, in this order.
SOURCES: Final = (METRICS, PARAMETERS, OTHERS, METADATA, ENVIRONMENT, TAGS)

#: The other value that Comet keeps a run's name in.
NAME: Final = "Name"
#: Comet's metadata: our field and Comet's type.
METADATA_FIELDS: Final[Mapping[str, tuple[Field, str]]] = {
    "duration": (Field("duration"), "timenumber"),
    "end_server_timestamp": (Field("ended"), "datetime"),
    "experiment_key": (Field("id"), "string"),
    "experiment_name": (Field("name"), "string"),
    "start_server_timestamp": (Field("started"), "datetime"),
    "status": (Field("status"), "string"),
    "user_name": (Field("user"), "string"),
}

#: The client nests a chain as deep as it is long.
_MAX_GROUPS: Final = 2 * MAX_TESTS
#: No run has an empty id.
NOTHING: Final[Expression] = Compare(Field("id"), "=", "")

_COMPARISONS: Final[Mapping[str, Comparison]] = {
    "equal": "=",
    "less": "<",
    "less_or_equal": "<=",
    "greater": ">",
    "greater_or_equal": ">=",
}
_TEXT_TESTS: Final[Mapping[str, TextOperator]] = {
    "contains": "contains",
    "begins_with": "startswith",
    "ends_with": "endswith",
}
_NEGATED: Final = {
    f"not_{operator}": operator for operator in ("equal", "between", "contains", "begins_with", "ends_with")
}


@dataclass(frozen=True, slots=True)
class Column:
    """What a query can name of the runs of a project. `type`: string, boolean, double, datetime or timenumber."""

    name: str
    source: str
    type: str


@dataclass(frozen=True, slots=True)
class Predicate:
    """One entry of the list that `API.query` sends: `query` is a group of rules."""

    source: str
    query: Mapping[str, Any]
    negated: bool = False


def check_rules(nodes: Sequence[Mapping[str, Any]]) -> None:
    """Raises FilterError if rules and groups together are more than a filter may hold: before anything is made of
    them."""
    waiting, leaves, groups = list(nodes), 0, 0
    while waiting:
        rules = waiting.pop().get("rules")
        if isinstance(rules, list):
            groups += 1
            waiting.extend(rule for rule in rules[: MAX_TESTS + 1] if isinstance(rule, Mapping))
        else:
            leaves += 1
        if leaves > MAX_TESTS or groups > _MAX_GROUPS:
            raise FilterError(
                f"the query has more than {MAX_TESTS} rules or {_MAX_GROUPS} groups: ask for fewer at once"
            )


class _Rules:
    def __init__(self, columns: Sequence[Column]) -> None:
        self._named: dict[str, list[Column]] = {}
        for column in columns:
            self._named.setdefault(column.name, []).append(column)

    def expression(self, node: Mapping[str, Any], source: str | None) -> Expression:
        if "rules" not in node:
            return self._leaf(node, source)
        rules = node["rules"]
        if not isinstance(rules, list) or not rules or not all(isinstance(rule, Mapping) for rule in rules):
            raise FilterError("a group of a query has no rules: give at least one")
        condition = str(node.get("condition", "AND")).upper()
        if condition not in ("AND", "OR"):
            raise FilterError(f"the condition of a group is {condition[:40]!r}: AND and OR are known")
        return _joined(And if condition == "AND" else Or, [self.expression(rule, source) for rule in rules])

    def _leaf(self, rule: Mapping[str, Any], source: str | None) -> Expression:
        name, operator = rule.get("field"), rule.get("operator")
        if not isinstance(name, str) or not isinstance(operator, str):
            raise FilterError("a rule of a query needs field and operator, both texts")
        given = rule.get("source") or source
        own = self._source_of(name, rule.get("type")) if given in (None, NESTED) else str(given)
        return _test_of_first(fields_of(own, name), operator, rule.get("value"))

    def _source_of(self, name: str, kind: Any) -> str:
        """Where a name without a source belongs: the client leaves it out in groups inside of groups."""
        named = self._named.get(name, [])
        fitting = [column.source for column in named if column.type == kind] or [column.source for column in named]
        for source in SOURCES:
            if source in fitting:
                return source
        raise FilterError(f"no run of this project has {name[:100]!r}: see the names that get_query_variables gives")


def needs_columns(nodes: Sequence[tuple[str | None, Mapping[str, Any]]]) -> bool:
    """Whether a leaf of these (source, rule or group) has no source, so that its name has to be looked up."""
    for source, node in nodes:
        rules = node.get("rules")
        if isinstance(rules, list):
            inner = [(source, rule) for rule in rules if isinstance(rule, Mapping)]
            if needs_columns(inner):
                return True
        elif (node.get("source") or source) in (None, NESTED):
            return True
    return False


def expression_of_predicates(predicates: Sequence[Predicate], columns: Sequence[Column]) -> Expression | None:
    """What `API.query` asks for; None if it asks for nothing in particular. Raises FilterError.

    All predicates must hold, but for several negated ones of one source: the client makes those of `~(A & B)` alone,
    so one of them must hold.
    """
    rules = _Rules(columns)
    negated: dict[str, list[Expression]] = {}
    wanted: list[Expression] = []
    for predicate in predicates:
        expression = rules.expression(predicate.query, predicate.source)
        if predicate.negated:
            negated.setdefault(predicate.source, []).append(expression)
        else:
            wanted.append(expression)
    wanted += [_joined(Or, expressions) for expressions in negated.values()]
    return _joined(And, wanted) if wanted else None


def expression_of_tree(tree: Mapping[str, Any], columns: Sequence[Column]) -> Expression | None:
    """What `API.search` asks for: one tree, whose leaves have their sources. Raises FilterError."""
    return _Rules(columns).expression(tree, None) if tree.get("rules") or "field" in tree else None


def fields_of(source: str, name: str) -> tuple[Field, ...]:
    """The fields of the filter language that Comet calls `name` of `source`, of which the first one that a run has
    counts. Raises FilterError."""
    if source == ENVIRONMENT:
        return tuple(Field("env", ours) for ours in ENVIRONMENT_NAMES.get(name, (name,)))
    return (field_of(source, name),)


def field_of(source: str, name: str) -> Field:
    """The field of the filter language that Comet calls `name` of a source other than the environment. Raises
    FilterError."""
    match source:
        case "metrics":
            return Field("metric", name)
        case "params":
            return Field("param", name)
        case "log_other":
            return Field("name") if name == NAME else Field("other", name)
        case "tag":
            return Field("tag")
        case "metadata" if name in METADATA_FIELDS:
            return METADATA_FIELDS[name][0]
        case "metadata":
            raise FilterError(f"there is no metadata {name[:100]!r}: there are {', '.join(METADATA_FIELDS)}")
        case _:
            raise FilterError(f"unknown source {source[:100]!r}: there are {', '.join(SOURCES)}")


def _test_of_first(fields: Sequence[Field], operator: str, value: Any) -> Expression:
    """The test of the first of the fields that a run has."""
    *before, last = fields
    expression = _test(last, operator, value)
    for field in reversed(before):
        test = _test(field, operator, value)
        if operator == "is_null":
            expression = _joined(And, [test, expression])
        else:
            expression = _joined(Or, [test, _joined(And, [IsNull(field), expression])])
    return expression


def _test(field: Field, operator: str, value: Any) -> Expression:
    there = IsNull(field, negated=True)
    match operator:
        case "is_null":
            return IsNull(field)
        case "is_not_null":
            return there
        case "is_empty":
            return _empty(field)
        case "is_not_empty":
            return And((there, Not(_empty(field))))
        case _ if operator in _NEGATED:
            passing = Not(_positive(field, _NEGATED[operator], value))
            return passing if field.kind == "tag" else And((there, passing))
        case _:
            return _positive(field, operator, value)


def _empty(field: Field) -> Expression:
    """Texts of the run itself are empty where they are missing; a logged one may be either."""
    match type_of(field):
        case "text":
            return IsNull(field)
        case "any" | "tags":
            return Compare(field, "=", "")
        case _:
            return NOTHING


def _positive(field: Field, operator: str, value: Any) -> Expression:
    if operator in _COMPARISONS:
        return NOTHING if value is None else _compared(field, _COMPARISONS[operator], value)
    if operator in _TEXT_TESTS:
        return NOTHING if value is None else TextTest(field, _TEXT_TESTS[operator], _text(value))
    if operator == "between":
        return _between(field, value)
    raise FilterError(f"unknown operator {operator[:40]!r} for {field.kind}")


def _between(field: Field, value: Any) -> Expression:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise FilterError("between needs a list of two values, the lower and the upper end")
    if None in value:
        return NOTHING
    low, high = value
    if type_of(field) == "time":
        return Between(field, _instant(low), _instant(high))
    numbers = [_number(end) for end in (low, high)]
    if None not in numbers:
        return NOTHING if any(math.isnan(end or 0.0) for end in numbers) else Between(field, *_ends(numbers))
    if type_of(field) == "number":
        return NOTHING
    return Between(field, _text(low), _text(high))


def _ends(numbers: Sequence[float | None]) -> tuple[float, float]:
    low, high = numbers
    assert low is not None
    assert high is not None
    return low, high


def _compared(field: Field, operator: Comparison, value: Any) -> Expression:
    match type_of(field):
        case "number":
            return _numeric(field, operator, _number(value))
        case "time":
            return Compare(field, operator, _instant(value))
        case "any":
            return _logged(field, operator, value)
        case _:
            text = _text(value)
            if field.kind == "status" and operator == "=" and text not in STATUSES:
                return NOTHING
            return Compare(field, operator, text)


def _numeric(field: Field, operator: Comparison, number: float | None) -> Expression:
    """No number has an order with NaN; it is equal to itself, so that it can be found."""
    if number is None or (operator != "=" and math.isnan(number)):
        return NOTHING
    return Compare(field, operator, number)


def _logged(field: Field, operator: Comparison, value: Any) -> Expression:
    """A logged value may be a number here and a text there. Comet keeps texts alone, so that "3" means both there: what
    can be read as a number has the order of numbers, and may equal either."""
    if not isinstance(value, str):
        return _numeric(field, operator, _number(value))
    as_text, number = Compare(field, operator, value), _number(value)
    tests: list[Expression] = [as_text]
    if number is not None and operator == "=":
        tests.append(Compare(field, "=", number))
    elif number is not None:
        is_number = Or((Compare(field, "<=", math.inf), Compare(field, "=", math.nan)))
        tests = [_numeric(field, operator, number), And((as_text, Not(is_number)))]
    if operator == "=" and value.lower() in ("true", "false"):
        tests.append(Compare(field, "=", value.lower() == "true"))
    return _joined(Or, tests)


def _number(value: Any) -> float | None:
    """The value as a number, also where it stands in a text; None if it is none."""
    if not isinstance(value, bool | int | float | str):
        raise FilterError(f"a query compares with texts and numbers, not with {type(value).__name__}")
    if isinstance(value, str) and ("_" in value or value != value.strip()):
        return None  # Python would read these as numbers
    try:
        return float(value)
    except OverflowError:
        return math.inf if int(value) > 0 else -math.inf
    except ValueError:
        return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _instant(value: Any) -> Instant:
    """A datetime as the client writes it (UTC, a blank instead of T), or milliseconds since 1970."""
    number = _number(value)
    if number is not None and math.isfinite(number):
        return Instant(round(number * 1000))
    try:
        return Instant(instant_us(_text(value)))
    except ValueError as error:
        raise FilterError(str(error)) from None


def _joined(kind: type[And] | type[Or], items: Sequence[Expression]) -> Expression:
    """Groups of the same kind in each other become one: the client nests a long chain as deep as it is long."""
    flat: list[Expression] = []
    for item in items:
        flat.extend(item.items if isinstance(item, kind) else (item,))
    return flat[0] if len(flat) == 1 else kind(tuple(flat))
