"""Projects and experiments."""

from datetime import UTC, datetime, timedelta

from runstream.events.control import (
    ExperimentCreated,
    ExperimentDeleted,
    ExperimentUpdated,
    ProjectCreated,
    ProjectDeleted,
    ProjectUpdated,
)
from runstream_model.catalog import (
    Catalog,
    ExperimentState,
    ProjectState,
    experiment_from_row,
    fold_experiment,
    fold_project,
    project_from_row,
    row_from_experiment,
    row_from_project,
)


def created(at_us: int, description: str = "") -> ProjectCreated:
    return ProjectCreated(at_us=at_us, workspace="w", project="p", description=description)


def updated(at_us: int, description: str | None = None, notes: str | None = None) -> ProjectUpdated:
    return ProjectUpdated(at_us=at_us, workspace="w", project="p", description=description, notes=notes)


def test_an_update_keeps_what_it_leaves_out() -> None:
    state = fold_project(fold_project(None, created(1, "d")), updated(2, notes="n"))
    assert state == ProjectState("w", "p", 1, 2, "d", "n")
    assert fold_project(state, updated(3, description="")) == ProjectState("w", "p", 1, 3, "", "n")
    assert fold_project(state, updated(0)).updated_at_us == 2


def test_creating_what_is_there_changes_nothing_and_what_was_deleted_begins_afresh() -> None:
    state = fold_project(fold_project(None, created(1, "d")), updated(2, notes="n"))
    assert fold_project(state, created(5, "other")) is state
    deleted = fold_project(state, ProjectDeleted(at_us=6, workspace="w", project="p"))
    assert deleted.deleted
    assert fold_project(deleted, updated(7, "late")) is deleted
    assert fold_project(deleted, created(8, "again")) == ProjectState("w", "p", 8, 8, "again")


def test_events_about_what_nobody_created_give_a_state() -> None:
    assert fold_project(None, updated(3, notes="n")) == ProjectState("w", "p", 3, 3, notes="n")
    assert fold_project(None, ProjectDeleted(at_us=4, workspace="w", project="p")).deleted


def test_experiments_follow_the_same_rules() -> None:
    place = {"workspace": "w", "project": "p", "experiment": "e"}
    state = fold_experiment(None, ExperimentCreated(at_us=1, **place, description="d"))
    assert fold_experiment(state, ExperimentCreated(at_us=2, **place)) is state
    state = fold_experiment(state, ExperimentUpdated(at_us=3, **place))
    assert state == ExperimentState("w", "p", "e", 1, 3, "d")
    deleted = fold_experiment(state, ExperimentDeleted(at_us=4, **place))
    assert fold_experiment(deleted, ExperimentUpdated(at_us=5, **place, description="x")) is deleted
    assert fold_experiment(deleted, ExperimentCreated(at_us=6, **place)) == ExperimentState("w", "p", "e", 6, 6)


def test_rows_round_trip_with_integers_and_with_the_readers_datetimes() -> None:
    at_us = 10_413_791_999_999_999
    project = ProjectState("w", "p", at_us, at_us - 1, "d", "n", True)
    experiment = ExperimentState("w", "p", "e", at_us, 1, "d", False)
    assert project_from_row(row_from_project(project, 1, 2)) == project
    assert experiment_from_row(row_from_experiment(experiment, 1, 2)) == experiment
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    read = {
        name: epoch + timedelta(microseconds=value) if name.endswith("_at") else value
        for name, value in row_from_project(project, 1, 2).items()
    }
    assert project_from_row(read) == project


def test_the_catalog_hands_over_each_changed_key_once_under_its_last_position() -> None:
    catalog = Catalog()
    catalog.fold(created(1), 0, 10)
    catalog.fold(updated(2, notes="n"), 0, 11)
    catalog.fold(created(3), 0, 12)  # changes nothing, so the position stays
    catalog.fold(ExperimentCreated(at_us=1, workspace="w", project="p", experiment="e"), 0, 13)
    projects, experiments = catalog.take_changed_rows()
    assert [(row["notes"], row["offset"]) for row in projects] == [("n", 11)]
    assert [(row["experiment"], row["offset"]) for row in experiments] == [("e", 13)]
    assert catalog.take_changed_rows() == ([], [])

    restarted = Catalog()
    restarted.load(projects, experiments)
    assert restarted.take_changed_rows() == ([], [])
    restarted.fold(updated(9, description="d"), 0, 14)
    assert restarted.project("w", "p") == ProjectState("w", "p", 1, 9, "d", "n")
    assert restarted.experiment("w", "p", "e") == catalog.experiment("w", "p", "e")
    assert restarted.project("w", "unknown") is None
