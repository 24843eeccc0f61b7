"""How the bytes of an asset are read: what is returned depends on `return_type`."""

from __future__ import annotations

from typing import Literal, Protocol, overload

from runstream.api.parts.arguments import RunOrId
from runstream.api.values import Logged
from runstream.api.views.comet_types import ReturnType


class ReadsAsset(Protocol):
    """Read the bytes of an asset by its id; with `return_type` "text" as text, with "json" as what it means."""

    @overload
    def __call__(
        self, experiment_key: RunOrId, asset_id: str, return_type: Literal["raw", "binary"] = "raw"
    ) -> bytes: ...
    @overload
    def __call__(self, experiment_key: RunOrId, asset_id: str, return_type: Literal["text"]) -> str: ...
    @overload
    def __call__(self, experiment_key: RunOrId, asset_id: str, return_type: ReturnType) -> Logged: ...


class ReadsAssetByName(Protocol):
    """Read an asset by its name; None if there is none of this name."""

    @overload
    def __call__(
        self,
        experiment_key: RunOrId,
        file_name: str,
        return_type: Literal["raw", "binary"] | None = None,
        asset_type: str | None = None,
    ) -> bytes | None: ...
    @overload
    def __call__(
        self, experiment_key: RunOrId, file_name: str, return_type: Literal["text"], asset_type: str | None = None
    ) -> str | None: ...
    @overload
    def __call__(
        self, experiment_key: RunOrId, file_name: str, return_type: ReturnType | None, asset_type: str | None = None
    ) -> Logged: ...
