"""What Comet's client calls the versions of an artifact, and which one it means."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstream_protocols.comet.artifact_versions import (
    LATEST,
    SEMANTIC,
    find_version,
    given_aliases,
    semantic_versions,
    shown_aliases,
)


@dataclass(frozen=True)
class Version:
    ordinal: int
    version: str
    aliases: tuple[str, ...] = ()


VERSIONS = [Version(1, "1", ("base",)), Version(2, "2.0.0-rc.1", ("best",)), Version(3, "1.0.0"), Version(7, "v7")]


def test_versions_without_a_semantic_one_are_called_by_their_number() -> None:
    assert semantic_versions(VERSIONS) == {1: "1.0.0+1", 2: "2.0.0-rc.1", 3: "1.0.0", 7: "7.0.0"}


@given(st.lists(st.sampled_from(["", "1", "1.0.0", "2.0.0", "2.0.0+2", "x", "3.0.0"]), max_size=6, unique=True))
def test_no_two_versions_are_called_the_same_and_all_as_the_client_takes_them(texts: list[str]) -> None:
    versions = [Version(ordinal, text) for ordinal, text in enumerate(texts, 1)]
    names = semantic_versions(versions)
    assert all(map(SEMANTIC.fullmatch, names.values()))
    assert len(set(names.values())) == len(texts)
    for one in versions:
        assert find_version(versions, version=names[one.ordinal]) == one


@pytest.mark.parametrize(
    ("wanted", "ordinal"),
    [
        ({}, 7),
        ({"version": "1.0.0"}, 3),
        ({"version": "1"}, 1),
        ({"version": "7.0.0"}, 7),
        ({"version": "8.0.0"}, None),
        ({"alias": "best"}, 2),
        ({"alias": "worst"}, None),
        ({"alias": "latest"}, 7),
        ({"either": "base"}, 1),
        ({"either": "v7"}, 7),
        ({"either": LATEST}, 7),
        ({"either": "2"}, None),
    ],
)
def test_which_version_is_meant(wanted: dict[str, str], ordinal: int | None) -> None:
    found = find_version(VERSIONS, **wanted)
    assert (None if found is None else found.ordinal) == ordinal
    assert find_version([], **wanted) is None


def test_the_newest_version_alone_is_shown_as_the_latest() -> None:
    assert [shown_aliases(one, VERSIONS) for one in VERSIONS] == [["base"], ["best"], [], [LATEST]]
    assert given_aliases(("a", LATEST, "b")) == ("a", "b"), "nobody gives it"
