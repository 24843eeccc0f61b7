"""The rules of a run's status, one by one."""

import json
from dataclasses import replace

import pytest

from runstream.events import limits
from runstream.events.control import (
    RunEvent,
    RunFinished,
    RunLinked,
    RunMoved,
    RunStarted,
    RunStatusChanged,
    RunTimesSet,
    RunUnlinked,
    TagsAdded,
    TagsRemoved,
    WriterLost,
)
from runstream_model.run_state import Outcome, RunState, fold, from_json, outcome, row_from_state, to_json

A, B, C = "a" * 32, "b" * 32, "c" * 32


def start(at_us: int = 0, rank: int | None = None, resumed: bool = False, step: int | None = None) -> RunStarted:
    return RunStarted(at_us=at_us, workspace="w", project="p", rank=rank, resumed=resumed, resumed_at_step=step)


def end(status: str, at_us: int = 5, message: str | None = None) -> RunFinished:
    return RunFinished.model_validate({"at_us": at_us, "status": status, "message": message})


def folded(*steps: tuple[str, RunEvent]) -> RunState:
    state = None
    for writer, event in steps:
        state = fold(state, event, writer)
    assert state is not None
    return state


@pytest.mark.parametrize(
    ("endings", "status", "message"),
    [
        ([end("finished", 1, "ok"), end("finished", 9, "ok too")], "finished", "ok"),
        ([end("killed", 1, "ctrl-c"), end("finished", 9)], "killed", "ctrl-c"),
        ([end("killed", 1, "ctrl-c"), WriterLost(at_us=9, reason="gone")], "crashed", "gone"),
        ([WriterLost(at_us=9, reason="gone"), end("failed", 1, "boom")], "failed", "boom"),
        ([end("failed", 9, "first to fail"), end("failed", 1, "second")], "failed", "first to fail"),
    ],
)
def test_when_all_have_ended_the_strongest_ending_decides(endings: list[RunEvent], status: str, message: str) -> None:
    state = folded((A, start(0, 0)), (B, start(0, 1)), (A, endings[0]), (B, endings[1]))
    assert outcome(state) == Outcome(status, message, 9)  # type: ignore[arg-type]


def test_a_run_runs_while_one_writer_does() -> None:
    assert outcome(folded((A, start()), (B, start()), (A, end("failed")))) == Outcome("running", "", None)


def test_a_writer_that_starts_again_makes_it_running_again() -> None:
    state = folded((A, start(3)), (A, end("failed", 5, "boom")), (A, start(7)))
    assert outcome(state).status == "running"
    assert row_from_state("r", state, 0, 0)["started_at"] == 3


def test_a_loss_after_an_ending_is_no_news_and_an_ending_after_a_loss_is() -> None:
    ended = folded((A, start()), (A, end("finished")))
    assert fold(ended, WriterLost(at_us=9, reason="gone"), A) is ended
    assert outcome(folded((A, start()), (A, WriterLost(at_us=3, reason="gone")), (A, end("finished")))).status == (
        "finished"
    )


def test_a_status_set_by_hand_holds_until_a_writer_starts() -> None:
    by_hand = RunStatusChanged(at_us=4, status="killed", message="enough")
    state = folded((A, start()), (B, by_hand), (A, end("failed")))
    assert outcome(state) == Outcome("killed", "enough", 4)
    assert outcome(fold(state, start(8), C)).status == "running"


def test_a_resumed_attempt_takes_the_place_of_one_that_failed() -> None:
    state = folded((A, start()), (A, end("failed", 5, "boom")), (B, start(6, resumed=True, step=4_000)))
    assert outcome(state).status == "running"
    assert [(resume.writer_id, resume.step) for resume in state.resumes] == [(B, 4_000)]
    assert outcome(fold(state, end("finished", 9), B)) == Outcome("finished", "", 9)


def test_a_resumed_attempt_takes_the_place_of_one_that_vanished_with_its_machine() -> None:
    state = folded((A, start()), (B, start(6, resumed=True)), (B, end("finished", 9)))
    assert outcome(state).status == "finished"
    # The sender of the first machine comes back much later and reports the loss: that changes nothing.
    assert outcome(fold(state, WriterLost(at_us=20, reason="gone"), A)).status == "finished"


def test_what_an_earlier_attempt_recorded_before_it_was_resumed_may_arrive_late() -> None:
    state = folded((A, start()), (B, start(6, resumed=True)), (A, end("failed", 5)), (B, end("finished", 9)))
    assert outcome(state).status == "finished"


def test_a_writer_that_lived_on_beside_the_resumed_one_counts() -> None:
    state = folded((A, start()), (B, start(6, resumed=True)), (B, end("finished", 9)), (A, end("failed", 12, "boom")))
    assert outcome(state) == Outcome("failed", "boom", 12)


def test_a_second_rank_that_resumes_leaves_the_first_alone() -> None:
    state = folded(
        (A, start(0, 0)),
        (A, end("failed", 1)),
        (B, start(2, 0, resumed=True)),
        (C, start(3, 1, resumed=True)),
        (C, end("finished", 4)),
    )
    assert outcome(state).status == "running"
    assert outcome(fold(state, end("failed", 5, "boom"), B)) == Outcome("failed", "boom", 5)


