"""When a run was active: its writers' lives, and the pauses between them. Pure.

A writer that ended by itself was active until then. Of one that vanished, nobody knows when: an event may say later
that it was lost, or another writer takes its place. It was active until the last point that it logged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from runstream_model.run_state import RunState
from runstream_model.run_writers import WriterState

#: Before every time.
_EVER: Final = -(2**62)


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch of time in which no writer was active, in microseconds since 1970 UTC."""

    begin_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Piece:
    """What is true from `begin_us` on: the active time of `at_us` is the larger of `floor_us` and `at_us - shift_us`,
    all in microseconds."""

    begin_us: int
    floor_us: int
    shift_us: int


def writer_number(writer_id: str) -> int:
    """Return the number that points have for their writer: the first 64 bits of its id."""
    return int(writer_id[:16], 16)


def vanished_writers(state: RunState) -> list[str]:
    """Return the ids of the writers whose last point says until when they were active: those that did not end by
    themselves, where a resumed attempt took their place or another writer started after them."""
    starts = [writer.started_at_us for writer in state.writers.values() if writer.started_at_us is not None]
    last = max(starts, default=_EVER)
    resumed = max((resume.at_us for resume in state.resumes), default=_EVER)
    return [
        writer_id
        for writer_id, writer in state.writers.items()
        if writer.started_at_us is not None
        and writer.started_at_us < last
        and (
            writer.ending == "lost"
            or (writer.ending is None and (writer.superseded_at_us is not None or writer.started_at_us < resumed))
        )
    ]


def attempt_numbers(state: RunState) -> dict[str, int]:
    """Return the attempt, from 1, of each writer that started, by id. A resumed start begins the next attempt if the
    present one has a writer with its rank already, or if all of its writers are gone; the ranks that resume beside each
    other belong to one attempt."""
    resumed = {resume.writer_id for resume in state.resumes}
    starts = sorted(
        (writer.started_at_us, writer_id)
        for writer_id, writer in state.writers.items()
        if writer.started_at_us is not None
    )
    numbers: dict[str, int] = {}
    attempt, present = 1, list[WriterState]()
    for at_us, writer_id in starts:
        writer = state.writers[writer_id]
        over = all(_gone(one, at_us) for one in present)
        if present and writer_id in resumed and (over or any(one.rank == writer.rank for one in present)):
            attempt, present = attempt + 1, []
        present.append(writer)
        numbers[writer_id] = attempt
    return numbers


def _gone(writer: WriterState, at_us: int) -> bool:
    ends = (writer.ended_at_us, writer.superseded_at_us)
    return any(end is not None and end <= at_us for end in ends)


def pauses(state: RunState, last_points: Mapping[int, int]) -> list[Pause]:
    """Return the pauses of a run, in order: the times between its first start and its last at which no writer was
    active. `last_points`: when each of the vanished writers (by number) logged its last point, in microseconds since
    1970 UTC; one that logged none was active at its start alone."""
    vanished = frozenset(vanished_writers(state))
    lives = sorted(
        (writer.started_at_us, _end_us(writer, last_points.get(writer_number(writer_id)), writer_id in vanished))
        for writer_id, writer in state.writers.items()
        if writer.started_at_us is not None
    )
    found: list[Pause] = []
    until_us: int | None = None
    for begin_us, end_us in lives:
        if until_us is not None and begin_us > until_us:
            found.append(Pause(until_us, begin_us))
        until_us = max(end_us, begin_us if until_us is None else until_us)
    return found


def _end_us(writer: WriterState, last_point_us: int | None, vanished: bool) -> int:
    begin_us = writer.started_at_us or 0
    if vanished:
        return max(begin_us, begin_us if last_point_us is None else last_point_us)
    if writer.ended_at_us is not None:
        return max(begin_us, writer.ended_at_us)
    return -_EVER


def pieces(began_us: int, found: Sequence[Pause]) -> list[Piece]:
    """Return the active time of a run that began at `began_us`, as a function of the time, in pieces by their begin:
    the time since it began without the pauses since then. Within a pause the active time stands still."""
    made = [Piece(_EVER, _EVER, began_us)]
    shift_us = began_us
    for pause in found:
        begin_us = max(pause.begin_us, began_us)
        if pause.end_us <= begin_us:
            continue
        floor_us = begin_us - shift_us
        shift_us += pause.end_us - begin_us
        made.append(Piece(begin_us, floor_us, shift_us))
    return made
