"""The state of a run whose stored JSON is kept: every field of it set."""

from typing import Final

from runstream_processors.folds.run_state import Resume, RunState, StatusSet, WriterState

RUN_STATE: Final = RunState(
    workspace="research",
    project="digits",
    experiment="sweep 1",
    placed=True,
    name="mlp-3",
    writers={
        "ff" * 16: WriterState(0, 10, "failed", 20, "größe \u2028 \x00", 30),
        "00" * 16: WriterState(1, 11, "lost", 21, "gone"),
        "11" * 16: WriterState(rank=None, started_at_us=30),
    },
    status_set=StatusSet("killed", "enough", 40),
    started_set_us=1,
    ended_set_us=2,
    created_at_us=10,
    updated_at_us=10_413_791_999_999_999,
    tags=("sweep", "über"),
    archived=True,
    deleted=True,
    notes="# Why",
    user="ada",
    host="node-17",
    points_dropped=2**64,
    resumes=(Resume("11" * 16, 30, 4_000), Resume("00" * 16, 31)),
)
