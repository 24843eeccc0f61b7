"""What projects and experiments are, folded from their events. All events of a project share its key, so they are in
one partition, in order.

Creating what is there changes nothing; creating what was deleted begins afresh. What was deleted stays deleted under
every other event. An update of what was never created creates it, so that no event is without effect by its order.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, assert_never

from runstream.events.control import (
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentUpdated,
    ProjectCreated,
    ProjectDeleted,
    ProjectEvent,
    ProjectUpdated,
)
from runstream.events.moments import micros_of
from runstream_model.projection import FLAG, NAME, POSITION, TEXT, TIME, Column, Projection

Row = dict[str, Any]
AboutProject = ProjectCreated | ProjectUpdated | ProjectDeleted
AboutExperiment = ExperimentCreated | ExperimentUpdated | ExperimentDeleted

PROJECT_STATES: Final = Projection(
    name="project_states",
    version=1,
    key=("workspace", "project"),
    view="projects",
    columns=(
        Column("workspace", NAME, "the workspace that it is in"),
        Column("project", TEXT, "its name"),
        Column("description", TEXT, "what it is about"),
        Column("notes", TEXT, "what people wrote about it"),
        Column("created_at", TIME, "when it was created"),
        Column("updated_at", TIME, "when it last changed"),
        Column("deleted", FLAG, "whether it was deleted", internal=True),
        *POSITION,
    ),
)
EXPERIMENT_STATES: Final = Projection(
    name="experiment_states",
    version=1,
    key=("workspace", "project", "experiment"),
    view="experiments",
    columns=(
        Column("workspace", NAME, "the workspace that it is in"),
        Column("project", TEXT, "the project that it is in"),
        Column("experiment", TEXT, "its name"),
        Column("description", TEXT, "what it is about"),
        Column("created_at", TIME, "when it was created"),
        Column("updated_at", TIME, "when it last changed"),
        Column("deleted", FLAG, "whether it was deleted", internal=True),
        *POSITION,
    ),
)


@dataclass(frozen=True, slots=True)
class ProjectState:
    """A project. Times: us since 1970 UTC."""

    workspace: str
    project: str
    created_at_us: int
    updated_at_us: int
    description: str = ""
    notes: str = ""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class ExperimentState:
    """An experiment of a project. Times: us since 1970 UTC."""

    workspace: str
    project: str
    experiment: str
    created_at_us: int
    updated_at_us: int
    description: str = ""
    deleted: bool = False


def fold_project(state: ProjectState | None, event: AboutProject) -> ProjectState:
    """The project after one more event. Pure and total; returns `state` itself if nothing changed."""
    at_us = event.at_us
    known = state or ProjectState(event.workspace, event.project, at_us, at_us)
    match event:
        case ProjectCreated():
            if state is None or state.deleted:
                return ProjectState(event.workspace, event.project, at_us, at_us, event.description)
            return state
        case ProjectUpdated():
            if known.deleted:
                return known
            return replace(
                known,
                updated_at_us=max(known.updated_at_us, at_us),
                description=known.description if event.description is None else event.description,
                notes=known.notes if event.notes is None else event.notes,
            )
        case ProjectDeleted():
            return replace(known, updated_at_us=max(known.updated_at_us, at_us), deleted=True)
        case _:
            assert_never(event)


def fold_experiment(state: ExperimentState | None, event: AboutExperiment) -> ExperimentState:
    """The experiment after one more event. Pure and total; returns `state` itself if nothing changed."""
    at_us = event.at_us
    known = state or ExperimentState(event.workspace, event.project, event.experiment, at_us, at_us)
    match event:
        case ExperimentCreated():
            if state is None or state.deleted:
                return ExperimentState(
                    event.workspace, event.project, event.experiment, at_us, at_us, event.description
                )
            return state
        case ExperimentUpdated():
            if known.deleted:
                return known
            return replace(
                known,
                updated_at_us=max(known.updated_at_us, at_us),
                description=known.description if event.description is None else event.description,
            )
        case ExperimentDeleted():
            return replace(known, updated_at_us=max(known.updated_at_us, at_us), deleted=True)
        case _:
            assert_never(event)


def row_from_project(state: ProjectState, part: int, offset: int) -> Row:
    """The row of `project_states`: column name to value, times as integers (microseconds since 1970 UTC)."""
    return {
        "workspace": state.workspace,
        "project": state.project,
        "description": state.description,
        "notes": state.notes,
        "created_at": state.created_at_us,
        "updated_at": state.updated_at_us,
        "deleted": state.deleted,
        "part": part,
        "offset": offset,
    }


def row_from_experiment(state: ExperimentState, part: int, offset: int) -> Row:
    """The row of `experiment_states`: column name to value, times as integers (microseconds since 1970 UTC)."""
    return {
        "workspace": state.workspace,
        "project": state.project,
        "experiment": state.experiment,
        "description": state.description,
        "created_at": state.created_at_us,
        "updated_at": state.updated_at_us,
        "deleted": state.deleted,
        "part": part,
        "offset": offset,
    }


def project_from_row(row: Mapping[str, Any]) -> ProjectState:
    """The state that a row holds; its times may be integers or, as the store's reader gives them, datetimes."""
    return ProjectState(
        row["workspace"],
        row["project"],
        _us(row["created_at"]),
        _us(row["updated_at"]),
        row["description"],
        row["notes"],
        bool(row["deleted"]),
    )


