"""What stands elsewhere about the read models is what their projections say."""

from dataclasses import fields
from typing import get_args

import pytest

from runstream.api import Asset, Experiment, Project, RunView, Summary
from runstream.query.literals import SUMMARIES
from runstream.query.variables import Metric
from runstream_infra.cli.columns import row_members
from runstream_infra.cli.export import run_columns, summary_columns
from runstream_model.projections import PROJECTIONS, Projection
from runstream_model.run_state import Status, placeholder, row_from_state
from runstream_model.statistics import AGGREGATES, KEPT_POINTS, STATISTICS
from runstream_model.summaries import SummaryFold
from runstream_query import answers
from runstream_query.filters import tree


def visible(table: str) -> list[str]:
    return [column.name for column in PROJECTIONS[table].visible]


def test_responses_show_the_visible_columns() -> None:
    assert list(answers.RunRow.model_fields) == [*visible("run_states"), "columns"]
    assert list(answers.Summary.model_fields) == visible("summary_states")
    assert answers.RunRow.__doc__ == answers.RunRow.model_json_schema()["description"]
    described = answers.Summary.model_json_schema()["properties"]["maximum"]["description"]
    assert described == "the largest value that is no NaN; NaN if there is none"


@pytest.mark.parametrize(
    ("response", "table", "besides"),
    [
        (answers.Asset, "asset_states", ()),
        (answers.Project, "project_states", ("runs",)),
        (answers.Experiment, "experiment_states", ("runs",)),
        (answers.Artifact, "artifact_states", ()),
        (answers.ArtifactVersion, "artifact_version_states", ()),
    ],
)
def test_other_responses_have_the_visible_columns(
    response: type[answers.Answer], table: str, besides: tuple[str, ...]
) -> None:
    assert [name for name in response.model_fields if name not in besides] == visible(table)


@pytest.mark.parametrize(
    ("view", "response", "besides"),
    [
        (RunView, answers.RunRow, ("api",)),
        (Summary, answers.Summary, ()),
        (Asset, answers.Asset, ()),
        (Project, answers.Project, ()),
        (Experiment, answers.Experiment, ()),
    ],
)
def test_the_python_client_has_what_responses_have(
    view: type, response: type[answers.Answer], besides: tuple[str, ...]
) -> None:
    assert [field.name for field in fields(view) if field.name not in besides] == list(response.model_fields)


def test_exports_have_the_columns_of_responses() -> None:
    texts = ("id", "workspace", "project", "experiment", "name", "status", "message", "user", "host", "notes", "tags")
    expected = {
        **dict.fromkeys((*texts, "created", "started", "ended"), "text"),
        "duration": "float",
        "points_dropped": "integer",
    }
    assert list(run_columns().items()) == list(expected.items())
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
        **{name: name for name in ("notes", "archived", "deleted")},
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
    }
    assert set(KEPT_POINTS) <= {statistic.name for statistic in STATISTICS}


def test_a_fold_gives_the_stored_columns() -> None:
    def stored(projection: Projection) -> list[str]:
        return [column.name for column in projection.stored]

    assert list(row_from_state("r", placeholder(0), 0, 0)) == stored(PROJECTIONS["run_states"])
    columns, rows = SummaryFold().changed_columns()
    assert rows == 0
    assert columns.keys() == set(stored(PROJECTIONS["summary_states"]))


def test_the_column_of_the_status_names_all_of_them() -> None:
    (status,) = (column for column in PROJECTIONS["run_states"].columns if column.name == "status")
    assert all(name in status.meaning for name in get_args(Status))
