"""What both sides of Comet's interface agree on: the gateway that takes in what its client writes, and the query
service that answers what it reads."""

import functools
import hashlib
from typing import Final

#: The client uses the second for system details and output, and the first for the rest: both have everything.
ROOTS: Final = ("/api/rest/v2", "/clientlib/rest/v2")
#: Where the live client writes: below the address that it was given, which may lack the path.
LIVE_ROOTS: Final = ("/clientlib", "")
#: What the live client writes lies below these; `asset` is one by itself too.
LIVE_PATHS: Final = (
    "logger",
    "status-report",
    "batch",
    "tags",
    "asset",
    "visualizations",
    "git-patch",
    "notification",
    "notify",
    "health",
)
#: Where Comet's client writes what names no workspace, and what names no project.
DEFAULT_WORKSPACE: Final = "default"
DEFAULT_PROJECT: Final = "general"

#: Our kinds of assets under Comet's names; every other kind is called what it was logged as.
_TYPES: Final = {"model": "model-element", "text": "text-sample", "histogram3d": "histogram_combined_3d"}
_KINDS: Final = {type_: kind for kind, type_ in _TYPES.items()}

#: Ids of the files that are no assets to Comet: each has a method of its own. A page is made of pieces, whose ids begin
#: with HTML.
CODE: Final = "comet-code"
GRAPH: Final = "comet-graph"
PATCH: Final = "comet-git-patch"
HTML: Final = "comet-html-"
#: Metadata of a piece of a page that begins it anew.
OVERRIDES: Final = "override"
#: Metadata of an asset that is somewhere else: where.
LINK: Final = "@link"
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


@functools.lru_cache(10_000)
def project_id(workspace: str, project: str) -> str:
    """The id of a project, which only has names here: always the same, 32 hexadecimal digits."""
    return hashlib.sha256(f"{workspace}/{project}".encode()).hexdigest()[:32]


def type_of_asset(kind: str) -> str:
    """What Comet calls assets of one of our kinds."""
    return _TYPES.get(kind, kind)


def kind_of_asset(asset_type: str) -> str:
    """What we call assets of one of Comet's types."""
    return _KINDS.get(asset_type, asset_type)


def is_asset(asset_id: str) -> bool:
    """Whether Comet lists it among the assets."""
    return asset_id not in (CODE, GRAPH, PATCH) and not asset_id.startswith(HTML)
