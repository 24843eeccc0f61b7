"""States whose stored JSON is kept, of a run and of an artifact: every field of them set in one at least."""

from dataclasses import replace
from typing import Final

from runstream_model.artifact_reservations import Reservation
from runstream_model.artifact_state import ArtifactState
from runstream_model.artifact_versions import VersionState
from runstream_model.run_state import Resume, RunState, StatusSet
from runstream_model.run_writers import WriterState

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

#: Of a build that knew of groups; the one above was written before.
GROUPED_RUN_STATE: Final = replace(RUN_STATE, group="sweep 7, größe", job_type="train")
#: Of a build that knew of links.
LINKED_RUN_STATE: Final = replace(GROUPED_RUN_STATE, links=("research/best", "other/größe"))
#: Of a build that knew of writers without heartbeats, and of users that the environment names.
CAPTURED_RUN_STATE: Final = replace(
    LINKED_RUN_STATE,
    writers={"22" * 16: WriterState(started_at_us=30, heartbeats=False)},
    captured_user="größe",
    captured_host="node-18",
)

_FIRST: Final = VersionState(
    1, "1.0.0", 10, 20, "größe \u2028", "new", ("t",), ("best",), ("staging",), "8f3c0a52", 2, 2**40
)
_THIRD: Final = VersionState(3, "3", 10, 10)
ARTIFACT_STATE: Final = ArtifactState(
    "research",
    "digits",
    "model",
    "reader",
    10,
    10_413_791_999_999_999,
    "reads digits",
    "# Why",
    ("sweep", "über"),
    True,
    True,
    4,
    _FIRST.chars + _THIRD.chars,
    {1: _FIRST, 3: _THIRD},
    {"1.0.0": 1, "3": 3},
    {"best": 1},
)

#: Of a build that knew of remarks.
_REMARKED: Final = replace(_FIRST, remarks=2)
REMARKED_ARTIFACT_STATE: Final = replace(
    ARTIFACT_STATE, chars=_REMARKED.chars + _THIRD.chars, versions={1: _REMARKED, 3: _THIRD}
)

#: Of a build that knew of announced versions.
RESERVED_ARTIFACT_STATE: Final = replace(
    REMARKED_ARTIFACT_STATE,
    reserved={4: Reservation(VersionState(4, "4.0.0", 9, 9, tags=("raw",), run="r"), '{"a":1}')},
)

#: Of a build that knew of open versions.
_OPEN: Final = replace(
    VersionState(5, "5", 11, 12, run="r", files=1, size_bytes=7), added_to={"../größe.bin": 7}, replaced=2
)
OPEN_ARTIFACT_STATE: Final = replace(
    RESERVED_ARTIFACT_STATE,
    chars=RESERVED_ARTIFACT_STATE.chars + _OPEN.chars,
    versions={**RESERVED_ARTIFACT_STATE.versions, 5: _OPEN},
    texts={**RESERVED_ARTIFACT_STATE.texts, "5": 5},
)
