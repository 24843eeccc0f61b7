"""Search expressions for trial components as filters of runs. Pure."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Final

from runstream.events.moments import micros_of
from runstream_protocols.sagemaker.errors import invalid
from runstream_protocols.sagemaker.expressions import moment_in, unknown, walked, words_of
from runstream_protocols.sagemaker.names import pattern_of_runs
from runstream_protocols.sagemaker.search_models import Filter, SearchExpression
from runstream_query.filters.tree import (
    And,
    Compare,
    Comparison,
    Expression,
    Field,
    Instant,
    IsNull,
    Not,
    OneOf,
    Or,
    TextTest,
    Value,
)

#: Properties of components that are columns of runs.
_TEXTS: Final[Mapping[str, str]] = {"TrialComponentName": "id", "DisplayName": "name"}
_TIMES: Final[Mapping[str, str]] = {
    "CreationTime": "created",
    "LastModifiedTime": "updated",
    "StartTime": "started",
    "EndTime": "ended",
}
_STATUS: Final = "Status.PrimaryStatus"
#: What a status is to a run: one that crashed has failed.
_STATUSES: Final[Mapping[str, tuple[str, ...]]] = {
    "InProgress": ("running",),
    "Completed": ("finished",),
    "Failed": ("failed", "crashed"),
    "Stopped": ("killed",),
}
#: What AWS calls the statistics of a metric, and what filters call them.
_STATISTICS: Final[Mapping[str, str]] = {
    "Min": "min",
    "Max": "max",
    "Avg": "mean",
    "Last": "last",
    "Count": "count",
    "StdDev": "std",
}
_COMPARISONS: Final[Mapping[str, Comparison]] = {
    "Equals": "=",
    "NotEquals": "!=",
    "GreaterThan": ">",
    "GreaterThanOrEqualTo": ">=",
    "LessThan": "<",
    "LessThanOrEqualTo": "<=",
}
_PARAMETERS, _METRICS, _TAGS = "Parameters.", "Metrics.", "Tags."
#: Every run has an id.
_ALWAYS: Final = IsNull(Field("id"), negated=True)
_NEVER: Final = IsNull(Field("id"))

#: The tags, `trial:NAME`, of which a component in wanted trials has one.
Parents = Callable[[list[Filter]], list[str]]


def filter_of(expression: SearchExpression, parents: Parents) -> Expression:
    """Return the filter of the runs whose components an expression holds for. Raises AwsError."""

    def test(one: Filter) -> Expression:
        return _parent([one], parents) if one.name.startswith("Parents.") else _test(one)

    def nested(name: str, filters: list[Filter]) -> Expression:
        if name == "Parents":
            return _parent(filters, parents)
        if name == "Tags":
            return _one_tag(filters)
        raise unknown(name)

    return walked(expression, test, nested, lambda operator, parts: joined(parts, every=operator == "And"))


def joined(parts: list[Expression], *, every: bool) -> Expression:
    """Return the parts as one expression, that holds where all of them do, or one."""
    if len(parts) == 1:
        return parts[0]
    return And(tuple(parts)) if every else Or(tuple(parts))


def field_of(name: str) -> Field | None:
    """Return the field of runs that a property is, to sort by too; None if it is none."""
    if name in _TEXTS:
        return Field(_TEXTS[name])
    if name in _TIMES:
        return Field(_TIMES[name])
    if name == _STATUS:
        return Field("status")
    if name.startswith(_PARAMETERS) and name != _PARAMETERS:
        return Field("param", name.removeprefix(_PARAMETERS))
    if name.startswith(_METRICS) and name != _METRICS:
        metric, dot, statistic = name.removeprefix(_METRICS).rpartition(".")
        if dot and statistic in _STATISTICS:
            return Field("metric", metric, _STATISTICS[statistic])
        return Field("metric", name.removeprefix(_METRICS))
    return None


def _test(one: Filter) -> Expression:
    if one.name.startswith(_TAGS):
        return _tags(one)
    field = field_of(one.name)
    if field is None:
        raise unknown(one.name)
    if one.operator in ("Exists", "NotExists"):
        return IsNull(field, negated=one.operator == "Exists")
    if one.name == "TrialComponentName" and one.operator in ("Equals", "NotEquals"):
        named = TextTest(field, "matches", pattern_of_runs(one.text))
        return named if one.operator == "Equals" else Not(named)
    if one.name == _STATUS:
        return _status(one)
    if one.name in _TIMES:
        return Compare(field, _comparison(one), Instant(micros_of(moment_in(one))))
    return _number(one, field) if field.kind == "metric" else _value(one, field)


def _value(one: Filter, field: Field) -> Expression:
    """A text, or a parameter, which may be a number where the filter's value is one."""
    if one.operator == "Contains":
        return TextTest(field, "contains", one.text)
    numbers = field.kind == "param"
    if one.operator == "In":
        words: list[Value] = list(words_of(one.text))
        found = [number for word in words_of(one.text) if numbers and (number := _number_in(word)) is not None]
        return OneOf(field, (*words, *found))
    comparison = _comparison(one)
    text = Compare(field, comparison, one.text)
    number = _number_in(one.text) if numbers else None
    if number is None:
        return text
    if comparison in ("=", "!="):
        return joined([text, Compare(field, comparison, number)], every=comparison == "!=")
    return Compare(field, comparison, number)


