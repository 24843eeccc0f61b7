"""Looking for records that raise: all of them are found, nothing else is, in O(log n) flushes for each."""

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream_processors.worker.narrowing import Narrowing, Place

MOST = 2_000


def fold_all(places: list[Place], bad: set[Place], per_flush: int = 1) -> tuple[Narrowing, int, int]:
    """Fold records, as the worker does, of which some raise. Returns how many flushes and how many failures it took.

    per_flush: batches that are folded before their rows are written, while nothing is looked for.
    """
    narrowing = Narrowing()
    done: set[Place] = set()
    flushes = failures = 0
    while left := [place for place in places if place not in done]:
        parts = {part for part, _ in places}
        narrowing.resumed({part: min((o for p, o in left if p == part), default=10**9) for part in parts})
        unflushed: list[Place] = []
        batches = 0
        while left:
            batch, left = left[: narrowing.most(MOST)], left[narrowing.most(MOST) :]
            if any(place in bad and place not in narrowing.poison for place in batch):
                narrowing.failed(batch)
                failures += 1
                break
            unflushed += batch
            batches += 1
            if narrowing.is_active or batches % per_flush == 0 or not left:
                flushes += 1
                narrowing.folded(unflushed)
                done.update(unflushed)
                unflushed = []
        assert failures < 5_000
    return narrowing, flushes, failures


@settings(max_examples=examples(60), deadline=None)
@given(
    st.integers(1, 3_000),
    st.sets(st.integers(0, 2_999), max_size=6),
    st.integers(1, 3),
    st.integers(1, 4),
)
@example(2_000, {1_234}, 1, 1)
@example(300, set(range(300)), 1, 1)
@example(40, {7}, 1, 1)
def test_each_bad_record_is_found_in_few_flushes(records: int, bad: set[int], parts: int, per_flush: int) -> None:
    places = [(number % parts, number // parts) for number in range(records)]
    wanted = {places[number] for number in bad if number < records}
    narrowing, flushes, failures = fold_all(places, wanted, per_flush)
    assert narrowing.poison == wanted
    assert not narrowing.is_active
    usual = math.ceil(records / MOST)
    steps = math.ceil(math.log2(MOST)) + 1
    assert flushes <= usual + len(wanted) * (2 * steps + 2)
    assert failures <= len(wanted) * (steps + 1)


def test_records_that_are_all_bad_cost_one_failure_each() -> None:
    places = [(0, number) for number in range(300)]
    narrowing, _, failures = fold_all(places, set(places))
    assert narrowing.poison == set(places)
    assert failures <= 300 + 2 * math.ceil(math.log2(300))
