"""Bounds of a server from its environment."""

import re
from pathlib import Path

import pytest

from runstream.errors import InvalidSetting
from runstream_infra.limits import COMPOSED, Limits, variables


def test_each_bound_has_a_variable_that_sets_it() -> None:
    for variable, (section, field) in variables().items():
        default = getattr(getattr(Limits(), section), field)
        value = 7 if default is None else default + 1
        limits = Limits().from_environment({variable: str(value)})
        assert getattr(getattr(limits, section), field) == value
        untouched = Limits().model_dump()
        changed = limits.model_dump()
        changed[section][field] = untouched[section][field]
        assert changed == untouched


def test_no_variable_changes_nothing() -> None:
    assert Limits().from_environment({"HOME": "/", "RUNSTREAM_WORKER_GROUP": "w", "RUNSTREAM_URL": "x"}) == Limits()


@pytest.mark.parametrize("variable", ["RUNSTREAM_QUERY_MAX_PAGES", *COMPOSED])
def test_a_variable_that_names_no_bound_is_refused(variable: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{variable} is no setting of a server"):
        Limits().from_environment({variable: "1"})


def test_a_name_that_is_near_is_told() -> None:
    with pytest.raises(InvalidSetting, match="did you mean RUNSTREAM_QUERY_MAX_PAGE"):
        Limits().from_environment({"RUNSTREAM_QUERY_MAX_PAGES": "1"})


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", ""])
def test_a_value_that_a_bound_cannot_have_is_refused(value: str) -> None:
    with pytest.raises(InvalidSetting, match=f"RUNSTREAM_QUERY_MAX_PAGE='{value}' cannot be used"):
        Limits().from_environment({"RUNSTREAM_QUERY_MAX_PAGE": value})


def test_the_security_page_lists_each_bound_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    listed = dict(re.findall(r"^\| `(RUNSTREAM_[A-Z_0-9]+)` \| ([^|]*?) \|", page, re.MULTILINE))
    defaults = {
        variable: shown(getattr(getattr(Limits(), section), field))
        for variable, (section, field) in variables().items()
    }
    assert listed == defaults


def shown(value: object) -> str:
    """A default as the page writes it."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
