"""Which columns a table of runs has."""

import pytest

from runstream_infra.cli.columns import chosen_columns, filter_columns, text_columns


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (None, []),
        ("", []),
        (" name , param.lr,name,", ["name", "param.lr"]),
        ("param.\"a,b\",metric.'x,y'.min", ['param."a,b"', "metric.'x,y'.min"]),
        (r'param."a\",b",name', [r'param."a\",b"', "name"]),
    ],
)
def test_a_comma_in_quotes_is_part_of_a_name(text: str | None, keys: list[str]) -> None:
    assert chosen_columns(text) == keys


def test_what_is_queried_is_shown() -> None:
    assert filter_columns('metric.loss.min < 1 and tag = "a" and name = "b"', "-param.lr,created") == [
        "param.lr",
        "created",
        "metric.loss.min",
        "tags",
    ]


def test_a_filter_with_a_mistake_is_left_to_the_server() -> None:
    assert filter_columns("metric.loss <", "-param.lr") == ["param.lr"]


def test_texts_stand_in_the_order_of_the_row() -> None:
    texts = ("id", "workspace", "project", "experiment", "name", "status", "message", "user", "host", "notes")
    assert text_columns() == (*texts, "group", "job_type")