def test_an_attempt_with_fewer_writers_takes_the_place_of_all_that_ended() -> None:
    state = folded(
        (A, start(0, 0)),
        (B, start(0, 1)),
        (A, end("failed", 1)),
        (B, end("failed", 1)),
        (C, start(2, 0, resumed=True)),
        (C, end("finished", 4)),
    )
    assert outcome(state).status == "finished"


def test_a_writer_that_vanished_does_not_keep_a_later_attempt_from_beginning() -> None:
    state = folded(
        (A, start(0, 0)),
        (B, start(1, 0, resumed=True)),
        (B, end("failed", 2)),
        (C, start(3, 1, resumed=True)),
        (C, end("finished", 4)),
    )
    assert outcome(state).status == "finished"


def test_the_first_start_places_the_run_unless_it_was_moved() -> None:
    elsewhere = RunStarted(at_us=1, workspace="other", project="other", experiment="e")
    state = folded((A, start()), (B, elsewhere))
    assert (state.workspace, state.project, state.experiment) == ("w", "p", None)
    moved = folded((A, RunMoved(at_us=0, workspace="m", project="m")), (A, start()))
    assert (moved.workspace, moved.project) == ("m", "m")


def test_times_set_by_hand() -> None:
    state = folded((A, start(10)), (A, end("finished", 20)), (A, RunTimesSet(at_us=30, started_at_us=1)))
    row = row_from_state("r", state, 0, 0)
    assert (row["started_at"], row["ended_at"]) == (1, 20)
    later = fold(state, RunTimesSet(at_us=31, ended_at_us=2), A)
    assert row_from_state("r", later, 0, 0)["ended_at"] == 2
    assert row_from_state("r", fold(later, start(40), A), 0, 0)["ended_at"] is None


def test_a_row_holds_what_its_column_can() -> None:
    state = RunState(points_dropped=2**70)
    assert row_from_state("r", state, 0, 0)["points_dropped"] == 2**64 - 1
    assert from_json(to_json(state)).points_dropped == 2**70


def test_a_state_of_another_build_is_read() -> None:
    state = folded((A, start()), (A, end("failed", 5, "boom")), (B, start(6, resumed=True, step=1)))
    fields = json.loads(to_json(state))
    fields["of_a_later_build"] = {"x": 1}
    fields["writers"][A]["of_a_later_build"] = [1]
    fields["resumes"][0]["of_a_later_build"] = None
    assert from_json(json.dumps(fields)) == state
    assert from_json("{}") == RunState()


@pytest.mark.parametrize("text", ["", "[]", "null", '{"workspace": 3}', '{"writers": {"a": {"ending": "vanished"}}}'])
def test_what_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        from_json(text)


def test_a_run_keeps_its_first_tags_and_its_last_resumes() -> None:
    state = folded(*((A, TagsAdded(at_us=n, tags=tuple(f"{n}-{m}" for m in range(300)))) for n in range(1, 5)))
    assert len(state.tags) == limits.MAX_RUN_TAGS
    assert state.tags[:2] == ("1-0", "1-1")
    assert fold(state, TagsAdded(at_us=9, tags=("late",)), A) is state
    removed = fold(state, TagsRemoved(at_us=9, tags=("1-0",)), A)
    assert fold(removed, TagsAdded(at_us=9, tags=("late", "later")), A).tags == (*removed.tags, "late")
    for number in range(limits.MAX_RUN_RESUMES + 5):
        state = fold(state, start(number, resumed=True, step=number), A)
    assert len(state.resumes) == limits.MAX_RUN_RESUMES
    assert state.resumes[-1].step == limits.MAX_RUN_RESUMES + 4


def test_links_say_where_a_run_is_shown_and_change_nothing_else() -> None:
    def linked(project: str, kind: type[RunLinked | RunUnlinked] = RunLinked) -> RunLinked | RunUnlinked:
        return kind(at_us=99, workspace="w", project=project)

    state = folded((A, start(1)), (A, linked("best")), (B, linked("shown")), (A, linked("best")))
    assert state == replace(folded((A, start(1))), links=("w/best", "w/shown"))
    assert row_from_state("r", state, 0, 0)["links"] == ["w/best", "w/shown"]
    assert fold(state, linked("best"), A) is state
    assert fold(state, linked("other", RunUnlinked), A) is state
    assert fold(state, linked("best", RunUnlinked), A).links == ("w/shown",)
    many = folded(*((A, linked(str(number))) for number in range(limits.MAX_RUN_LINKS + 1)))
    assert len(many.links) == limits.MAX_RUN_LINKS


def test_the_last_start_that_names_a_group_decides() -> None:
    def in_group(group: str | None, job_type: str | None) -> RunStarted:
        return RunStarted(at_us=1, workspace="w", project="p", group=group, job_type=job_type)

    found: list[tuple[str, str]] = []
    state = None
    for event in (in_group("a", None), in_group(None, "train"), in_group("b", ""), in_group("", "evaluate")):
        state = fold(state, event, A)
        found.append((state.group, state.job_type))
    assert found == [("a", ""), ("a", "train"), ("b", "train"), ("b", "evaluate")]
