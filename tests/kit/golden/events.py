"""The control events whose bytes are kept: every event, and every field of it at least once."""

import math
from typing import Final

from runstream.events import artifacts, control, entities, limits
from runstream.events.artifacts import ArtifactFile
from runstream.events.control import AnyEvent

AT_US: Final = 1_750_000_000_123_456

#: By name of the file. A name begins with the event's tag.
EVENTS: Final[dict[str, AnyEvent]] = {
    "run_started.v1": control.RunStarted(
        at_us=AT_US,
        workspace="research",
        project="digits",
        experiment="sweep 1",
        name="mlp-3",
        rank=0,
        resumed=True,
        resumed_at_step=4_000,
        user="ada",
        host="node-17",
        pid=4711,
        sdk_version="0.1.0",
    ),
    "run_started.v1-group": control.RunStarted(
        at_us=AT_US, workspace="research", project="digits", group="sweep 7, größe", job_type="train"
    ),
    "run_started.v1-heartbeats": control.RunStarted(
        at_us=AT_US, workspace="research", project="digits", heartbeats=False
    ),
    "run_started.v1-least": control.RunStarted(at_us=0, workspace="default", project="default"),
    "run_finished.v1": control.RunFinished(
        at_us=AT_US,
        status="failed",
        message="ValueError: loss is NaN",
        traceback='Traceback (most recent call last):\n  File "train.py", line 3\nValueError: loss is NaN\n',
    ),
    "run_finished.v1-least": control.RunFinished(at_us=AT_US),
    "writer_lost.v1": control.WriterLost(at_us=AT_US, reason="process 4711 is gone and never finished"),
    "run_status_changed.v1": control.RunStatusChanged(at_us=AT_US, status="killed", message="not needed any more"),
    "run_times_set.v1": control.RunTimesSet(at_us=AT_US, started_at_us=1, ended_at_us=limits.MAX_AT_US),
    "parameters_logged.v1": control.ParametersLogged(
        at_us=AT_US,
        values={
            "lr": 1e-3,
            "epochs": 10,
            "seed": 2**64 + 1,
            "shuffle": True,
            "schedule": None,
            "optimiser": {"name": "adam", "betas": [0.9, 0.999]},
            "größe/日本": 'ünï – 😀 \u2028 "quoted" \\ \n\t\x00',
            "limit": math.inf,
            "floor": -math.inf,
            "missing": math.nan,
            "zero": -0.0,
            "tiny": 5e-324,
            "third": 1 / 3,
        },
    ),
    "parameters_deleted.v1": control.ParametersDeleted(at_us=AT_US, names=("lr", "optimiser.name")),
    "others_logged.v1": control.OthersLogged(
        at_us=AT_US, values={"score": 0.97, "note": "best so far", "bad": math.nan}
    ),
    "environment_captured.v1": control.EnvironmentCaptured(
        at_us=AT_US, section="git", values={"commit": "0be288b", "dirty": False, "remotes": {"origin": "example"}}
    ),
    "tags_added.v1": control.TagsAdded(at_us=AT_US, tags=("sweep", "über")),
    "tags_removed.v1": control.TagsRemoved(at_us=AT_US, tags=("sweep",)),
    "asset_logged.v1": control.AssetLogged(
        at_us=AT_US,
        asset_id="a1b2c3",
        name="plots/confusion.png",
        kind="image",
        sha256="0123456789abcdef" * 4,
        size_bytes=12_345,
        content_type="image/png",
        step=-(2**63),
        metadata={"classes": 10, "scale": math.inf},
    ),
    "asset_logged.v1-context": control.AssetLogged(
        at_us=AT_US, asset_id="a", name="n", sha256="0" * 64, size_bytes=0, context="validate"
    ),
    "asset_logged.v1-facts": control.AssetLogged(
        at_us=AT_US,
        asset_id="b",
        name="net/layers/größe.bin",
        kind="model",
        sha256="0" * 64,
        size_bytes=20,
        role="graph",
        location="s3://bucket/größe.bin",
        model="net",
    ),
    "asset_logged.v1-least": control.AssetLogged(at_us=AT_US, asset_id="a", name="n", sha256="0" * 64, size_bytes=0),
    "asset_deleted.v1": control.AssetDeleted(at_us=AT_US, asset_id="a1b2c3"),
    "output_appended.v1": control.OutputAppended(at_us=AT_US, stream="stderr", text="epoch 1\r\n\x1b[31mred\x1b[0m"),
    "points_dropped.v1": control.PointsDropped(at_us=AT_US, count=17, reason="the disk was full"),
    "run_renamed.v1": control.RunRenamed(at_us=AT_US, name="mlp 3, again"),
    "run_moved.v1": control.RunMoved(at_us=AT_US, workspace="research", project="letters", experiment="sweep 2"),
    "run_moved.v1-least": control.RunMoved(at_us=AT_US, workspace="research", project="letters"),
    "run_linked.v1": control.RunLinked(at_us=AT_US, workspace="research", project="größe 1"),
    "run_unlinked.v1": control.RunUnlinked(at_us=AT_US, workspace="research", project="größe 1"),
    "run_notes_set.v1": control.RunNotesSet(at_us=AT_US, notes="# Why\n\nIt *works*."),
    "run_archived.v1": control.RunArchived(at_us=AT_US),
    "run_restored.v1": control.RunRestored(at_us=AT_US),
    "run_deleted.v1": control.RunDeleted(at_us=AT_US),
    "project_created.v1": control.ProjectCreated(
        at_us=AT_US, workspace="research", project="digits", description="Small pictures"
    ),
    "project_updated.v1": control.ProjectUpdated(
        at_us=AT_US, workspace="research", project="digits", description="", notes="see the wiki"
    ),
    "project_updated.v1-least": control.ProjectUpdated(at_us=AT_US, workspace="research", project="digits"),
    "project_deleted.v1": control.ProjectDeleted(at_us=AT_US, workspace="research", project="digits"),
    "experiment_created.v1": control.ExperimentCreated(
        at_us=AT_US, workspace="research", project="digits", experiment="sweep 1", description="learning rates"
    ),
    "experiment_updated.v1": control.ExperimentUpdated(
        at_us=AT_US, workspace="research", project="digits", experiment="sweep 1", description="rates"
    ),
    "experiment_deleted.v1": control.ExperimentDeleted(
        at_us=AT_US, workspace="research", project="digits", experiment="sweep 1"
    ),
    "artifact_created.v1": artifacts.ArtifactCreated(
        at_us=AT_US,
        workspace="research",
        project="digits",
        artifact_type="panel",
        name="loss beside rate",
        description="Two curves",
        notes="made for the review",
        tags=("review",),
        public=True,
    ),
    "artifact_created.v1-least": artifacts.ArtifactCreated(
        at_us=AT_US, workspace="research", artifact_type="model", name="digit reader"
    ),
    "artifact_updated.v1": artifacts.ArtifactUpdated(
        at_us=AT_US,
        workspace="research",
        project="digits",
        artifact_type="panel",
        name="loss beside rate",
        description="",
        notes="see the wiki",
        tags=(),
        public=False,
    ),
    "artifact_deleted.v1": artifacts.ArtifactDeleted(
        at_us=AT_US, workspace="research", project="digits", artifact_type="panel", name="loss beside rate"
    ),
    "artifact_version_logged.v1": artifacts.ArtifactVersionLogged(
        at_us=AT_US,
        workspace="research",
        project="digits",
        artifact_type="model",
        name="digit reader",
        version="1.2.0",
        comment="trained longer",
        tags=("best",),
        aliases=("production", "größte"),
        stages=("staging",),
        status="approved",
        metadata={"accuracy": 0.98, "layers": [64, 10], "nan": math.nan},
        run="8f3c0a52",
        files=(
            ArtifactFile(
                name="weights/final.bin",
                sha256="0123456789abcdef" * 4,
                size_bytes=2**40,
                content_type="application/x-t",
            ),
            ArtifactFile(name="corpus", link="s3://bucket/corpus.tar"),
        ),
    ),
    "artifact_version_logged.v1-least": artifacts.ArtifactVersionLogged(
        at_us=AT_US, workspace="research", artifact_type="model", name="digit reader"
    ),
    "artifact_version_logged.v1-reserved": artifacts.ArtifactVersionLogged(
        at_us=AT_US, workspace="research", project="digits", artifact_type="data set", name="größe", ordinal=7
    ),
    "artifact_version_logged.v1-open": artifacts.ArtifactVersionLogged(
        at_us=AT_US, workspace="research", project="digits", artifact_type="data set", name="größe", open=True
    ),
    "artifact_files_added.v1": artifacts.ArtifactFilesAdded(
        at_us=AT_US,
        workspace="research",
        project="digits",
        artifact_type="data set",
        name="größe",
        ordinal=3,
        files=(
            artifacts.AddedFile(
                name="../../data\\größe.bin ", sha256="0f" * 32, size_bytes=2**40, content_type="text/plain"
            ),
            artifacts.AddedFile(name="corpus", link="s3://bucket/corpus.tar"),
        ),
    ),
    "artifact_version_reserved.v1": artifacts.ArtifactVersionReserved(
        at_us=AT_US,
        workspace="research",
        project="digits",
        artifact_type="data set",
        name="größe",
        version="1.3.0",
        tags=("raw",),
        aliases=("best", "größte"),
        metadata={"rows": 10, "limit": math.inf},
        run="8f3c0a52",
    ),
    "artifact_version_reserved.v1-least": artifacts.ArtifactVersionReserved(
        at_us=AT_US, workspace="research", artifact_type="data set", name="digits"
    ),
    "artifact_version_updated.v1": artifacts.ArtifactVersionUpdated(
        at_us=AT_US,
        workspace="research",
        project="digits",
        artifact_type="model",
        name="digit reader",
        ordinal=3,
        comment="",
        status="rejected",
        tags=("slow",),
        aliases=(),
        stages=("archive",),
        tags_removed=("best",),
        tags_added=("large",),
        aliases_removed=("production",),
        aliases_added=("candidate",),
    ),
    "artifact_version_remarked.v1": artifacts.ArtifactVersionRemarked(
        at_us=AT_US,
        workspace="research",
        project="digits",
        artifact_type="model",
        name="reader",
        ordinal=3,
        remark={"metadata": {"größe": [1, math.nan]}, "by": None},
    ),
    "artifact_version_deleted.v1": artifacts.ArtifactVersionDeleted(
        at_us=AT_US, workspace="research", project="digits", artifact_type="model", name="digit reader", ordinal=3
    ),
    "entity_created.v1": entities.EntityCreated(
        at_us=AT_US,
        workspace="research",
        project="digits",
        kind="variable",
        name="sweep 1/größe",
        entity="0123456789abcdef" * 2,
        properties={"value": [1, 2**64 + 1, 0.1, None, True], "größe": {"a": "b"}},
    ),
    "entity_replaced.v1": entities.EntityReplaced(
        at_us=AT_US,
        workspace="research",
        project="digits",
        kind="variable",
        name="sweep 1/größe",
        entity="0123456789abcdef" * 2,
        revision=3,
        properties={"value": 2},
    ),
    "entity_deleted.v1": entities.EntityDeleted(
        at_us=AT_US,
        workspace="research",
        project="digits",
        kind="variable",
        name="sweep 1/größe",
        entity="0123456789abcdef" * 2,
        revision=4,
        below=True,
    ),
    "entity_deleted.v1-of_a_kind": entities.EntityDeleted(
        at_us=AT_US,
        workspace="research",
        project="digits",
        kind="sweep",
        name="größe",
        entity="0123456789abcdef" * 2,
        revision=1,
        below_kind="sweep-trial",
    ),
}
