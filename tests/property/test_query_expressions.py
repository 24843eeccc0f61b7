"""`runstream.query`: expressions as Python writes them, against what they mean in plain Python; the text between the
two goes through the server's own parser and checks."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from kit.oracles.filter_trees import NAMES, NOW_US, NUMBERS, WORDS, expressions, random_run
from kit.oracles.filters import Run, holds
from kit.oracles.predicates import RUNS, UNKNOWN, passes, rules
from runstream.query import Environment, Metadata, Metric, Other, Parameter, QueryExpression, QueryVariable, Tag
from runstream_query.filters import Expression, IsNull, check, parse
from runstream_query.filters.times import iso_text
from runstream_query.filters.tree import NAMED, required_fields

VARIABLES = {
    "metrics": Metric,
    "params": Parameter,
    "log_other": Other,
    "env_details": Environment,
    "metadata": Metadata,
}
METHODS = {"contains": "contains", "begins_with": "startswith", "ends_with": "endswith"}
AGGREGATES = ["min", "max", "first", "last", "mean", "sum", "std", "count"]

#: ("rule", rule) | ("not", tree) | ("and" | "or", trees)
Tree = tuple[str, Any]
trees = st.recursive(
    rules.map(lambda rule: ("rule", rule)),
    lambda inner: (
        inner.map(lambda one: ("not", one))
        | st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=6,
)


def written(tree: Tree) -> QueryExpression:
    """The tree as somebody would write it."""
    sort, content = tree
    if sort == "rule":
        return written_rule(*content)
    if sort == "not":
        return ~written(content)
    first, *others = (written(one) for one in content)
    for other in others:
        first = first & other if sort == "and" else first | other
    return first


def written_rule(source: str, name: str, operator: str, value: Any) -> QueryExpression:
    positive = operator.removeprefix("not_")
    if positive != operator:
        return ~written_rule(source, name, positive, value)
    if source == "tag":
        return Tag(name)
    variable: QueryVariable = VARIABLES[source](name)
    match operator:
        case "is_null":
            return variable == None  # noqa: E711
        case "is_not_null":
            return variable != None  # noqa: E711
        case "is_empty":
            return variable == ""
        case "is_not_empty":
            return variable != ""
        case "between":
            return variable.between(*map(float, value))
        case "contains" | "begins_with" | "ends_with" if source == "metrics":
            raise AssertionError("no rule asks for texts of metrics")
        case "contains" | "begins_with" | "ends_with":
            made: QueryExpression = getattr(variable, METHODS[operator])(value)
            return made
    comparisons: dict[str, Callable[[], QueryExpression]] = {
        "equal": lambda: variable == value,
        "less": lambda: variable < value,
        "less_or_equal": lambda: variable <= value,
        "greater": lambda: variable > value,
        "greater_or_equal": lambda: variable >= value,
    }
    return comparisons[operator]()


def meant(tree: Tree, run: Run) -> bool | None:
    """SQL's result: true, false or unknown. `~` flips operators, as Comet's client does, so that NaN, which has no
    order, is on neither side."""
    sort, content = tree
    if sort == "rule":
        source, name, operator, value = content
        return passes({"source": source, "field": name, "operator": operator, "value": value}, run)
    if sort == "not":
        return meant(opposite(content), run)
    responses = [meant(one, run) for one in content]
    decides = sort == "or"
    if decides in responses:
        return decides
    return UNKNOWN if UNKNOWN in responses else not decides


FLIPPED = {"less": "greater_or_equal", "greater": "less_or_equal", "is_null": "is_not_null", "is_empty": "is_not_empty"}
FLIPPED |= {flipped: operator for operator, flipped in FLIPPED.items()}


def opposite(tree: Tree) -> Tree:
    sort, content = tree
    if sort == "not":
        denied: Tree = content
        return denied
    if sort in ("and", "or"):
        return ("or" if sort == "and" else "and", [opposite(one) for one in content])
    source, name, operator, value = content
    positive = operator.removeprefix("not_")
    flipped = FLIPPED.get(operator) or (positive if positive != operator else f"not_{operator}")
    return ("rule", (source, name, flipped, value))


def found_by(expression: QueryExpression) -> set[str]:
    tree = parse(expression.filter())
    check(tree)
    return {run.id for run in RUNS if holds(tree, run, NOW_US)}


@given(trees)
@settings(max_examples=examples(400), deadline=None)
def test_an_expression_finds_the_runs_that_it_means(tree: Tree) -> None:
    assert found_by(written(tree)) == {run.id for run in RUNS if meant(tree, run)}


@given(st.sampled_from(NAMES), st.sampled_from(AGGREGATES), st.sampled_from(NUMBERS), st.booleans())
@settings(max_examples=examples(200), deadline=None)
def test_each_summary_of_a_metric_can_be_requested(name: str, aggregate: str, bound: float, negated: bool) -> None:
    variable = Metric(name, aggregate)
    assert repr(getattr(Metric(name), aggregate)) == repr(variable)
    having = [run for run in RUNS if name in run.metrics]
    if bound != bound:
        wanted: set[str] = set()
    elif negated:
        wanted = {run.id for run in having if run.metrics[name][aggregate] <= bound}
    else:
        wanted = {run.id for run in having if run.metrics[name][aggregate] > bound}
    assert found_by(~(variable > bound) if negated else variable > bound) == wanted


values = st.sampled_from(NUMBERS) | st.sampled_from(WORDS) | st.none() | st.booleans()


@given(st.sampled_from(NAMES), st.lists(values, max_size=4), st.booleans())
@settings(max_examples=examples(200), deadline=None)
def test_in_is_equal_to_any_of_them(name: str, wanted: list[Any], negated: bool) -> None:
    variable = Parameter(name)
    each = [found_by(variable != value if negated else variable == value) for value in wanted]
    if negated:
        expected = set.intersection(found_by(variable != None), *each)  # noqa: E711
        assert found_by(~variable.in_(wanted)) == expected
    else:
        assert found_by(variable.in_(wanted)) == set().union(*each)


def test_times_are_utc_and_durations_seconds() -> None:
    for at_us in (NOW_US, NOW_US - 1, NOW_US + 90_000_000):
        naive = datetime(1970, 1, 1) + timedelta(microseconds=at_us)
        there = naive.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=-7)))
        wanted = {run.id for run in RUNS if (run.times["started"] or 0) < at_us}
        for moment in (naive, there, iso_text(at_us)):
            assert found_by(Metadata("start_server_timestamp") < moment) == wanted
    assert found_by(Metadata("duration") > timedelta(minutes=1.5)) == found_by(Metadata("duration") > 90)


SOME_RUNS = [random_run(f"run-{number}", Random(number)) for number in range(80)]


@given(expressions)
def test_runs_that_match_have_the_fields_that_the_expression_requires(expression: Expression) -> None:
    for run in SOME_RUNS:
        if holds(expression, run, NOW_US):
            for field in required_fields(expression):
                if field.kind not in NAMED:
                    continue  # a text of the run itself is never missing
                assert holds(IsNull(field, negated=True), run, NOW_US)


def test_which_fields_an_expression_requires() -> None:
    text = "metric.a < 1 and param.b in (2, 3) and env.c is not null and (metric.d = 1 or metric.e = 1)"
    text += " and not metric.f = 1 and other.g is null and param.h != 1 and param.i not in (1, 2)"
    assert {(field.kind, field.name) for field in required_fields(parse(text))} == {
        ("metric", "a"),
        ("param", "b"),
        ("env", "c"),
    }
