"""Starts and ends of writers: as many as honest jobs have are folded, the rest are dead letters."""

import dataclasses
from uuid import uuid4

from runstream.events import limits
from runstream.events.control import AnyEvent, RunFinished, RunStarted, TagsAdded, encode_event
from runstream.events.encoding import encode_events, encode_frame
from runstream_model.attempts import bounded
from runstream_model.run_state import RunState
from runstream_model.run_writers import WriterState
from runstream_model.writer_marks import WriterMark
from runstream_processors.worker.feed import decode
from runstream_processors.worker.folding import Folding
from runstream_processors.worker.memory import KeyMemory
from runstream_service.log import Record

AT_US = 1_700_000_000_000_000


def start(*, resumed: bool = False) -> RunStarted:
    return RunStarted(at_us=AT_US, workspace="w", project="p", resumed=resumed)


def full() -> RunState:
    writers = {uuid4().hex: WriterState(started_at_us=AT_US) for _ in range(limits.MAX_RUN_WRITERS)}
    return RunState(created_at_us=AT_US, placed=True, writers=writers)


def test_a_writer_that_starts_and_ends_once_is_taken_whole() -> None:
    events: list[tuple[int, AnyEvent]] = [(0, start()), (1, TagsAdded(at_us=AT_US, tags=["a"]))]
    events.append((2, RunFinished(at_us=AT_US, status="finished")))
    assert bounded(None, "a" * 32, events).taken == events
    assert bounded(full(), next(iter(full().writers)), events[1:2]).taken == events[1:2]


def test_one_frame_starts_its_writer_so_often_and_no_more() -> None:
    events = [(number, start(resumed=True)) for number in range(limits.MAX_FRAME_ATTEMPTS + 7)]
    taken, refused, detail = bounded(None, "a" * 32, events)
    assert list(taken) == events[: limits.MAX_FRAME_ATTEMPTS]
    assert list(refused) == events[limits.MAX_FRAME_ATTEMPTS :]
    assert f"{len(events)} times" in detail


def test_a_run_with_all_its_writers_takes_no_other_one_but_everything_else() -> None:
    state = full()
    known = next(iter(state.writers))
    tags = (1, TagsAdded(at_us=AT_US, tags=["a"]))
    assert list(bounded(state, known, [(0, start()), tags]).taken) == [(0, start()), tags]
    taken, refused, detail = bounded(state, "f" * 32, [(0, start()), tags])
    assert list(taken) == [tags]
    assert list(refused) == [(0, start())]
    assert "begin another run" in detail


def folded(*frames: tuple[str, list[AnyEvent]], known: KeyMemory | None = None) -> Folding:
    """What a worker without a store makes of one frame of each of these writers, behind what is known of the run."""
    folding = Folding({}, {})
    folding.memory.keys["run"] = known or KeyMemory()
    batch = []
    for offset, (writer, events) in enumerate(frames):
        packed = encode_events((seq, encode_event(event)) for seq, event in enumerate(events))
        frame = encode_frame(writer, "run", 0, len(events), packed)
        batch.append(decode(Record(0, offset, AT_US, b"run", frame)))
    folding.fold(batch)
    return folding


def rows_of(folding: Folding) -> dict[str, int]:
    return {insert.table: insert.rows for insert in folding.flush().inserts}


def test_a_frame_of_starts_becomes_one_dead_letter_and_no_history() -> None:
    folding = folded(("a" * 32, [start(resumed=True) for _ in range(5_000)]))
    state = folding.memory.keys["run"].run
    assert state is not None
    assert len(state.resumes) == limits.MAX_FRAME_ATTEMPTS
    rows = rows_of(folding)
    assert rows["quarantine"] == 1
    assert rows["events"] == limits.MAX_FRAME_ATTEMPTS


def test_a_run_keeps_a_bounded_number_of_writers() -> None:
    before = full()
    earlier = dict(list(before.writers.items())[5:])
    marks = {f"{number:032d}": WriterMark() for number in range(limits.MAX_KEY_WRITERS - 8)}
    known = KeyMemory(writers=dict(marks), run=dataclasses.replace(before, writers=earlier))
    starts: list[AnyEvent] = [start()]
    folding = folded(*((f"f{number:031x}", starts) for number in range(12)), known=known)
    assert known.run is not None
    assert sorted(known.run.writers.keys() - earlier.keys()) == [f"f{number:031x}" for number in range(5)]
    assert sorted(known.writers.keys() - marks.keys()) == [f"f{number:031x}" for number in range(8)]
    rows = rows_of(folding)
    assert rows["events"] == 5
    assert rows["quarantine"] == 7
