"""The writers of a run: what is known of each, and whose place a resumed attempt takes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from runstream.events.control import RunStarted

Ending = Literal["finished", "failed", "killed", "lost"]


@dataclass(frozen=True, slots=True)
class WriterState:
    """One writer of a run. `ending` is None while it has not ended."""

    rank: int | None = None
    #: The earliest start if it started several times; None for a writer of which only the end came.
    started_at_us: int | None = None
    ending: Ending | None = None
    ended_at_us: int | None = None
    message: str = ""
    #: When a resumed attempt took this writer's place: from then on its ending does not count. None while it counts.
    superseded_at_us: int | None = None
    #: Whether it sends heartbeats. One that does not runs until somebody ends the run, or another writer takes it on.
    heartbeats: bool = True


def superseded(writers: Mapping[str, WriterState], event: RunStarted, writer_id: str) -> dict[str, WriterState]:
    """Return the writers after a resumed attempt began: it takes the place of the writer with its rank, which may have
    vanished with its machine and so never ended, and of all writers if none of them runs any more. What they ended with
    no longer counts."""
    others = [writer for known_id, writer in writers.items() if known_id != writer_id]
    over = all(writer.ending is not None or writer.superseded_at_us is not None for writer in others)
    return {
        known_id: replace(writer, superseded_at_us=event.at_us)
        if writer.superseded_at_us is None and (over or writer.rank == event.rank)
        else writer
        for known_id, writer in writers.items()
    }
