"""What the filter language says about mistakes, and that its documentation tells the truth."""

import re
from pathlib import Path

import pytest

from runstream_query.errors import FilterError
from runstream_query.filters import (
    And,
    Compare,
    Field,
    FromNow,
    Instant,
    Not,
    Or,
    TextTest,
    check,
    compile_filter,
    parse,
    parse_field,
    print_field,
    print_filter,
)
from runstream_query.repositories.statements.parameters import Parameters

DOCS = Path(__file__).parents[3] / "docs" / "query-language.md"


def test_precedence_and_parentheses() -> None:
    a, b, c = (Compare(Field("param", name), "=", 1.0) for name in "abc")
    assert parse("param.a = 1 or param.b = 1 and not param.c = 1") == Or((a, And((b, Not(c)))))
    assert parse("(param.a = 1 or param.b = 1) AND param.c == 1") == And((Or((a, b)), c))


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("metric.loss", Field("metric", "loss", "last")),
        ("metric.loss.min", Field("metric", "loss", "min")),
        ("metric.min", Field("metric", "min", "last")),
        ('metric."loss.min"', Field("metric", "loss.min", "last")),
        ("metric.val/top-1.max", Field("metric", "val/top-1", "max")),
        ("param.model.layers", Field("param", "model.layers")),
        ('env.git."remote url"', Field("env", "git.remote url")),
        ("tags", Field("tag")),
    ],
)
def test_fields(text: str, field: Field) -> None:
    assert parse_field(text) == field
    assert parse_field(print_field(field)) == field


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("created > now-2h", FromNow(-7_200_000_000)),
        ("created > now + 1.5s", FromNow(1_500_000)),
        ("created > 1970-01-02", Instant(86_400_000_000)),
        ('created > "1970-01-01 01:00:00.000001+01:00"', Instant(1)),
        ("duration > 90m", 5400.0),
        ("param.x > -1e3", -1000.0),
        (r"param.x > '\u00e9\d\n'", "é\\d\n"),
    ],
)
def test_values(text: str, value: object) -> None:
    expression = parse(text)
    assert isinstance(expression, Compare)
    assert expression.value == value


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "expected a field"),
        ("metric.loss <", 14, "expected a value, found the end"),
        ("metrics.loss < 1", 1, "did you mean metric?"),
        ("stauts = 'running'", 1, "did you mean status?"),
        ("loss < 1", 1, "metric.loss, parameters param.loss"),
        ("metric.loss < 'a'", 15, "metric is compared with a number"),
        ("created > 5", 11, "a time such as"),
        ("status = running", 10, 'in quotes, as in "running"'),
        ("status in ('running', 'runing')", 23, "did you mean running?"),
        ("(metric.a > 1", 14, "parenthesis at column 1"),
        ("tag > 'x'", 7, "no order"),
        ("metric.loss < nan", 15, "nan has no order"),
        ("0.1 < metric.loss", 1, "begin with a field"),
        ("name containz 'x'", 6, "did you mean contains?"),
        ("name matches '(?=x)'", 14, "RE2"),
        ("name matches '('", 14, "no regular expression"),
        ("metric.loss contains 'x'", 13, "is for texts"),
        ("a & b", 3, "write `and`"),
        ("name = 'x", 8, "no closing '"),
        ("created > now-2hours", 16, "unknown unit"),
        ("metric.loss < 3x", 15, "neither a number"),
        ("metric.loss < 1e999", 15, "too large"),
        ("param.x > 90m", 11, "only the field duration"),
        ("archived.x", 9, "no parts"),
        ("id in ()", 8, "expected a value"),
        ("metric. < 1", 8, "name is missing"),
        ("not " * 60 + "archived", 201, "nested more than 50 deep"),
        ("(" * 60, 51, "nested more than 50 deep"),
        (" or ".join(["archived"] * 101), 1, "at most 100"),
        ("id in (" + ",".join(["'x'"] * 1001) + ")", 4008, "more than 1000 values"),
        ("param.x = '\\ud800'", 11, "surrogate"),
    ],
)
def test_mistakes_have_a_place_and_a_reason(text: str, column: int, words: str) -> None:
    with pytest.raises(FilterError) as raised:
        parse(text)
    assert words in raised.value.message
    assert raised.value.column == column
    line, caret = raised.value.pointed().splitlines()
    place = column - 1 if len(text) <= 400 else min(column - 1, 200)
    assert caret == " " * place + "^"
    assert line == (text if len(text) <= 400 else text[column - 1 - place :][:400])


def test_the_caret_stands_in_its_own_line() -> None:
    with pytest.raises(FilterError) as raised:
        parse("archived\nand\tloss < 1")
    assert raised.value.pointed() == "and loss < 1\n    ^"


def test_a_tree_that_was_built_by_hand_is_checked_before_it_is_compiled() -> None:
    for wrong in (
        Compare(Field("created"), "<", 5.0),
        And(()),
        TextTest(Field("name"), "matches", "("),
        Compare(Field("param", ""), "=", 1.0),
        Compare(Field("status"), "=", "gone"),
    ):
        with pytest.raises(FilterError):
            check(wrong)
        with pytest.raises(FilterError):
            compile_filter(wrong, Parameters(), 0)


def test_no_value_and_no_name_is_ever_part_of_a_statement() -> None:
    evil = "x'; DROP TABLE runs --"
    texts = [f'metric."{evil}" < 1', f'param."{evil}" = "{evil}"', f'name contains "{evil}" or tag in ("{evil}")']
    for text in texts:
        parameters = Parameters()
        condition = compile_filter(parse(text), parameters, 0)
        assert "DROP" not in condition
        assert any("DROP" in str(value) for value in parameters.values.values())


def test_every_example_in_the_documentation_is_a_filter() -> None:
    examples = [
        line for block in re.findall(r"```filter\n(.*?)```", DOCS.read_text(), re.DOTALL) for line in block.splitlines()
    ]
    assert len(examples) >= 8
    for example in examples:
        assert parse(print_filter(parse(example))) == parse(example)
