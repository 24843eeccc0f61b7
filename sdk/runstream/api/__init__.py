"""Reading runs, and changing what is known of them, over HTTP. Only the standard library is needed; `to_arrow` and
`to_pandas` need `pip install 'runstream[data]'`."""

from runstream.api.client import API
from runstream.api.errors import (
    NameTaken,
    NotFound,
    Refused,
    ServerFailed,
    ServerUnreachable,
    UnknownName,
    VersionTaken,
    ViewChanged,
)
from runstream.api.parts.artifact_files import Link
from runstream.api.parts.live import Change
from runstream.api.parts.runs import RunQuery
from runstream.api.session import Session
from runstream.api.views.artifacts import Artifact, ArtifactContents, ArtifactFile, ArtifactRemark, ArtifactVersion
from runstream.api.views.assets import Asset
from runstream.api.views.charts import ChartCurve, GroupedCurve
from runstream.api.views.fields import RunField
from runstream.api.views.lineage import Lineage, LineageEdge, LineageRun, LineageVersion
from runstream.api.views.output import OutputLine
from runstream.api.views.projects import Experiment, Project, Workspace
from runstream.api.views.runs import HistoryEntry, RunDetails, Runs, RunView, Writer
from runstream.api.views.saved_views import SavedView
from runstream.api.views.series import Curve, Envelope, Series
from runstream.api.views.server import KeyRights, OddClock, Readiness, ReadModels, Rebuild, ServerStatus
from runstream.api.views.summaries import Summaries, Summary
from runstream.api.views.table import Table
from runstream.globs import exact

__all__ = [
    "API",
    "Artifact",
    "ArtifactContents",
    "ArtifactFile",
    "ArtifactRemark",
    "ArtifactVersion",
    "Asset",
    "Change",
    "ChartCurve",
    "Curve",
    "Envelope",
    "Experiment",
    "GroupedCurve",
    "HistoryEntry",
    "KeyRights",
    "Lineage",
    "LineageEdge",
    "LineageRun",
    "LineageVersion",
    "Link",
    "NameTaken",
    "NotFound",
    "OddClock",
    "OutputLine",
    "Project",
    "ReadModels",
    "Readiness",
    "Rebuild",
    "Refused",
    "RunDetails",
    "RunField",
    "RunQuery",
    "RunView",
    "Runs",
    "SavedView",
    "Series",
    "ServerFailed",
    "ServerStatus",
    "ServerUnreachable",
    "Session",
    "Summaries",
    "Summary",
    "Table",
    "UnknownName",
    "VersionTaken",
    "ViewChanged",
    "Workspace",
    "Writer",
    "exact",
]
