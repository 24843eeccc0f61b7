"""Searches and tags of the unmodified `sagemaker-experiments`."""

from typing import Any

import pytest

from kit.sagemaker.server import SEARCHES, SEARCHES_REFUSED, Server

Logged = dict[str, Any]
ALL = [f"searched-{number}" for number in range(4)]


@pytest.fixture(scope="module")
def found(server: Server) -> Logged:
    """What came of the steps that search and tag."""
    return {name: one["value"] for name, one in server.told(*SEARCHES).items()}


@pytest.fixture(scope="module")
def refused(server: Server) -> Logged:
    """What came of the steps that the server refuses."""
    return server.told(*SEARCHES_REFUSED)


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("all", ALL),
        ("less", ALL[:1]),
        ("at_most", ALL[:2]),
        ("greater", ALL[2:]),
        ("at_least", ALL[1:]),
        ("not_equal", [ALL[0], *ALL[2:]]),
        ("there", ALL),
        ("not_there", []),
        ("failed", ALL[:1]),
        ("by_parent", ALL[2:]),
        ("by_nested_parent", ALL[:2]),
        ("by_tag", ALL[2:3]),
        ("by_nested_tag", ALL[3:]),
        ("by_either", [ALL[0], ALL[3]]),
    ],
)
def test_components_are_found(found: Logged, search: str, names: list[str]) -> None:
    assert found["found"]["components"][search] == names


def test_experiments_and_trials_are_found(found: Logged) -> None:
    experiments = found["found"]["experiments"]
    assert experiments["youngest_first"] == ["Searched-Other", "Searched"]
    assert experiments["by_name"] == ["Searched", "Searched-Other"]
    assert experiments["described"] == ["Searched"]
    assert experiments["by_tag"] == ["Searched-Other"]
    assert found["found"]["trials"] == ["searched-first"]


def test_what_is_found_is_shown_with_all_of_it(found: Logged) -> None:
    details = found["found"]["details"]
    assert details["parents"] == [{"TrialName": "searched-first", "ExperimentName": "Searched"}]
    assert details["component_tags"] == [{"Key": "sweep", "Value": "number 0"}]
    assert details["parameters"]["rate"] == {"NumberValue": 0.1}
    assert details["summaries"] == ALL[:2]
    assert details["experiment_tags"] == [{"Key": "team", "Value": "vision"}]


def test_things_of_each_kind_have_tags(server: Server, found: Logged) -> None:
    expected = [["a", "2"], ["b", ""]]
    assert found["tags"] == {"experiment": expected, "trial": expected, "component": expected}
    assert set(server.api().run("tagged-component").tags) == {"a=2", "b"}


@pytest.mark.parametrize(
    ("step", "code", "words"),
    [
        ("search_by_nothing", "ValidationException", "the property 'Colour' cannot be searched by"),
        ("search_in_no_order", "ValidationException", "'Tags' at 'SortBy' failed to satisfy constraint"),
        ("search_with_a_bad_token", "ValidationException", "'AAAA' at 'NextToken' failed to satisfy constraint"),
        ("tag_of_a_trial", "ValidationException", "the tag 'trial:sneaked-in' cannot be told from another"),
        ("tags_of_nothing", "ResourceNotFound", "endpoint/x' does not exist"),
    ],
)
def test_the_client_raises_what_the_server_refuses(refused: Logged, step: str, code: str, words: str) -> None:
    told = refused[step]
    assert (told["code"], told["status"], told["retries"]) == (code, 400, 0)
    assert words in told["message"]
