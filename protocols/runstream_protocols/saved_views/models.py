"""Requests and responses of saved views."""

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from runstream_query.responses import ResponseModel

MAX_AUTHOR_CHARS: Final = 100


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ViewsRequest(_Request):
    """Which views. after: only those behind this name."""

    workspace: str = "default"
    project: str = Field(min_length=1)
    type: str | None = Field(default=None, max_length=MAX_AUTHOR_CHARS)
    after: str | None = Field(default=None, max_length=500)
    limit: int = Field(default=100, ge=1, le=1000)


class SaveRequest(_Request):
    """A view to save. revision: the one that this replaces, as it was read; without it the view is created, and its
    name has to be free. author: who saves it, if the client knows. type: what it is for, such as `dashboard`."""

    view: dict[str, Any]
    revision: int | None = Field(default=None, ge=1, lt=1 << 63)
    author: str | None = Field(default=None, min_length=1, max_length=MAX_AUTHOR_CHARS)
    type: str = Field(default="view", min_length=1, max_length=MAX_AUTHOR_CHARS)


class DeleteRequest(_Request):
    """Which revision is deleted, as it was read; without it whichever is the newest."""

    revision: int | None = Field(default=None, ge=1, lt=1 << 63)


class ListedView(ResponseModel):
    """A view without its content. id: of this view; one that is created anew under its name has another. author: who
    created it, and changed_by who saved it last, if their clients said it; else null."""

    workspace: str
    project: str
    name: str
    id: str
    revision: int
    type: str
    author: str | None
    changed_by: str | None
    created_at: datetime
    updated_at: datetime


class ShownView(ListedView):
    """A view."""

    view: dict[str, Any]


class ShownViews(ResponseModel):
    """Views of a project by name. next: give it as `after` for those behind them; null on the last page."""

    views: list[ListedView]
    next: str | None
