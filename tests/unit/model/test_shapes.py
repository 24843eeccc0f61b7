"""What stands elsewhere about the read models is what their projections say."""

from dataclasses import fields
from typing import Any, get_args

import pytest

from runstream.api import Asset, Experiment, Project, RunView, Summary
from runstream.events import control
from runstream.events.artifacts import AddedFile, ArtifactFilesAdded, ArtifactVersionLogged, ArtifactVersionRemarked
from runstream.events.control import AnyEvent
from runstream.events.entities import EntityCreated
from runstream.query.literals import SUMMARIES
from runstream.query.variables import Metric
from runstream_infra.cli.columns import row_members
from runstream_infra.cli.export import points_schema, run_columns, summary_columns
from runstream_model.artifact_rows import ArtifactRows
from runstream_model.artifact_state import ArtifactState
from runstream_model.attributes import rows_from_events
from runstream_model.catalog import fold_experiment, fold_project, row_from_experiment, row_from_project
from runstream_model.entities import EntityRows, ProjectEntities
from runstream_model.history import row_of_dead_letter, rows_of_events
from runstream_model.projections import PROJECTIONS
from runstream_model.run_state import Status, placeholder, row_from_state
from runstream_model.source import Source
from runstream_model.statistics import AGGREGATES, KEPT_POINTS, STATISTICS
from runstream_model.summaries import SummaryFold
from runstream_model.writer_marks import WriterMark, row_from_mark, row_of_commit
from runstream_query import artifact_responses, responses
from runstream_query.filters import tree

WRITER = "0" * 32


def rows_of_folds() -> list[tuple[str, dict[str, Any]]]:
    """A row of each table that a fold fills row by row."""
    place = {"at_us": 1, "workspace": "w", "project": "p"}
    logged = ArtifactVersionLogged(**place, artifact_type="model", name="net", open=True)
    artifact_rows = ArtifactRows()
    remarked = ArtifactVersionRemarked(**place, artifact_type="model", name="net", ordinal=1, remark={})
    file = AddedFile(name="a", sha256="0" * 64)
    added = ArtifactFilesAdded(**place, artifact_type="model", name="net", ordinal=1, files=(file,))
    known: dict[str, ArtifactState] = {}
    for event in (logged, remarked, added):
        artifact_rows.fold(known, event, Source(WRITER, 1, 0, 0), lambda _: True)
    events: list[tuple[int, AnyEvent]] = [
        (1, control.ParametersLogged(at_us=1, values={"lr": 1})),
        (2, control.ParametersDeleted(at_us=1, names=("old",))),
        (3, control.AssetLogged(at_us=1, asset_id="a", name="a", sha256="0" * 64, size_bytes=1)),
        (4, control.AssetDeleted(at_us=1, asset_id="b")),
        (5, control.OutputAppended(at_us=1, stream="stdout", text="x")),
    ]
    entity_rows = EntityRows()
    created = EntityCreated(**place, kind="variable", name="x", entity="0" * 32)
    entity_rows.fold(ProjectEntities(), created, Source(WRITER, 1, 0, 0), lambda _: True)
    facts = rows_from_events("r", WRITER, events, 0, 0)
    project = fold_project(None, control.ProjectCreated(**place))
    experiment = fold_experiment(None, control.ExperimentCreated(**place, experiment="e"))
    return [
        ("run_states", row_from_state("r", placeholder(0), 0, 0)),
        *(("attribute_states", row) for row in facts.attributes),
        *(("asset_states", row) for row in facts.assets),
        *(("output", row) for row in facts.output),
        ("project_states", row_from_project(project, 0, 0)),
        ("experiment_states", row_from_experiment(experiment, 0, 0)),
        *((table, row) for table, rows in artifact_rows.take().items() for row in rows),
        *((table, row) for table, rows in entity_rows.take().items() for row in rows),
        ("events", rows_of_events("r", WRITER, events, 0, 0)[0]),
        ("watermark_states", row_from_mark("r", WRITER, WriterMark(), 0, 0)),
        ("watermark_states", row_of_commit(0, 1, {"points": 0})),
        ("quarantine", row_of_dead_letter(b"k", 0, 0, 1, item=0, cause="c", detail="d", body=b"")),
    ]


def test_every_table_that_is_filled_row_by_row_has_a_row_here() -> None:
    by_column = {"points", "summary_states"}
    assert {table for table, _ in rows_of_folds()} == PROJECTIONS.keys() - by_column


def visible(table: str) -> list[str]:
    return [column.name for column in PROJECTIONS[table].visible]


