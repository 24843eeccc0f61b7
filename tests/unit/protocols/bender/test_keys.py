"""Bender's names and ours."""

import pytest

from runstream_protocols.bender.keys import MAX_ALGO_CHARS, Place, algo_key, algo_of, place_of
from runstream_protocols.kit.errors import Refused


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("e", Place("default", "bender", "e")),
        ("vision/e", Place("default", "vision", "e")),
        ("team/vision/e", Place("team", "vision", "e")),
    ],
)
def test_a_name_is_a_place_and_back(name: str, place: Place) -> None:
    assert place_of(name) == place
    assert place.name == name


def test_longer_names_of_the_same_place_are_the_same() -> None:
    assert place_of("default/bender/e") == place_of("bender/e") == place_of("e")
    assert place_of("default/vision/e").name == "vision/e"


@pytest.mark.parametrize("name", ["", "/", "a/b/c/d", "//", " e", "x" * 300])
def test_what_names_no_place_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        place_of(name)


@pytest.mark.parametrize("name", ["a", "net/one", "100%", "a/b/c/d/e/f/g/h/i/j", "x" * MAX_ALGO_CHARS])
def test_an_algorithm_stands_below_its_experiment_whatever_its_name(name: str) -> None:
    key = algo_key(place_of("vision/e"), name)
    assert (key.count("/"), algo_of(key)) == (1, name)


@pytest.mark.parametrize("name", ["", "a%2Fb", "x" * (MAX_ALGO_CHARS + 1)])
def test_an_algorithm_that_could_be_taken_for_another_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        algo_key(place_of("e"), name)
