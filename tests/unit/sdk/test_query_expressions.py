"""`runstream.query`: the filter that an expression becomes, and what is refused with a word on how to say it."""

import operator
from datetime import datetime
from typing import Any

import pytest

from runstream.errors import Invalid
from runstream.query import Environment, Field, Metadata, Metric, Other, Parameter, QueryExpression, Tag


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (Metric("acc") > 0.9, "metric.acc > 0.9"),
        (Metric("val/acc top 1").max >= 1, 'metric."val/acc top 1".max >= 1.0'),
        (Metric("loss.min") < 1, 'metric."loss.min" < 1.0'),
        (Metric("loss").min < 1, "metric.loss.min < 1.0"),
        (Parameter("lr") == 0.1, "param.lr = 0.1"),
        (Parameter("opt") == "adam", 'param.opt = "adam"'),
        (Parameter("seed") == "3", '(param.seed = "3" or param.seed = 3.0)'),
        (Parameter("flag") == True, "param.flag = 1.0"),  # noqa: E712
        (Parameter("lr") == None, "param.lr is null"),  # noqa: E711
        (Parameter("lr") != None, "param.lr is not null"),  # noqa: E711
        (Parameter("note") == "", 'param.note = ""'),
        (Parameter("lr") != 1, "(param.lr is not null and not param.lr = 1.0)"),
        (~(Metric("acc") > 1), "metric.acc <= 1.0"),
        (~Tag("x y"), 'tag != "x y"'),
        (Other("Name") == 'a "b"', 'name = "a \\"b\\""'),
        (Environment("os_type").startswith("Lin"), 'env.host.system startswith "Lin"'),
        (
            Environment("os").startswith("Lin"),
            '(env.comet.os startswith "Lin" or (env.comet.os is null and env.host.system startswith "Lin"))',
        ),
        (Environment("os") == None, "(env.comet.os is null and env.host.system is null)"),  # noqa: E711
        (Environment("git.commit") == "3f", 'env.git.commit = "3f"'),
        (Metadata("duration") > 120, "duration > 120.0"),
        (Metadata("start_server_timestamp") < datetime(2019, 9, 24, 5), "started < 2019-09-24T05:00:00.000000Z"),
        (Field("notes").contains("warm"), 'notes contains "warm"'),
        (Field("experiment") == "", "experiment is null"),
        (Field("host") == "7", 'host = "7"'),
        (Field("name").in_(["a", "b"]), 'name in ("a", "b")'),
        (Field("duration", "number") > 120, "duration > 120.0"),
        (Field("created", "time") < datetime(2019, 9, 24), "created < 2019-09-24T00:00:00.000000Z"),
        (Parameter("lr").between(0.1, 1), "param.lr between 0.1 and 1.0"),
        (Parameter("opt").in_(["adam", "sgd"]), 'param.opt in ("adam", "sgd")'),
        (Parameter("opt").matches("^ad"), 'param.opt matches "^ad"'),
        (
            (Metric("a") > 1) & (Metric("b") > 1) & ((Tag("x") | Tag("y")) & (Metric("c") < 1)),
            'metric.a > 1.0 and metric.b > 1.0 and (tag = "x" or tag = "y") and metric.c < 1.0',
        ),
        (~((Metric("a") > 1) & Tag("x")), 'metric.a <= 1.0 or tag != "x"'),
    ],
)
def test_an_expression_is_a_filter(expression: QueryExpression, text: str) -> None:
    assert expression.filter() == text


def test_expressions_show_themselves_as_comets_do() -> None:
    assert repr(Metadata("user_name")) == "Metadata('user_name')"
    assert repr(Field("notes")) == "Field('notes')"
    assert repr(Field("created", "time")) == "Field('created', 'time')"
    assert repr(Tag("a")) == "Tag('a')"
    assert repr((Metric("acc") > 0.9) & ~(Parameter("lr") == 1)) == "((Metric('acc') > 0.9) & (Parameter('lr') != 1))"


@pytest.mark.parametrize(
    ("wrong", "error", "advice"),
    [
        (lambda: bool(Metric("a") > 1), TypeError, "use & for and"),
        (lambda: bool(Metric("a")), TypeError, "compare it"),
        (lambda: 1 in Metric("a"), TypeError, "contains"),
        (lambda: (Metric("a") > 1) == 1, TypeError, "parentheses"),
        (lambda: operator.and_(Metric("a") > 1, Metric("b")), Invalid, "compared with nothing"),
        (lambda: operator.and_(Metric("a") > 1, "b"), Invalid, "no query"),
        (lambda: Metric("a") > [1], Invalid, "not with list"),
        (lambda: Metric("a").contains("x"), Invalid, "has no text"),
        (lambda: Parameter("a").contains(1), Invalid, "give a text"),  # type: ignore[arg-type]
        (lambda: Parameter("a").in_("abc"), Invalid, "list of values"),
        (lambda: Parameter("a").between(None, 1), Invalid, "two values"),
        (lambda: Metadata("nope"), Invalid, "there are duration"),
        (lambda: Field("notes", "flag"), Invalid, "give one of text, number, time"),
        (lambda: Field('notes = "" or name'), Invalid, "no field of runs"),
        (lambda: Field("duration", "number").contains("x"), Invalid, "has no text"),
        (lambda: Metric("a", "median"), Invalid, "there are min"),
        (lambda: Metric(""), Invalid, "not empty"),
        (lambda: Tag(""), Invalid, "not empty"),
    ],
)
def test_what_cannot_be_queried_says_why(wrong: Any, error: type[Exception], advice: str) -> None:
    with pytest.raises(error, match=advice):
        wrong()
