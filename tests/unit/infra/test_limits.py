"""Bounds of a server from its environment, and the page that lists them."""

import re
from pathlib import Path

import pytest

from runstream.errors import InvalidSetting
from runstream_infra.limits import Limits
from runstream_infra.settings import CommonSettings
from runstream_service.settings import Known, known_settings

#: The settings that are bounds: those of the tree's part `limits`.
BOUNDS = {variable: one for variable, one in known_settings(CommonSettings).items() if one.fields[0] == "limits"}


def limits(environ: dict[str, str]) -> Limits:
    return CommonSettings.from_environment(environ).limits


def value_of(found: Limits, one: Known) -> object:
    _, section, field = one.fields
    return getattr(getattr(found, section), field)


def test_each_bound_has_a_variable_that_sets_it() -> None:
    assert len(BOUNDS) > 100
    for variable, one in BOUNDS.items():
        default = value_of(Limits(), one)
        value = 7 if default is None else default + 1  # type: ignore[operator]
        changed = limits({variable: str(value)})
        assert value_of(changed, one) == value
        _, section, field = one.fields
        expected = Limits().model_dump()
        expected[section][field] = value
        assert changed.model_dump() == expected


def test_no_variable_changes_nothing() -> None:
    assert limits({"HOME": "/", "RUNSTREAM_WORKER_GROUP": "w", "RUNSTREAM_URL": "x"}) == Limits()


@pytest.mark.parametrize("variable", ["RUNSTREAM_QUERY_MAX_PAGES", "RUNSTREAM_GATEWAY_IS_ONLY_GATEWAY"])
def test_a_variable_that_names_no_bound_is_refused(variable: str) -> None:
    with pytest.raises(InvalidSetting, match=f"{variable} is no setting of a server"):
        limits({variable: "1"})


def test_a_name_that_is_near_is_told() -> None:
    with pytest.raises(InvalidSetting, match="did you mean RUNSTREAM_QUERY_MAX_PAGE"):
        limits({"RUNSTREAM_QUERY_MAX_PAGES": "1"})


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", ""])
def test_a_value_that_a_bound_cannot_have_is_refused(value: str) -> None:
    with pytest.raises(InvalidSetting, match=f"RUNSTREAM_QUERY_MAX_PAGE='{value}' cannot be used"):
        limits({"RUNSTREAM_QUERY_MAX_PAGE": value})


def test_what_kubernetes_tells_of_services_is_no_wrong_setting() -> None:
    """A service called `runstream-gateway` gives every container of its namespace these variables."""
    links = {
        "RUNSTREAM_GATEWAY_SERVICE_HOST": "10.0.0.1",
        "RUNSTREAM_GATEWAY_SERVICE_PORT": "7070",
        "RUNSTREAM_GATEWAY_SERVICE_PORT_HTTP": "7070",
        "RUNSTREAM_GATEWAY_PORT": "tcp://10.0.0.1:7070",
        "RUNSTREAM_GATEWAY_PORT_7070_TCP": "tcp://10.0.0.1:7070",
        "RUNSTREAM_GATEWAY_PORT_7070_TCP_ADDR": "10.0.0.1",
        "RUNSTREAM_QUERY_SERVER_SERVICE_HOST": "10.0.0.2",
    }
    assert limits(links) == Limits()


def test_the_security_page_lists_each_bound_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "security.md").read_text()
    listed = dict(re.findall(r"^\| `(RUNSTREAM_[A-Z_0-9]+)` \| ([^|]*?) \|", page, re.MULTILINE))
    assert listed == {variable: shown(value_of(Limits(), one)) for variable, one in BOUNDS.items()}


def shown(value: object) -> str:
    """A default as the page writes it."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
