"""Search expressions: filters joined by And and Or, of which nested ones hold for one object of a list. Pure."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from runstream_protocols.sagemaker.errors import invalid
from runstream_protocols.sagemaker.search_models import Filter, SearchExpression

T = TypeVar("T")
#: Of one expression, its parts included, as at AWS.
MAX_FILTERS: Final = 50
_MAX_DEPTH: Final = 10


def walked(
    expression: SearchExpression,
    test: Callable[[Filter], T],
    nested: Callable[[str, list[Filter]], T],
    join: Callable[[str, list[T]], T],
) -> T:
    """Return what `join` makes of all parts of an expression. Raises AwsError."""
    filters, depth = _size_of(expression)
    if filters > MAX_FILTERS or depth > _MAX_DEPTH:
        size = f"{filters} filters, {depth} deep"
        raise invalid(f"SearchExpression has {size}: at most {MAX_FILTERS}, {_MAX_DEPTH} deep, are allowed")
    if not filters:
        raise invalid("SearchExpression is empty: give at least one subexpression, filter, or nested filter")

    def walk(part: SearchExpression) -> T:
        made = [test(one) for one in part.filters]
        made += [nested(one.nested_property_name, one.filters) for one in part.nested_filters]
        made += [walk(one) for one in part.sub_expressions if _size_of(one)[0]]
        return join(part.operator, made)

    return walk(expression)


def _size_of(expression: SearchExpression) -> tuple[int, int]:
    """How many filters an expression has, and how deep it is."""
    parts = [_size_of(one) for one in expression.sub_expressions]
    own = len(expression.filters) + sum(len(one.filters) for one in expression.nested_filters)
    return own + sum(filters for filters, _ in parts), 1 + max((depth for _, depth in parts), default=0)


def holds(expression: SearchExpression, properties: Mapping[str, Any]) -> bool:
    """Return whether an expression holds for a thing with these properties: texts, moments, and lists of objects whose
    members are texts. Raises AwsError."""

    def test(one: Filter) -> bool:
        return passes(one, _values(properties, one.name))

    def nested(name: str, filters: list[Filter]) -> bool:
        items = properties.get(name)
        if not isinstance(items, list):
            raise unknown(name)
        return any(all(_item_passes(one, name, item) for one in filters) for item in items)

    def join(operator: str, parts: list[bool]) -> bool:
        return all(parts) if operator == "And" else any(parts)

    return walked(expression, test, nested, join)


def unknown(name: str) -> Exception:
    """Return the refusal of a property that things of this kind do not have."""
    return invalid(f"the property {name[:100]!r} cannot be searched by: see the documentation of Search")


def _item_passes(one: Filter, name: str, item: Mapping[str, str]) -> bool:
    member = one.name.removeprefix(f"{name}.")
    if member not in item:
        raise unknown(one.name)
    return passes(one, [item[member]])


def _values(properties: Mapping[str, Any], name: str) -> list[Any]:
    """The values of a property: `Tags.team` is that of the tag, `Tags.Key` are all keys."""
    if name in properties and not isinstance(properties[name], list):
        return [properties[name]] if properties[name] else []
    parent, dot, member = name.partition(".")
    items = properties.get(parent)
    if not dot or not isinstance(items, list):
        raise unknown(name)
    if parent == "Tags" and member not in ("Key", "Value"):
        return [item["Value"] for item in items if item["Key"] == member]
    return [item[member] for item in items if member in item]


def passes(one: Filter, values: Iterable[Any]) -> bool:
    """Return whether one of the values passes the test; NotEquals: whether all differ."""
    match one.operator:
        case "Exists":
            return any(True for _ in values)
        case "NotExists":
            return not any(True for _ in values)
        case "NotEquals":
            return not any(value == _like(one, value) for value in values)
        case "Equals":
            return any(value == _like(one, value) for value in values)
        case "Contains":
            return any(one.text in str(value) for value in values)
        case "In":
            return any(str(value) in words_of(one.text) for value in values)
        case "GreaterThan":
            return any(value > _like(one, value) for value in values)
        case "GreaterThanOrEqualTo":
            return any(value >= _like(one, value) for value in values)
        case "LessThan":
            return any(value < _like(one, value) for value in values)
        case "LessThanOrEqualTo":
            return any(value <= _like(one, value) for value in values)


def words_of(text: str) -> list[str]:
    """Return the values in that of In."""
    return [word.strip() for word in text.split(",")]


def _like(one: Filter, value: Any) -> Any:
    """The filter's value as one that can be compared with `value`."""
    return moment_in(one) if isinstance(value, datetime) else one.text


def moment_in(one: Filter) -> datetime:
    """Return the moment in a filter, in UTC where it names no zone. Raises AwsError."""
    try:
        moment = datetime.fromisoformat(one.text)
    except ValueError:
        raise invalid(f"{one.text[:60]!r} is no moment: give {one.name[:60]} as YYYY-mm-ddTHH:MM:SS") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
