"""What the writing side has to ask the read models now and then: is there such a run, which project is meant."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run as the read models have it. `writers`: ids of those that ever started it. `alive`: one of them was heard
    within what counts as silence, and has not ended."""

    workspace: str
    project: str
    name: str
    writers: frozenset[str]
    alive: bool
    deleted: bool


@dataclass(frozen=True, slots=True)
class ProjectTexts:
    """What people wrote about a project."""

    description: str = ""
    notes: str = ""


class Lookup(Protocol):
    """Coroutines, for one event loop. Each raises StoreUnavailable if nobody can tell at the moment."""

    async def run(self, run_id: str) -> KnownRun | None:
        """The run, deleted ones too; None if nobody heard of it."""

    async def assets_named(self, run_id: str, name: str) -> Sequence[str]:
        """Ids of the run's assets with that name that are not deleted."""

    async def project_texts(self, workspace: str, project: str) -> ProjectTexts:
        """What was written about a project; empty texts of one that is not there."""

    async def project_exists(self, workspace: str, project: str) -> bool:
        """Whether it was created, or runs are in it."""

    async def project_of(self, project_id: str) -> tuple[str, str] | None:
        """Workspace and project with an id of `runstream.service.comet.project_id`; None if there is none."""

    async def runs_of(self, workspace: str, project: str) -> Sequence[str]:
        """Ids of the project's runs, archived ones too, deleted ones not."""
