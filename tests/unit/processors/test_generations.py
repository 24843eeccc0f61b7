"""Which generation serves, which is built and which goes away, by what the store has of them."""

import itertools
import random

import pytest

from runstream_processors.generations import (
    Generation,
    Generations,
    GenerationsMismatch,
    Purpose,
    Rebuild,
    RebuildRefused,
    Recorded,
    Stage,
    Versions,
    after_comparison,
    first_generation,
    generations_of,
    plan,
    rebuild_row,
)

OLD: Versions = {"points": 1, "summary_states": 1}
NEW: Versions = {"points": 1, "summary_states": 2}
WHOLE = {0: 0, 1: 0}


def planned(
    *rows: Recorded, wanted: Versions = NEW, begins: dict[int, int] = WHOLE
) -> tuple[int, int | None, list[int]]:
    """The numbers that serve, are built and are dropped."""
    chosen = plan(of(*rows), wanted, begins)
    return (
        chosen.serve.number,
        None if chosen.build is None else chosen.build.number,
        sorted(generation.number for generation in chosen.drop),
    )


def of(*rows: Recorded) -> Generations:
    found = generations_of(rows)
    assert found is not None
    return found


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


SERVES = first_generation(NEW)
COMPARE, REPLACE = (row(2, Stage.BUILDING, detail=purpose.value) for purpose in (Purpose.COMPARE, Purpose.REPLACE))
DIFFERS = "points at r loss (2 rows, rebuilt 1)"


def test_a_rebuild_is_requested_by_a_row_and_built_like_any_other() -> None:
    assert rebuild_row(of(SERVES), NEW, WHOLE, Purpose.COMPARE) == COMPARE
    assert planned(SERVES, COMPARE) == (1, 2, [])
    assert plan(of(SERVES, COMPARE), NEW, WHOLE).purpose is Purpose.COMPARE
    assert planned(SERVES, COMPARE, wanted={**NEW, "points": 2}) == (1, 3, [2]), "another build comes first"
    assert planned(SERVES, COMPARE, begins={0: 7}) == (1, None, [2])


@pytest.mark.parametrize(
    ("rows", "outcome", "detail"),
    [
        ([COMPARE], "building", ""),
        ([COMPARE, row(2, Stage.RETIRED, detail="equal")], "equal", ""),
        ([COMPARE, row(2, Stage.REFUSED, detail=DIFFERS)], "different", DIFFERS),
        ([COMPARE, row(2, Stage.RETIRED, detail="the log was cut")], "given up", "the log was cut"),
        ([COMPARE, row(2, Stage.DROPPED)], "given up", ""),
        ([REPLACE, row(2, Stage.READY, detail=DIFFERS)], "building", ""),
        ([REPLACE, row(2, Stage.READY), row(2, Stage.SERVING)], "equal", ""),
        ([REPLACE, row(2, Stage.SERVING, detail=DIFFERS), row(2, Stage.RETIRED)], "different", DIFFERS),
    ],
)
def test_what_became_of_a_rebuild_is_told_by_its_rows(rows: list[Recorded], outcome: str, detail: str) -> None:
    rebuild = of(SERVES, *rows).rebuild
    assert rebuild is not None
    assert (rebuild.generation, rebuild.outcome, rebuild.detail) == (2, outcome, detail)
    assert rebuild.replace == (rows[0] is REPLACE)


def test_the_last_rebuild_is_told() -> None:
    later = row(3, Stage.BUILDING, detail=Purpose.REPLACE.value)
    assert of(SERVES, COMPARE, row(2, Stage.DROPPED), later).rebuild == Rebuild(3, replace=True)
    assert of(FIRST, row(2, Stage.BUILDING)).rebuild is None, "nobody requested it"


def test_no_rebuild_is_requested_beside_another_or_of_a_log_without_its_beginning() -> None:
    for found in (of(SERVES, COMPARE), of(FIRST)):
        with pytest.raises(RebuildRefused, match="generation 2 of the read models is being built: wait"):
            rebuild_row(found, NEW, WHOLE, Purpose.REPLACE)
    with pytest.raises(RebuildRefused, match="removed the first 17 records of partition 1"):
        rebuild_row(of(SERVES), NEW, {0: 0, 1: 17}, Purpose.REPLACE)
    with pytest.raises(GenerationsMismatch):
        rebuild_row(of(SERVES), OLD, WHOLE, Purpose.REPLACE)


def test_a_refused_generation_is_built_again_where_somebody_requests_it() -> None:
    refused = (FIRST, row(2, Stage.BUILDING), row(2, Stage.REFUSED, detail=DIFFERS), row(2, Stage.DROPPED))
    requested = rebuild_row(of(*refused), NEW, WHOLE, Purpose.REPLACE)
    assert (requested.number, requested.versions) == (3, NEW)
    chosen = plan(of(*refused, requested), NEW, WHOLE)
    assert (chosen.build, chosen.obstacle, chosen.purpose) == (Generation(3, NEW), None, Purpose.REPLACE)


def test_the_comparison_decides_by_the_purpose() -> None:
    assert after_comparison(Purpose.UPGRADE, []) == (Stage.READY, "")
    assert after_comparison(Purpose.UPGRADE, [DIFFERS]) == (Stage.REFUSED, DIFFERS)
    assert after_comparison(Purpose.COMPARE, []) == (Stage.RETIRED, "equal")
    assert after_comparison(Purpose.COMPARE, [DIFFERS]) == (Stage.REFUSED, DIFFERS)
    assert after_comparison(Purpose.REPLACE, []) == (Stage.READY, "")
    assert after_comparison(Purpose.REPLACE, [DIFFERS, "runs"]) == (Stage.READY, f"{DIFFERS}; runs")


def test_a_purpose_of_a_newer_build_is_refused() -> None:
    with pytest.raises(GenerationsMismatch, match="built for 'sampling', which this build does not know"):
        generations_of([SERVES, row(2, Stage.BUILDING, detail="sampling")])