def experiment_from_row(row: Mapping[str, Any]) -> ExperimentState:
    """The state that a row holds; its times may be integers or, as the store's reader gives them, datetimes."""
    return ExperimentState(
        row["workspace"],
        row["project"],
        row["experiment"],
        _us(row["created_at"]),
        _us(row["updated_at"]),
        row["description"],
        bool(row["deleted"]),
    )


def _us(at: int | datetime) -> int:
    return at if isinstance(at, int) else micros_of(at)


class Catalog:
    """All projects and experiments in memory, and which of them changed since they were last taken as rows.

    There are few of them, thousands where there are millions of runs, so none is ever forgotten. One thread at a time.
    """

    def __init__(self) -> None:
        self._projects: dict[tuple[str, str], ProjectState] = {}
        self._experiments: dict[tuple[str, str, str], ExperimentState] = {}
        self._changed_projects: dict[tuple[str, str], tuple[int, int]] = {}
        self._changed_experiments: dict[tuple[str, str, str], tuple[int, int]] = {}

    def load(self, projects: Iterable[Mapping[str, Any]], experiments: Iterable[Mapping[str, Any]]) -> None:
        """Take in rows of the views `project_states` and `experiment_states` read; replaces what is known of their
        keys and marks nothing as changed."""
        for row in projects:
            project = project_from_row(row)
            self._projects[project.workspace, project.project] = project
        for row in experiments:
            experiment = experiment_from_row(row)
            self._experiments[experiment.workspace, experiment.project, experiment.experiment] = experiment

    def fold(self, event: ProjectEvent, part: int, offset: int) -> None:
        """Fold one event of the record (part, offset)."""
        match event:
            case ProjectCreated() | ProjectUpdated() | ProjectDeleted():
                self._fold_project(event, part, offset)
            case ExperimentCreated() | ExperimentUpdated() | ExperimentDeleted():
                self._fold_experiment(event, part, offset)
            case _:
                assert_never(event)

    def take_changed_rows(self) -> tuple[list[Row], list[Row]]:
        """The rows of project_states and of experiment_states that changed since the last call, one a key, each under
        the position of the last record that changed it."""
        projects = [
            row_from_project(self._projects[key], part, offset)
            for key, (part, offset) in self._changed_projects.items()
        ]
        experiments = [
            row_from_experiment(self._experiments[key], part, offset)
            for key, (part, offset) in self._changed_experiments.items()
        ]
        self._changed_projects, self._changed_experiments = {}, {}
        return projects, experiments

    def project(self, workspace: str, project: str) -> ProjectState | None:
        """The project's state, None if no event named it; a deleted one is there with `deleted`."""
        return self._projects.get((workspace, project))

    def experiment(self, workspace: str, project: str, experiment: str) -> ExperimentState | None:
        """The experiment's state, None if no event named it; a deleted one is there with `deleted`."""
        return self._experiments.get((workspace, project, experiment))

    def _fold_project(self, event: AboutProject, part: int, offset: int) -> None:
        key = (event.workspace, event.project)
        before = self._projects.get(key)
        after = fold_project(before, event)
        if after is not before:
            self._projects[key] = after
            self._changed_projects[key] = (part, offset)

    def _fold_experiment(self, event: AboutExperiment, part: int, offset: int) -> None:
        key = (event.workspace, event.project, event.experiment)
        before = self._experiments.get(key)
        after = fold_experiment(before, event)
        if after is not before:
            self._experiments[key] = after
            self._changed_experiments[key] = (part, offset)
