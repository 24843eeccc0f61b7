"""Every read model: the one list of what the store holds (docs/architecture.md, "Read models")."""

from collections.abc import Mapping
from typing import Final

from runstream_model.artifact_rows import (
    ARTIFACT_CONTENTS,
    ARTIFACT_FILES,
    ARTIFACT_OUTCOMES,
    ARTIFACT_REMARKS,
    ARTIFACT_STATES,
    ARTIFACT_VERSION_STATES,
)
from runstream_model.attributes import ASSET_STATES, ATTRIBUTE_STATES, OUTPUT
from runstream_model.catalog import EXPERIMENT_STATES, PROJECT_STATES
from runstream_model.entities import ENTITY_OUTCOMES, ENTITY_STATES
from runstream_model.history import EVENTS, QUARANTINE
from runstream_model.points import POINTS
from runstream_model.projection import Column, Projection
from runstream_model.run_state import RUN_STATES
from runstream_model.statistics import SUMMARY_STATES
from runstream_model.writer_marks import WATERMARK_STATES

__all__ = ["PROJECTIONS", "Column", "Projection"]

#: By the name of their table.
PROJECTIONS: Final[Mapping[str, Projection]] = {
    projection.name: projection
    for projection in (
        POINTS,
        SUMMARY_STATES,
        RUN_STATES,
        ATTRIBUTE_STATES,
        ASSET_STATES,
        PROJECT_STATES,
        EXPERIMENT_STATES,
        ARTIFACT_STATES,
        ARTIFACT_VERSION_STATES,
        ARTIFACT_CONTENTS,
        ARTIFACT_FILES,
        ARTIFACT_REMARKS,
        ARTIFACT_OUTCOMES,
        ENTITY_STATES,
        ENTITY_OUTCOMES,
        OUTPUT,
        EVENTS,
        QUARANTINE,
        WATERMARK_STATES,
    )
}
