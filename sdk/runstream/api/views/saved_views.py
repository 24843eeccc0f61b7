"""Saved views of projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from runstream.api.values import Logged, Row, members_of


@dataclass(frozen=True, slots=True)
class SavedView:
    """What a page shows, under a name: a JSON object of the page's own. In lists it has no `view`.

    id: of this view; one that is created anew under its name has another. type: what it is for, such as `dashboard`.
    author, changed_by: who created it and who saved it last, as far as their clients said.
    """

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
    view: Mapping[str, Logged] | None = None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))
