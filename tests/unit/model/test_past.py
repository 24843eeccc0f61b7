"""What was known as of a moment, from events as the table `events` has them."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from runstream.events.artifacts import (
    ArtifactCreated,
    ArtifactDeleted,
    ArtifactVersionLogged,
    artifact_id,
)
from runstream.events.control import (
    AnyEvent,
    ExperimentCreated,
    ParametersDeleted,
    ParametersLogged,
    ProjectCreated,
    ProjectDeleted,
    RunArchived,
    RunFinished,
    RunStarted,
    TagsAdded,
    encode_event,
)
from runstream_model.past import LoggedEvent, PastWriter, artifact_after, last_had_effect, run_after, summaries_of

A, B = "a" * 32, "b" * 32
PLACE = {"at_us": 1, "workspace": "w", "project": "p"}
NET = {**PLACE, "artifact_type": "model", "name": "net"}
OTHER = {**PLACE, "artifact_type": "model", "name": "other"}
STARTED = RunStarted(**PLACE, name="first")


def logged(*events: AnyEvent, writers: str = "") -> list[LoggedEvent]:
    """The events one after the other, each by the writer whose letter stands in its place (else by A)."""
    return [
        LoggedEvent(0, 10 + seq, seq, writer * 32, encode_event(event).decode())
        for seq, (event, writer) in enumerate(zip(events, writers or "a" * len(events), strict=True))
    ]


def test_a_run_after_some_of_its_events() -> None:
    events = logged(
        STARTED,
        ParametersLogged(at_us=2, values={"lr": 0.1, "old": 1}),
        ParametersDeleted(at_us=3, names=("old",)),
        RunArchived(at_us=4),
        RunFinished(at_us=5, status="failed"),
        writers="aaaba",
    )
    running = run_after("r", events[:2])
    assert (running.row["status"], running.row["archived"], running.row["offset"]) == ("running", False, 11)
    assert [row["name"] for row in running.attributes] == ["lr", "old"]
    assert running.writers == [PastWriter(A, False)]
    over = run_after("r", events)
    assert (over.row["status"], over.row["name"], over.row["archived"]) == ("failed", "first", True)
    assert [row["name"] for row in over.attributes] == ["lr"]
    # B never started the run, so nobody waits for it.
    assert over.writers == [PastWriter(A, True), PastWriter(B, True)]


def test_an_artifact_after_some_of_the_events_of_its_key() -> None:
    events = logged(
        ArtifactCreated(**OTHER), ArtifactVersionLogged(**NET), ArtifactVersionLogged(**NET), ArtifactDeleted(**NET)
    )
    net = artifact_id("w", "p", "model", "net")
    assert artifact_after(net, events[:1]) is None
    past = artifact_after(net, events[:3])
    assert past is not None
    assert (past.row["name"], past.row["latest_ordinal"]) == ("net", 2)
    assert [version["ordinal"] for version in past.versions] == [1, 2]
    assert artifact_after(net, events) is None


@pytest.mark.parametrize(
    ("events", "had_effect"),
    [
        ([STARTED], True),
        ([STARTED, TagsAdded(at_us=2, tags=("x",))], True),
        ([STARTED, ParametersLogged(at_us=2, values={"lr": 1})], False),
        ([ProjectCreated(**PLACE)], True),
        ([ProjectCreated(**PLACE), ExperimentCreated(**PLACE, experiment="e"), ProjectCreated(**PLACE)], False),
        ([ProjectCreated(**PLACE), ProjectDeleted(**PLACE), ProjectCreated(**PLACE)], True),
        ([ExperimentCreated(**PLACE, experiment="e")], True),
        ([ExperimentCreated(**PLACE, experiment="e"), ExperimentCreated(**PLACE, experiment="e")], False),
        ([ArtifactCreated(**NET), ArtifactCreated(**OTHER)], True),
        ([ArtifactCreated(**NET), ArtifactCreated(**OTHER), ArtifactCreated(**NET)], False),
    ],
)
def test_whether_the_last_event_changed_something(events: list[AnyEvent], had_effect: bool) -> None:
    assert last_had_effect(logged(*events)) is had_effect


def points(*rows: tuple[str, str, int, float]) -> pa.Table:
    """Points (run, metric, step, value), one a second."""
    at = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second) for second in range(len(rows))]
    columns: dict[str, Any] = {
        "run": pa.array([row[0] for row in rows], pa.string()),
        "metric": pa.array([row[1] for row in rows], pa.string()),
        "step": pa.array([row[2] for row in rows], pa.int64()),
        "at": pa.array(at, pa.timestamp("us", "UTC")),
        "value": pa.array([row[3] for row in rows], pa.float64()),
        "writer": pa.array([7] * len(rows), pa.uint64()),
        "seq": pa.array(range(len(rows)), pa.uint64()),
    }
    return pa.table(columns)


def test_summaries_of_points() -> None:
    found = summaries_of(
        points(("r", "acc", 1, 0.5), ("r", "loss", 2, 2.0), ("r", "loss", 1, math.nan), ("s", "loss", 0, -1.0))
    )
    assert [(row["run"], row["metric"], row["count"]) for row in found] == [
        ("r", "acc", 1),
        ("r", "loss", 2),
        ("s", "loss", 1),
    ]
    loss = found[1]
    assert (loss["minimum"], loss["minimum_step"], loss["minimum_at"]) == (2.0, 2, 1_000_000)
    assert (loss["last"], loss["first_step"], loss["first_at"], loss["nan_count"]) == (2.0, 1, 2_000_000, 1)
    assert math.isnan(loss["first"])
    assert math.isnan(loss["total"])
    assert found[2]["total"] == -1.0
    assert not {"part", "offset", "total_digits"} & loss.keys()


def test_no_points_have_no_summaries() -> None:
    assert summaries_of(points()) == []
