"""How Comet's notions are kept as ours: kinds, ids, names and metadata. Both of its sides agree on them."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from runstream.events import roles
from runstream.events.artifacts import artifact_id

#: Where Comet's client writes what names no workspace, and what names no project.
DEFAULT_WORKSPACE: Final = "default"
DEFAULT_PROJECT: Final = "general"

#: Histograms of one name, each of a step, which Comet shows as one asset.
HISTOGRAM: Final = "histogram3d"
_COMBINED: Final = "histograms-"
#: Our kinds of assets under Comet's names; every other kind is called what it was logged as.
_TYPES: Final = {"model": "model-element", "text": "text-sample", HISTOGRAM: "histogram_combined_3d"}
_KINDS: Final = {type_: kind for kind, type_ in _TYPES.items()}

#: Roles of the files that are no assets to Comet: each has a method of its own.
_WITH_METHOD: Final = frozenset({roles.CODE, roles.GRAPH, roles.PATCH, roles.PAGE, roles.UPLOAD})
#: Metadata of a piece of a page that begins it anew.
OVERRIDES: Final = "override"
#: The type of the artifacts that Comet calls registered models; they are of whole workspaces.
MODEL_TYPE: Final = "model"
#: Members of remarks on versions of registered models: what was written later and no field of a version holds.
REMARK_METADATA: Final = "metadata"
REMARK_CONFIGURATION: Final = "statusConfiguration"
#: Metadata of a registered version: the experiment's model that it was made of, and metadata of its files by name.
REGISTERED_FROM: Final = "@experiment_model"
REGISTERED_FILES: Final = "@files"
#: Metadata of a version: addresses of its files, by name, that are none: the client takes any text.
FILE_LINKS: Final = "@links"
#: Comet's word for a version that has no status; what its client offers besides, where nothing else is in use.
NO_STATUS: Final = "None"
STATUSES: Final = (NO_STATUS, "Development", "Staging", "Production")
_REGISTERED: Final = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,18})(?:-([0-9]{1,6}))?", re.ASCII)
#: The section of the environment for what the SDK does not capture.
SECTION: Final = "comet"
#: The section for facts that users add, and where the packages are.
ADDITIONAL: Final = "additional"
PACKAGES: Final = "packages"
#: System details that the SDK captures too: where. (Its `os` is `osType`; Comet's is a longer text.)
CAPTURED: Final = {
    "user": ("host", "user"),
    "osType": ("host", "system"),
    "osRelease": ("host", "release"),
    "hostname": ("host", "hostname"),
    "machine": ("host", "machine"),
    "processor": ("host", "processor"),
    "totalRam": ("host", "memory_bytes"),
    "executable": ("python", "executable"),
    "pythonVersion": ("python", "version"),
    "command": ("command", "argv"),
}
#: The path of the program, as the SDK captures it.
PROGRAM: Final = ("command", "program")


def is_registered_model(artifact_type: str, project: str | None) -> bool:
    """Return whether the registry shows an artifact; all others are artifacts to Comet."""
    return artifact_type == MODEL_TYPE and not project


def own_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said about a version, without what is about its files."""
    return {name: value for name, value in metadata.items() if name not in (REGISTERED_FILES, FILE_LINKS)}


def type_of_asset(kind: str) -> str:
    """What Comet calls assets of one of our kinds."""
    return _TYPES.get(kind, kind)


def kind_of_asset(asset_type: str) -> str:
    """What we call assets of one of Comet's types."""
    return _KINDS.get(asset_type, asset_type)


def combined_histograms_id(run: str, name: str) -> str:
    """Return the id of the asset that Comet makes of a run's histograms of one name."""
    return _COMBINED + hashlib.sha256(f"{run}/{name}".encode()).hexdigest()[:32]


def is_combined(asset_id: str) -> bool:
    """Return whether an id is one of `combined_histograms_id`."""
    return asset_id.startswith(_COMBINED)


def file_of_model(name: str, model: str) -> str:
    """Return what a file of an experiment's model is called within it."""
    return name.removeprefix(f"{model}/")


def is_asset(role: str | None) -> bool:
    """Return whether Comet lists a file with this role among the assets."""
    return role not in _WITH_METHOD


def model_of_file(name: str, model: str | None) -> str:
    """Return the model of an experiment that a file of the kind `model` belongs to: the one that it was logged for; of
    one that was not logged by Comet's client, its folder, or itself."""
    return model or name.rpartition("/")[0] or name


def experiment_model_id(run: str, model: str) -> str:
    """The id of an experiment's model, which only has a name here."""
    return hashlib.sha256(f"{run}/{model}".encode()).hexdigest()[:32]


def registry_model_id(workspace: str, name: str) -> str:
    """The id of a registered model: that of the artifact."""
    return artifact_id(workspace, None, MODEL_TYPE, name)


def registry_item_id(model_id: str, ordinal: int) -> str:
    """The id of a version of a registered model."""
    return f"{model_id}-{ordinal}"


def registry_file_id(model_id: str, ordinal: int, number: int) -> str:
    """The id of a file of a version: files never change, so that its place among them is enough."""
    return f"{model_id}-{ordinal}-{number}"


def upload_kind(version_id: str) -> str:
    """The kind of a run's files that are on their way to a version of an artifact."""
    return f"artifact-upload {version_id}"


def registered(some_id: str) -> tuple[str, int, int | None] | None:
    """The model's id, the version's number and the file's place that an id of `registry_item_id` or
    `registry_file_id` means; None if it is neither. Experiments' assets have no such ids."""
    found = _REGISTERED.fullmatch(some_id)
    if found is None:
        return None
    return found[1], int(found[2]), None if found[3] is None else int(found[3])
