"""Keys of projects stand for projects of Runstream and their workspaces, both ways."""

import pytest

from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place, key_of_project, place_of


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("vision", Place("default", "vision")),
        ("team:vision", Place("team", "vision")),
        ("team:a:b", Place("team", "a:b")),
        ("default:a:b", Place("default", "a:b")),
        ("été ☃", Place("default", "été ☃")),
    ],
)
def test_a_key_names_a_project_and_its_workspace(key: str, place: Place) -> None:
    assert place_of(key) == place
    assert key_of_project(place.workspace, place.project) == key


@pytest.mark.parametrize("key", ["", ":", "a:", ":a", " a", "a/b", "x" * 1_000, "a\0"])
def test_a_key_that_can_be_no_project_is_refused(key: str) -> None:
    with pytest.raises(Refused, match=r"project|workspace"):
        place_of(key)
