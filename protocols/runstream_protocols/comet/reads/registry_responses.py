"""Responses about registered models. Names are Comet's; times are milliseconds since 1970 UTC. There are no users here,
only keys, so that `userName` is null."""

from typing import Any

from pydantic import ConfigDict

from runstream_protocols.comet.reads.responses import CometAsset, CometResponse
from runstream_query.responses import ResponseModel


class CometExperimentModel(CometResponse):
    """The model of an experiment that a version was made of. Null in all where it was logged without a run."""

    experiment_model_id: str | None
    experiment_model_name: str | None
    experiment_key: str | None


class CometModelVersion(CometResponse):
    """`tags` are our tags and stages, `stages` (Comet's word of before) the same."""

    registry_model_item_id: str
    registry_model_id: str
    model_name: str
    workspace_name: str
    version: str
    comment: str
    tags: list[str]
    stages: list[str]
    status: str
    experiment_key: str | None
    experiment_model: CometExperimentModel
    user_name: str | None = None
    created_at: int
    updated_at: int
    last_updated: int


class CometModelVersionWithAssets(CometModelVersion):
    assets: list[CometAsset]


class CometRegistryModel(CometResponse):
    registry_model_id: str
    model_name: str
    workspace_name: str
    description: str
    is_public: bool
    user_name: str | None = None
    created_at: int
    last_updated: int
    number_of_versions: int


class CometRegistryModels(CometResponse):
    registry_models: list[CometRegistryModel]


class CometCompactModel(CometRegistryModel):
    versions: list[CometModelVersion]


class CometModelDetails(CometRegistryModel):
    """The highest version first."""

    notes: str
    versions: list[CometModelVersionWithAssets]


class CometModelItems(CometResponse):
    items: list[CometModelVersion]


class CometModelDownload(CometResponse):
    """`assets` have links that this server serves; it is no S3."""

    registry_model_id: str
    model_name: str
    versions: list[CometModelVersionWithAssets]
    s3_download_enabled: bool = False


class CometModelCount(CometResponse):
    registry_model_count: int


class CometAllowedStatus(CometResponse):
    allowed_status: list[str]


class CometMember(CometResponse):
    key: str
    value: Any


class CometModelMetadata(CometResponse):
    metadata: list[CometMember]


class CometStatusConfiguration(CometResponse):
    """All null where nothing was written."""

    model_item_id: str | None = None
    status: str | None = None
    is_review_required: bool | None = None
    status_configuration: list[dict[str, Any]] | None = None
    comment: str | None = None


class CometModelChange(CometResponse):
    """One change of a version. `previousValue` and `newValue` have what changed."""

    action_type: str
    comment: str | None = None
    previous_value: dict[str, Any]
    new_value: dict[str, Any]
    registry_model_id: str
    registry_model_name: str
    registry_model_item_id: str
    registry_model_item_version: str
    registry_model_item_actual_path_params: str | None = None
    user_name: str | None = None
    user_avatar_link: str | None = None
    timestamp: int


class CometModelHistory(ResponseModel):
    """Changes by day (`November 16, 2023`, UTC), the newest first."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings", extra="allow")

    __pydantic_extra__: dict[str, list[CometModelChange]]
