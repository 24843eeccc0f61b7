"""Which starts and ends of writers a run takes. What is beyond becomes a dead letter instead of a change of the run's
state, whose fold and row cost as much as it has writers."""

from collections.abc import Sequence
from typing import NamedTuple

from runstream.events import limits
from runstream.events.control import AnyEvent
from runstream_model.run_state import RunState
from runstream_model.writer_marks import says_of_its_writer

Numbered = Sequence[tuple[int, AnyEvent]]


class Attempts(NamedTuple):
    """The events of a frame that are folded, those that are not, and why not."""

    taken: Numbered
    refused: Numbered = ()
    detail: str = ""


def bounded(state: RunState | None, writer_id: str, events: Numbered) -> Attempts:
    """Divide the events of one frame of a writer, given the run's state before it. Pure.

    A state never loses a writer, so a later state of the same run divides them in the same way: what was refused once
    is refused by every replay.
    """
    attempts = [number for number, (_, event) in enumerate(events) if says_of_its_writer(event) is not None]
    if not attempts:
        return Attempts(events)
    writers = state.writers if state is not None else {}
    if writer_id not in writers and len(writers) >= limits.MAX_RUN_WRITERS:
        most = 0
        detail = f"the run has {limits.MAX_RUN_WRITERS} writers already, and {writer_id} is one more: begin another run"
    else:
        most = limits.MAX_FRAME_ATTEMPTS
        detail = f"one frame of {writer_id} starts or ends it {len(attempts)} times, at most {most} are allowed"
    if len(attempts) <= most:
        return Attempts(events)
    beyond = frozenset(attempts[most:])
    taken = [numbered for number, numbered in enumerate(events) if number not in beyond]
    return Attempts(taken, [events[number] for number in sorted(beyond)], detail)
