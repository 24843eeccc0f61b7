"""The active time of runs against an oracle that looks at each microsecond, over random starts and ends of writers."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kit.examples import examples
from runstream.events.control import RunFinished, RunStarted, RunTimesSet, WriterLost
from runstream_model.activity import Pause, attempt_numbers, pauses, pieces, vanished_writers, writer_number
from runstream_model.run_state import RunState, fold, started_at_us

WRITERS = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)
NUMBERS = {writer_number(writer): writer for writer in WRITERS}
END = 60
TIMES = st.integers(0, END)
STARTS = st.builds(
    RunStarted,
    at_us=TIMES,
    workspace=st.just("w"),
    project=st.just("p"),
    rank=st.sampled_from([None, 0, 1]),
    resumed=st.booleans(),
)
ENDS = st.builds(RunFinished, at_us=TIMES, status=st.sampled_from(["finished", "failed", "killed"]))
LOSSES = st.builds(WriterLost, at_us=TIMES, reason=st.just("gone"))
SET = st.builds(RunTimesSet, at_us=TIMES, started_at_us=TIMES)
HISTORIES = st.lists(st.tuples(st.sampled_from(WRITERS), st.one_of(STARTS, STARTS, ENDS, LOSSES, SET)), max_size=12)
POINTS = st.dictionaries(st.sampled_from(sorted(NUMBERS)), TIMES)


def state_after(history: Sequence[tuple[str, RunStarted | RunFinished | WriterLost | RunTimesSet]]) -> RunState:
    state = None
    for writer, event in history:
        state = fold(state, event, writer)
    return state or RunState()


def is_active(state: RunState, points: Mapping[int, int], slot: int) -> bool:
    """Whether some writer was active from the microsecond `slot` to the next, or none has started or more will."""
    starts = {name: one.started_at_us for name, one in state.writers.items() if one.started_at_us is not None}
    if not starts or slot < min(starts.values()) or slot >= max(starts.values()):
        return True
    for name, began in starts.items():
        writer = state.writers[name]
        took_over = writer.superseded_at_us is not None or any(one.at_us > began for one in state.resumes)
        if writer.ending in ("finished", "failed", "killed"):
            ended = writer.ended_at_us or 0
        elif writer.ending == "lost" or took_over:
            ended = points.get(writer_number(name), began)
        else:
            ended = END + 1
        if began <= slot < ended:
            return True
    return False


@settings(max_examples=examples(600))
@given(HISTORIES, POINTS)
def test_active_time_counts_the_microseconds_with_an_active_writer(
    history: list[tuple[str, RunStarted | RunFinished | WriterLost | RunTimesSet]], points: dict[int, int]
) -> None:
    state = state_after(history)
    began = started_at_us(state)
    made = pieces(began, pauses(state, points))
    assert [piece.begin_us for piece in made] == sorted({piece.begin_us for piece in made})
    expected = 0
    for at in range(began, END + 2):
        piece = next(one for one in reversed(made) if one.begin_us <= at)
        assert max(piece.floor_us, at - piece.shift_us) == expected
        expected += is_active(state, points, at)
    for at in range(began):
        assert max(made[0].floor_us, at - made[0].shift_us) == at - began


@settings(max_examples=examples(200))
@given(HISTORIES, POINTS)
def test_pauses_are_apart_and_in_order(
    history: list[tuple[str, RunStarted | RunFinished | WriterLost | RunTimesSet]], points: dict[int, int]
) -> None:
    found = pauses(state_after(history), points)
    assert all(one.begin_us < one.end_us for one in found)
    assert all(one.end_us <= following.begin_us for one, following in pairwise(found))


def start(at_us: int, *, rank: int | None = None, resumed: bool = False) -> RunStarted:
    return RunStarted(at_us=at_us, workspace="w", project="p", rank=rank, resumed=resumed)


def test_a_resumed_run_stood_still_in_between() -> None:
    a, b, c, _ = WRITERS
    ended = state_after([(a, start(0)), (a, RunFinished(at_us=10, status="finished")), (b, start(25, resumed=True))])
    assert (vanished_writers(ended), pauses(ended, {})) == ([], [Pause(10, 25)])
    # Nobody knows when a vanished writer ended: not the event that says that it is lost, not the one that resumes.
    lost = state_after([(a, start(0)), (a, WriterLost(at_us=24, reason="gone")), (b, start(25, resumed=True))])
    assert (vanished_writers(lost), pauses(lost, {writer_number(a): 7})) == ([a], [Pause(7, 25)])
    silent = state_after([(a, start(0)), (b, start(25, resumed=True)), (c, start(30))])
    assert (vanished_writers(silent), pauses(silent, {writer_number(a): 7})) == ([a], [Pause(7, 25)])


def test_ranks_beside_each_other_make_no_pause() -> None:
    a, b, c, _ = WRITERS
    state = state_after([(a, start(0, rank=0)), (b, start(9, rank=1)), (b, RunFinished(at_us=12, status="failed"))])
    assert pauses(fold(state, start(20, rank=1, resumed=True), c), {writer_number(a): 30}) == []


def test_ranks_that_resume_together_are_one_attempt() -> None:
    a, b, c, d = WRITERS
    state = state_after([(a, start(0, rank=0)), (b, start(1, rank=1)), (a, RunFinished(at_us=9, status="failed"))])
    state = fold(state, WriterLost(at_us=11, reason="gone"), b)
    state = fold(fold(state, start(20, rank=1, resumed=True), c), start(21, rank=0, resumed=True), d)
    assert attempt_numbers(state) == {a: 1, b: 1, c: 2, d: 2}


def test_a_rank_that_resumes_alone_begins_an_attempt() -> None:
    a, b, c, d = WRITERS
    state = state_after([(a, start(0, rank=0)), (b, start(1, rank=1)), (c, start(20, rank=1, resumed=True))])
    assert attempt_numbers(state) == {a: 1, b: 1, c: 2}
    # Whoever starts beside others without taking a place belongs to them.
    assert attempt_numbers(fold(state, start(25, rank=1), d))[d] == 2


@settings(max_examples=examples(200))
@given(HISTORIES)
def test_attempts_are_numbered_without_gaps_by_time(
    history: list[tuple[str, RunStarted | RunFinished | WriterLost | RunTimesSet]],
) -> None:
    state = state_after(history)
    numbers = attempt_numbers(state)
    starts = sorted((state.writers[name].started_at_us or 0, name) for name in numbers)
    in_order = [numbers[name] for _, name in starts]
    assert in_order == sorted(in_order)
    assert set(in_order) == set(range(1, len(set(in_order)) + 1))
    # Without anything resumed there is one attempt.
    assert state.resumes or set(in_order) <= {1}
