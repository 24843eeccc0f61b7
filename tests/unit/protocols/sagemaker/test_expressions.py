"""Search expressions: what they hold for in memory, and as filters of runs."""

from datetime import UTC, datetime
from typing import Any

import pytest

from runstream_protocols.sagemaker.component_filters import filter_of
from runstream_protocols.sagemaker.errors import AwsError
from runstream_protocols.sagemaker.expressions import holds
from runstream_protocols.sagemaker.search_models import Filter, SearchExpression
from runstream_query.filters.checks import check
from runstream_query.filters.printer import print_filter

THING: dict[str, Any] = {
    "ExperimentName": "AutoML",
    "Description": "",
    "CreationTime": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "Tags": [{"Key": "team", "Value": "vision"}, {"Key": "stage", "Value": "test"}],
}


def one(name: str, operator: str | None = None, value: str | None = None) -> dict[str, Any]:
    """A filter as the client sends it."""
    given = {"Name": name, "Operator": operator, "Value": value}
    return {member: told for member, told in given.items() if told is not None}


def nested(name: str, *filters: dict[str, Any]) -> dict[str, Any]:
    return {"NestedFilters": [{"NestedPropertyName": name, "Filters": list(filters)}]}


def expression(fields: dict[str, Any]) -> SearchExpression:
    return SearchExpression.model_validate(fields)


@pytest.mark.parametrize(
    ("filters", "is_held"),
    [
        (one("ExperimentName", None, "AutoML"), True),
        (one("ExperimentName", "Equals", "automl"), False),
        (one("ExperimentName", "NotEquals", "other"), True),
        (one("ExperimentName", "Contains", "toM"), True),
        (one("ExperimentName", "In", "x, AutoML"), True),
        (one("ExperimentName", "GreaterThan", "Au"), True),
        (one("ExperimentName", "LessThanOrEqualTo", "Au"), False),
        (one("Description", "Exists"), False),
        (one("Description", "NotExists"), True),
        (one("CreationTime", "Equals", "2026-01-02T03:04:05"), True),
        (one("CreationTime", "GreaterThan", "2026-01-02T03:04:05"), False),
        (one("CreationTime", "GreaterThanOrEqualTo", "2026-01-02T03:04:05Z"), True),
        (one("CreationTime", "LessThan", "2026-01-02T04:04:05+02:00"), False),
        (one("Tags.team", "Equals", "vision"), True),
        (one("Tags.team", "NotEquals", "vision"), False),
        (one("Tags.nothing", "Exists"), False),
        (one("Tags.nothing", "NotEquals", "x"), True),
        (one("Tags.Key", "Equals", "stage"), True),
    ],
)
def test_a_filter_holds_for_a_thing(filters: dict[str, Any], is_held: bool) -> None:
    assert holds(expression({"Filters": [filters]}), THING) is is_held


def test_nested_filters_hold_for_one_object() -> None:
    key, value = one("Tags.Key", "Equals", "team"), one("Tags.Value", "Equals", "vision")
    assert holds(expression(nested("Tags", key, value)), THING)
    assert not holds(expression(nested("Tags", key, one("Tags.Value", "Equals", "test"))), THING)


