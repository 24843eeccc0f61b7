"""Which generation serves, which is built and which goes away, by what the store has of them."""

import itertools
import random

import pytest

from runstream_processors.generations import (
    Generation,
    GenerationsMismatch,
    Recorded,
    Stage,
    Versions,
    first_generation,
    generations_of,
    plan,
)

OLD: Versions = {"points": 1, "summary_states": 1}
NEW: Versions = {"points": 1, "summary_states": 2}
WHOLE = {0: 0, 1: 0}


def planned(
    *rows: Recorded, wanted: Versions = NEW, begins: dict[int, int] = WHOLE
) -> tuple[int, int | None, list[int]]:
    """The numbers that serve, are built and are dropped."""
    found = generations_of(rows)
    assert found is not None
    chosen = plan(found, wanted, begins)
    return (
        chosen.serve.number,
        None if chosen.build is None else chosen.build.number,
        sorted(generation.number for generation in chosen.drop),
    )


def row(number: int, stage: Stage, versions: Versions = NEW, detail: str = "") -> Recorded:
    return Recorded(number, stage, versions, detail)


FIRST = first_generation(OLD)


def test_tables_of_this_build_are_left_alone() -> None:
    assert planned(first_generation(NEW)) == (1, None, [])


def test_other_versions_are_built_under_the_next_number() -> None:
    assert planned(FIRST) == (1, 2, [])
    assert planned(FIRST, wanted={**OLD, "links": 1}) == (1, 2, []), "a read model that was not there is a difference"
    found = generations_of([FIRST])
    assert found is not None
    assert [str(one) for one in plan(found, {**NEW, "links": 1}, WHOLE).differences] == [
        "links none -> 1",
        "summary_states 1 -> 2",
    ]


def test_every_step_leaves_one_that_serves_and_is_gone_on_with() -> None:
    """What a crash leaves: the rows up to some step, in any order, some of them twice."""
    steps = [
        (FIRST, (1, 2, [])),
        (row(2, Stage.BUILDING), (1, 2, [])),
        (row(2, Stage.SERVING), (2, None, [1])),
        (row(1, Stage.DROPPED, OLD), (2, None, [])),
    ]
    for count in range(1, len(steps) + 1):
        rows = [recorded for recorded, _ in steps[:count]]
        for ordered in itertools.permutations([*rows, random.choice(rows)]):
            assert planned(*ordered) == steps[count - 1][1]


def test_a_build_of_other_versions_is_given_up() -> None:
    newer = {**NEW, "points": 2}
    assert planned(FIRST, row(2, Stage.BUILDING), wanted=newer) == (1, 3, [2])
    assert planned(FIRST, row(2, Stage.BUILDING), wanted=OLD) == (1, None, [2]), "the build before came back"


def test_a_refused_generation_is_dropped_and_not_built_again() -> None:
    rows = (FIRST, row(2, Stage.BUILDING), row(2, Stage.REFUSED, detail="points at r loss (2 rows, rebuilt 1)"))
    assert planned(*rows) == (1, None, [2])
    assert planned(*rows, row(2, Stage.DROPPED)) == (1, None, [])
    found = generations_of(rows)
    assert found is not None
    obstacle = plan(found, NEW, WHOLE).obstacle
    assert obstacle is not None
    assert "points at r loss (2 rows, rebuilt 1)" in obstacle
    assert "runstream rebuild --replace" in obstacle
    assert planned(*rows, wanted={**NEW, "points": 2}) == (1, 3, [2]), "another version is tried"


def test_a_log_without_its_beginning_is_not_folded_anew() -> None:
    assert planned(FIRST, row(2, Stage.BUILDING), begins={0: 0, 1: 17}) == (1, None, [2])
    found = generations_of([FIRST])
    assert found is not None
    obstacle = plan(found, NEW, {0: 0, 1: 17}).obstacle
    assert obstacle is not None
    assert "removed the first 17 records of partition 1" in obstacle


def test_rows_of_a_newer_build_are_refused() -> None:
    with pytest.raises(GenerationsMismatch, match="summary_states are of version 2, this build folds version 1"):
        planned(first_generation(NEW), wanted=OLD)


def test_nothing_serves_where_nothing_was_recorded() -> None:
    assert generations_of([]) is None
    assert generations_of([row(1, Stage.BUILDING)]) is None


def test_databases_of_generations() -> None:
    assert [Generation(number, OLD).database("runstream") for number in (1, 2, 13)] == [
        "runstream",
        "runstream_generation_2",
        "runstream_generation_13",
    ]
