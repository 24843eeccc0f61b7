"""ML Aide's requests and responses about artifacts and models."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from runstream_protocols.mlaide.models import MlaideRequest, MlaideResponse
from runstream_query.responses import Logged

Stage = Literal["NONE", "STAGING", "PRODUCTION", "ABANDONED", "DEPRECATED"]


class NewArtifact(MlaideRequest):
    """A version of an artifact to create. `runKey`: the run that it comes from."""

    name: str
    type: str
    run_key: int | None = None
    metadata: dict[str, Any] | None = None


class NewFile(BaseModel):
    """A multipart body with one file, which has its name in `filename`."""

    file: str


class ModelChange(MlaideRequest):
    """Nothing: the version becomes a model, if it is none. Otherwise the model's stage from now on, and why."""

    stage: Stage | None = None
    note: str | None = None


class LatestQuery(BaseModel):
    """Of the latest version: which stage it has to have."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    model_stage: str | None = Field(default=None, alias="model-stage")


class ArtifactsQuery(BaseModel):
    """Which versions of a project are listed: models alone, those of some runs."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    is_model: str | None = Field(default=None, alias="isModel")
    run_keys: str | None = Field(default=None, alias="runKeys")


class ShownFile(MlaideResponse):
    """A file of a version. `fileId` is made of its name."""

    file_id: str
    file_name: str


class Revision(MlaideResponse):
    """A change of a model's stage."""

    created_at: datetime
    old_stage: Stage
    new_stage: Stage
    note: str | None


class ShownModel(MlaideResponse):
    """What makes a version a model. `modelRevisions`: the changes of its stage, the oldest first."""

    stage: Stage
    model_revisions: list[Revision] = Field(default=[])


class ListedArtifact(MlaideResponse):
    """A version of an artifact in a list, without its files and the revisions of its model."""

    name: str
    type: str
    version: int
    run_key: int | None
    run_name: str | None
    metadata: dict[str, Logged]
    created_at: datetime
    updated_at: datetime
    model: ShownModel | None


class ListedArtifacts(MlaideResponse):
    items: list[ListedArtifact]


class ShownArtifact(ListedArtifact):
    """A version of an artifact, with its files in the order in which they came."""

    files: list[ShownFile]
