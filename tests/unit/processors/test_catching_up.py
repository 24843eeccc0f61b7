"""When tables that are folded are near the end of a log that grows."""

from runstream_processors.catching_up import NEAR_RECORDS, SOON_S, CatchingUp, left


def test_what_is_left_is_counted_by_partition() -> None:
    assert left({0: 10, 1: 4}, {0: 7}) == 7
    assert left({0: 10}, {0: 12, 1: 3}) == 0


def test_tables_are_near_when_they_have_an_earlier_end_and_little_is_left() -> None:
    watch = CatchingUp()
    assert not watch.look({0: 5_000}, {}, 0.0), "the first look has nothing to compare with"
    assert not watch.look({0: 6_000}, {0: 4_999}, 1.0)
    late_s = SOON_S + 1
    assert not watch.look({0: 5_001 + NEAR_RECORDS}, {0: 5_000}, late_s), "it took long, and much is left"
    assert not watch.look({0: 9_000}, {0: 5_000 + NEAR_RECORDS}, 2 * late_s)
    assert watch.look({0: 9_000}, {0: 9_000 - NEAR_RECORDS}, 3 * late_s)


def test_tables_are_near_when_they_had_an_earlier_end_soon() -> None:
    watch = CatchingUp()
    watch.look({0: 5_000}, {}, 0.0)
    assert watch.look({0: 90_000}, {0: 5_000}, SOON_S)
    patient = CatchingUp(soon_s=60.0)
    patient.look({0: 5_000}, {}, 0.0)
    assert patient.look({0: 90_000}, {0: 5_000}, 60.0)