def _number(one: Filter, field: Field) -> Expression:
    if one.operator == "In":
        found = tuple(number for word in words_of(one.text) if (number := _number_in(word)) is not None)
        return OneOf(field, found) if found else _NEVER
    number = _number_in(one.text)
    if number is None:
        raise invalid(f"{one.text[:60]!r} is no number, which {one.name[:100]} is compared with")
    return Compare(field, _comparison(one), number)


def _number_in(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number


def _status(one: Filter) -> Expression:
    words = words_of(one.text) if one.operator == "In" else [one.text]
    if one.operator == "Contains":
        words = [word for word in _STATUSES if one.text in word]
    elif one.operator not in ("Equals", "NotEquals", "In"):
        raise _no_operator(one)
    statuses = tuple(status for word in words for status in _STATUSES.get(word, ()))
    if not statuses:
        return _ALWAYS if one.operator == "NotEquals" else _NEVER
    return OneOf(Field("status"), statuses, negated=one.operator == "NotEquals")


def _tags(one: Filter) -> Expression:
    """`Tags.team` is the value of the tag `team=VALUE`; `Tags.Key` and `Tags.Value` are those of any tag."""
    key = one.name.removeprefix(_TAGS)
    if key in ("Key", "Value"):
        return Not(_tag([one])) if one.operator == "NotEquals" else _tag([one])
    if one.operator in ("Exists", "NotExists"):
        there = TextTest(Field("tag"), "matches", f"^{re.escape(key)}(=|$)")
        return there if one.operator == "Exists" else Not(there)
    has = _tag([_key_is(key), one.model_copy(update={"name": "Tags.Value"})])
    return Not(has) if one.operator == "NotEquals" else has


def _key_is(key: str) -> Filter:
    return Filter.model_validate({"Name": "Tags.Key", "Value": key})


def _one_tag(filters: list[Filter]) -> Expression:
    """A run has one tag that passes all filters. A run has one value of a key: that it has another one than a value is
    that it has the key, and not with the value."""
    others = [one for one in filters if one.operator != "NotEquals"]
    different = [one for one in filters if one.operator == "NotEquals"]
    if not different:
        return _tag(filters)
    if not any(one.name == "Tags.Key" and one.operator == "Equals" for one in others):
        raise invalid("NotEquals in nested filters of Tags needs a filter of Tags.Key with Equals: give the key")
    return And((_tag(others), *(Not(_tag([*others, one])) for one in different)))


def _tag(filters: list[Filter]) -> TextTest:
    """A run has a tag whose key and value pass the filters, NotEquals being taken for Equals."""
    patterns = {"Key": "[^=]+", "Value": ".*"}
    for one in filters:
        part = one.name.removeprefix(_TAGS)
        if part not in patterns:
            raise unknown(one.name)
        if one.operator not in ("Equals", "NotEquals", "Contains", "In"):
            raise _no_operator(one)
        words = words_of(one.text) if one.operator == "In" else [one.text]
        either = "|".join(map(re.escape, words))
        patterns[part] = f".*{either}.*" if one.operator == "Contains" else f"(?:{either})"
    value = "(?:=.*)?" if patterns["Value"] == ".*" else f"={patterns['Value']}"
    return TextTest(Field("tag"), "matches", f"^{patterns['Key']}{value}$")


def _parent(filters: list[Filter], parents: Parents) -> Expression:
    tags = parents(filters)
    return OneOf(Field("tag"), tuple(tags)) if tags else _NEVER


def _comparison(one: Filter) -> Comparison:
    if one.operator not in _COMPARISONS:
        raise _no_operator(one)
    return _COMPARISONS[one.operator]


def _no_operator(one: Filter) -> Exception:
    return invalid(f"the operator {one.operator} cannot be used with {one.name[:100]!r} here: use another one")
