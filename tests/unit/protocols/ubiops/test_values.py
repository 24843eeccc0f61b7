"""Members of requests that UbiOps has rules for."""

from typing import Any

import pytest

from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.payloads import Payload
from runstream_protocols.ubiops.values import (
    description_of,
    labels_of,
    name_of,
    truth,
    variable_name,
    variable_value,
    wanted_labels,
    whole,
)


def payload(**fields: Any) -> Payload:
    return Payload(fields, b"")


@pytest.mark.parametrize("name", ["a", "A", "PASSWORD", "a_b", "a__b", "x" * 64, "SYS_DEFAULT_BUCKET"])
def test_a_variable_has_letters_and_underscores(name: str) -> None:
    assert variable_name(name) == name


@pytest.mark.parametrize("name", ["", "_a", "a_", "a-b", "a1", "a b", "a\n", "\u00e4", "x" * 65, "a/b"])
def test_other_names_of_variables_are_refused(name: str) -> None:
    with pytest.raises(Refused, match="give letters and underscores, at most 64"):
        variable_name(name)


@pytest.mark.parametrize("name", ["x" * 65, "", "a/b", " a", "a\0"])
def test_a_name_of_an_experiment_has_bounds(name: str) -> None:
    with pytest.raises(Refused):
        name_of("experiment", name)


def test_a_value_may_be_empty_and_its_refusal_does_not_show_it() -> None:
    assert variable_value(payload(value="")) == ""
    assert variable_value(payload()) is None
    for value in (["hunter2"], "hunter2" * 100_000, "hunter2\0"):
        with pytest.raises(Refused) as raised:
            variable_value(payload(value=value))
        assert "hunter2" not in raised.value.detail


@pytest.mark.parametrize(("given", "found"), [(1, 1), ("7", 7), (None, None), ("", None), (9, 9)])
def test_whole_numbers_come_as_numbers_or_texts(given: Any, found: int | None) -> None:
    assert whole(payload(n=given), "n", 1, 9) == found


@pytest.mark.parametrize("given", [0, 10, "x", 1.5, True, "1.0", -1, [1], "9" * 5_000, "\u0663"])
def test_what_is_no_whole_number_within_bounds_is_refused(given: Any) -> None:
    with pytest.raises(Refused, match="give a whole number of 1 to 9"):
        whole(payload(n=given), "n", 1, 9)


def test_labels_are_texts() -> None:
    assert labels_of(payload(labels={"a": "b"})) == {"a": "b"}
    assert labels_of(payload()) is None
    wrong: list[Any] = [[1], {"a": 1}, {"a": "x" * 201}, dict.fromkeys(map(str, range(101)), "x")]
    for given in wrong:
        with pytest.raises(Refused, match="labels"):
            labels_of(payload(labels=given))
    assert wanted_labels("a:b, c:d:e") == {"a": "b", "c": "d:e"}
    for text in ("a", ":b", "a:b,"):
        with pytest.raises(Refused, match="give KEY:VALUE"):
            wanted_labels(text)


def test_texts_and_truth_values() -> None:
    assert description_of(payload(description="")) == ""
    assert description_of(payload()) is None
    with pytest.raises(Refused, match="give at most 400"):
        description_of(payload(description="x" * 401))
    assert (truth(payload(s=False), "s"), truth(payload(), "s")) == (False, None)
    others: list[Any] = ["false", 0, []]
    for given in others:
        with pytest.raises(Refused, match="give true or false"):
            truth(payload(s=given), "s")
