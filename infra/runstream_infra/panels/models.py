"""Requests and responses of panels."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from runstream_query.responses import ResponseModel

_MAX_NAME_CHARS: Final = 500
_MAX_RUNS: Final = 10_000
_MAX_COLORS: Final = 20_000
_MAX_PIXELS: Final = 100_000

Name = Annotated[str, StringConstraints(min_length=1, max_length=_MAX_NAME_CHARS)]
Color = Annotated[str, StringConstraints(max_length=60, pattern=r"^[#A-Za-z0-9(),.% /-]*$")]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PanelsRequest(_Request):
    """Panels of a project. after: only those behind this name."""

    workspace: Name = "default"
    project: Name
    after: Name | None = None
    limit: int = Field(default=100, ge=1, le=1000)


class CodeRequest(_Request):
    """version: what it is called, or its number; without it the newest."""

    version: Name | None = None


class ContextRequest(_Request):
    """What a view of a panel is about. experiments: their ids, in this order; without them those that `filter` lets
    through. options: what widgets begin with, by label. width, height: pixels. Colours are those of the page, of
    experiments by id and of metrics by name. theme: that of the page. refresh_s: run again when the project has new
    data, at most once in so many seconds; 0: only if the panel asks for it. instance: tells the place of this view from
    others with the same panel."""

    filter: str = Field(default="", max_length=20_000)
    experiments: list[Name] | None = Field(default=None, max_length=_MAX_RUNS)
    options: dict[Name, Any] = Field(default={}, max_length=1000)
    width: int = Field(default=0, ge=0, le=_MAX_PIXELS)
    height: int = Field(default=0, ge=0, le=_MAX_PIXELS)
    experiment_colors: dict[Name, Color] = Field(default={}, max_length=_MAX_COLORS)
    metric_colors: dict[Name, Color] = Field(default={}, max_length=_MAX_COLORS)
    theme: Literal["", "light", "dark"] = ""
    refresh_s: float = Field(default=0.0, ge=0.0, le=86_400.0)
    instance: str = Field(default="", max_length=_MAX_NAME_CHARS)


class FrameRequest(_Request):
    """A view of a panel that is kept with the project: its name, and which version, if it is not to be the newest."""

    workspace: Name = "default"
    project: Name
    panel: Name
    version: Name | None = None
    context: ContextRequest = ContextRequest()


class PreviewRequest(_Request):
    """A view of code that is not kept."""

    workspace: Name = "default"
    project: Name
    source: str = Field(min_length=1)
    context: ContextRequest = ContextRequest()


class SaveRequest(_Request):
    """A new version of a panel, and the panel if it is missing."""

    source: str = Field(min_length=1)
    comment: str = Field(default="", max_length=10_000)


class ListedPanel(ResponseModel):
    """A panel of a project. artifact: its id among artifacts. version: the newest."""

    name: str
    artifact: str
    description: str
    version: str
    ordinal: int
    versions: int
    created_at: datetime
    updated_at: datetime


class ListedPanels(ResponseModel):
    """Panels by name. next: give it as `after` for those behind them; null on the last page."""

    panels: list[ListedPanel]
    next: str | None


class PanelVersion(ResponseModel):
    """A version of a panel's code."""

    version: str
    ordinal: int
    comment: str
    created_at: datetime


class PanelCode(ResponseModel):
    """A version of a panel with its code, and its newest versions, the newest first, 100 at most."""

    workspace: str
    project: str
    name: str
    artifact: str
    version: str
    ordinal: int
    comment: str
    created_at: datetime
    source: str
    versions: list[PanelVersion]


class ShownFrame(ResponseModel):
    """A view of a panel. address: where it is loaded, a path of this server with a token; who has it sees the panel.
    sandbox: the attribute of its `iframe`, which must not have `allow-same-origin`. state: starting, running, failed
    (detail has the end of what it printed), ended (it starts again when it is loaded)."""

    frame: str
    address: str
    sandbox: str
    state: Literal["starting", "running", "failed", "ended"]
    detail: str


class PanelServer(ResponseModel):
    """Whether this server runs panels, and if not, why and what to do; how many run, and how many may."""

    enabled: bool
    reason: str
    running: int
    max_panels: int
    installs: bool
