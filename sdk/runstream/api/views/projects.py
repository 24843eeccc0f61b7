"""Where runs are: workspaces, projects and experiments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from runstream.api.values import Row, members_of


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace, with how many projects and runs are in it."""

    workspace: str
    projects: int
    runs: int

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))


@dataclass(frozen=True, slots=True)
class Project:
    """A project. Times are None for one that nobody created: it is there because of its runs."""

    workspace: str
    project: str
    description: str
    notes: str
    runs: int
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment of a project. Times are None for one that nobody created."""

    workspace: str
    project: str
    experiment: str
    description: str
    runs: int
    created_at: datetime | None
    updated_at: datetime | None

    @classmethod
    def of(cls, row: Row) -> Self:
        """Read a row of a response."""
        return cls(**members_of(cls, row))