def test_parts_are_joined() -> None:
    right, wrong = one("ExperimentName", "Contains", "A"), one("ExperimentName", "Contains", "Z")
    assert not holds(expression({"Filters": [right, wrong]}), THING)
    assert holds(expression({"Filters": [right, wrong], "Operator": "Or"}), THING)
    either = {"Filters": [right, wrong], "Operator": "Or"}
    assert holds(expression({"SubExpressions": [either, {"Filters": [right]}], "Operator": "And"}), THING)
    assert not holds(expression({"SubExpressions": [either, {"Filters": [wrong]}], "Operator": "And"}), THING)


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        (one("DisplayName", None, "x"), 'name = "x"'),
        (one("DisplayName", "Contains", "x"), 'name contains "x"'),
        (one("TrialComponentName", "Contains", "x"), 'id contains "x"'),
        (one("Parameters.lr", "LessThan", "0.1"), "param.lr < 0.1"),
        (one("Parameters.lr", "Equals", "0.1"), 'param.lr = "0.1" or param.lr = 0.1'),
        (one("Parameters.lr", "NotEquals", "0.1"), 'param.lr != "0.1" and param.lr != 0.1'),
        (one("Parameters.loss", "Equals", "mse"), 'param.loss = "mse"'),
        (one("Parameters.loss", "Exists"), "param.loss is not null"),
        (one("Parameters.loss", "NotExists"), "param.loss is null"),
        (one("Metrics.loss", "LessThan", "0.5"), "metric.loss < 0.5"),
        (one("Metrics.train:loss.Min", "LessThan", "0.5"), 'metric."train:loss".min < 0.5'),
        (one("Metrics.loss.Avg", "GreaterThan", "1e3"), "metric.loss.mean > 1000.0"),
        (one("Metrics.loss", "In", "0, x"), "metric.loss in (0.0)"),
        (one("Tags.team", "NotEquals", "a"), 'not tag matches "^(?:team)=(?:a)$"'),
        (one("Tags.Key", "NotEquals", "a"), 'not tag matches "^(?:a)(?:=.*)?$"'),
        (one("Status.PrimaryStatus", "Equals", "Failed"), 'status in ("failed", "crashed")'),
        (one("Status.PrimaryStatus", "NotEquals", "Completed"), 'status not in ("finished")'),
        (one("StartTime", "GreaterThan", "2026-01-02T03:04:05"), "started > 2026-01-02T03:04:05Z"),
        (one("EndTime", "Exists"), "ended is not null"),
        (one("Tags.team", "Equals", "a.b"), r'tag matches "^(?:team)=(?:a\\.b)$"'),
        (one("Tags.team", "Exists"), 'tag matches "^team(=|$)"'),
        (one("Parents.TrialName", "Equals", "t"), 'tag in ("trial:t")'),
    ],
)
def test_a_filter_of_components_is_one_of_runs(filters: dict[str, Any], text: str) -> None:
    found = filter_of(expression({"Filters": [filters]}), lambda given: [f"trial:{given[0].value}"])
    check(found)
    assert print_filter(found) == text


def test_nested_filters_of_components() -> None:
    tags = nested("Tags", one("Tags.Key", "Equals", "team"), one("Tags.Value", "Contains", "vis"))
    assert print_filter(filter_of(expression(tags), no_parents)) == 'tag matches "^(?:team)=.*vis.*$"'
    other = nested("Tags", one("Tags.Key", "Equals", "team"), one("Tags.Value", "NotEquals", "vision"))
    assert print_filter(filter_of(expression(other), no_parents)) == (
        'tag matches "^(?:team)(?:=.*)?$" and not tag matches "^(?:team)=(?:vision)$"'
    )
    parents = nested("Parents", one("Parents.TrialName", "Equals", "t"), one("Parents.ExperimentName", "Equals", "e"))
    assert print_filter(filter_of(expression(parents), lambda given: ["trial:a", "trial:b"])) == (
        'tag in ("trial:a", "trial:b")'
    )
    assert print_filter(filter_of(expression(parents), no_parents)) == "id is null", "no run has no id"


def no_parents(filters: list[Filter]) -> list[str]:
    return []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "is empty"),
        ({"SubExpressions": [{}]}, "is empty"),
        ({"Filters": [one("Colour", "Equals", "x")]}, "'Colour' cannot be searched by"),
        ({"Filters": [one("Description.x", "Equals", "x")]}, "cannot be searched by"),
        ({"Filters": [one("CreationTime", "Equals", "yesterday")]}, "is no moment"),
        ({"Filters": [one("ExperimentName", "Equals")]}, "has no Value"),
        (nested("Colours", one("Colours.x", "Equals", "x")), "'Colours' cannot be searched by"),
        (nested("Tags", one("Tags.Colour", "Equals", "x")), "'Tags.Colour' cannot be searched by"),
        (
            {
                "Filters": [one("ExperimentName", "Exists")] * 20,
                "SubExpressions": [{"Filters": [one("ExperimentName", "Exists")] * 16}] * 2,
            },
            "52 filters",
        ),
    ],
)
def test_an_expression_that_means_nothing_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words):
        holds(expression(fields), THING)


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        (one("Colour", "Equals", "x"), "'Colour' cannot be searched by"),
        (one("Metrics.loss", "Equals", "low"), "'low' is no number"),
        (one("Metrics.loss", "Contains", "1"), "Contains cannot be used"),
        (one("StartTime", "Contains", "2026-01-01"), "Contains cannot be used"),
        (one("Status.PrimaryStatus", "GreaterThan", "Failed"), "GreaterThan cannot be used"),
        (one("Tags.team", "LessThan", "x"), "LessThan cannot be used"),
    ],
)
def test_a_filter_of_components_that_means_nothing_is_refused(filters: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsError, match=words):
        filter_of(expression({"Filters": [filters]}), no_parents)


def test_another_key_than_one_cannot_be_searched_by() -> None:
    other = nested("Tags", one("Tags.Key", "NotEquals", "team"), one("Tags.Value", "Equals", "vision"))
    with pytest.raises(AwsError, match="needs a filter of"):
        filter_of(expression(other), no_parents)