def test_responses_show_the_visible_columns() -> None:
    assert list(responses.RunRow.model_fields) == [*visible("run_states"), "columns"]
    assert list(responses.Summary.model_fields) == visible("summary_states")
    assert responses.RunRow.__doc__ == responses.RunRow.model_json_schema()["description"]
    described = responses.Summary.model_json_schema()["properties"]["maximum"]["description"]
    assert described == "the largest value that is no NaN; NaN if there is none"


@pytest.mark.parametrize(
    ("response", "table", "besides"),
    [
        (responses.Asset, "asset_states", ()),
        (responses.Project, "project_states", ("runs",)),
        (responses.Experiment, "experiment_states", ("runs",)),
        (artifact_responses.Artifact, "artifact_states", ()),
        (artifact_responses.ArtifactVersion, "artifact_version_states", ()),
    ],
)
def test_other_responses_have_the_visible_columns(
    response: type[responses.ResponseModel], table: str, besides: tuple[str, ...]
) -> None:
    assert [name for name in response.model_fields if name not in besides] == visible(table)


@pytest.mark.parametrize(
    ("view", "response", "besides"),
    [
        (RunView, responses.RunRow, ("api",)),
        (Summary, responses.Summary, ()),
        (Asset, responses.Asset, ()),
        (Project, responses.Project, ()),
        (Experiment, responses.Experiment, ()),
    ],
)
def test_the_python_client_has_what_responses_have(
    view: type, response: type[responses.ResponseModel], besides: tuple[str, ...]
) -> None:
    assert [field.name for field in fields(view) if field.name not in besides] == list(response.model_fields)


def test_exports_have_the_columns_of_responses() -> None:
    texts = ("id", "workspace", "project", "experiment", "name", "status", "message", "user", "host", "notes", "tags")
    expected = {
        **dict.fromkeys((*texts, "created", "started", "ended"), "text"),
        "duration": "float",
        "points_dropped": "integer",
        **dict.fromkeys(("group", "job_type", "links"), "text"),
    }
    assert list(run_columns().items()) == list(expected.items())
    assert points_schema(epochs=True).names == visible("points")
    assert list(summary_columns()) == [*visible("summary_states"), "mean"]
    assert summary_columns()["last_step"] == "integer"
    assert summary_columns()["last_at"] == "text"
    assert summary_columns()["mean"] == "float"


def test_the_command_line_names_every_visible_column_of_a_run() -> None:
    assert list(row_members().values()) == visible("run_states")
    assert {row_members()[name] for name in ("id", "created", "duration", "tags")} == {
        "run",
        "created_at",
        "duration_s",
        "tags",
    }


def test_filters_know_the_columns_of_runs() -> None:
    assert {name: column.name for name, column in tree.RUN_FIELDS.items()} == {
        **{name: name for name in ("workspace", "project", "experiment", "name", "status", "message", "user", "host")},
        **{name: name for name in ("notes", "archived", "deleted", "group", "job_type")},
        **{name: f"{name}_at" for name in ("created", "started", "ended", "updated")},
        "id": "run",
        "tag": "tags",
        "duration": "duration_s",
    }
    assert tree.TIMES == ("created", "started", "ended", "updated")
    assert tree.FLAGS == ("archived", "deleted")
    assert {*tree.TEXTS, *tree.TIMES, *tree.FLAGS, "tag", "duration"} == set(tree.RUN_FIELDS)


def test_summaries_are_named_alike_everywhere() -> None:
    assert set(SUMMARIES) == set(AGGREGATES)
    assert all(getattr(Metric("loss"), name).summary == name for name in AGGREGATES)
    assert {name: statistic.number for name, statistic in AGGREGATES.items()} == {
        "count": "toFloat64(count)",
        "min": "minimum",
        "max": "maximum",
        "first": "first",
        "last": "last",
        "sum": "total",
        "mean": "total / count",
        "std": "ifNull(std, nan)",
    }
    assert set(KEPT_POINTS) <= {statistic.name for statistic in STATISTICS}


def test_the_fold_of_summaries_gives_the_stored_columns() -> None:
    columns, rows = SummaryFold().changed_columns()
    assert rows == 0
    assert columns.keys() == {column.name for column in PROJECTIONS["summary_states"].stored}


@pytest.mark.parametrize(("table", "row"), rows_of_folds(), ids=lambda value: value if isinstance(value, str) else "")
def test_folds_give_the_stored_columns(table: str, row: dict[str, Any]) -> None:
    # The store computes what is optional.
    required = [one.name for one in PROJECTIONS[table].stored if one.blank is None and not one.optional]
    assert [name for name in row if name in required] == required
    assert row.keys() <= {column.name for column in PROJECTIONS[table].stored}


def test_the_column_of_the_status_names_all_of_them() -> None:
    (status,) = (column for column in PROJECTIONS["run_states"].columns if column.name == "status")
    assert all(name in status.meaning for name in get_args(Status))
