"""Reading runs, and changing what is known of them, over HTTP. Only the standard library is needed; `to_arrow` and
`to_pandas` need `pip install 'runstream[data]'`."""

from runstream.api.artifact_files import Link
from runstream.api.artifact_views import Artifact, ArtifactContents, ArtifactFile, ArtifactVersion
from runstream.api.client import API
from runstream.api.errors import NameTaken, NotFound, Refused, ServerFailed, ServerUnreachable, VersionTaken
from runstream.api.live import Change
from runstream.api.series import Curve, Envelope, Series
from runstream.api.views import Asset, Experiment, Project, Runs, RunView, Summaries, Summary, Table, Workspace, Writer

__all__ = [
    "API",
    "Artifact",
    "ArtifactContents",
    "ArtifactFile",
    "ArtifactVersion",
    "Asset",
    "Change",
    "Curve",
    "Envelope",
    "Experiment",
    "Link",
    "NameTaken",
    "NotFound",
    "Project",
    "Refused",
    "RunView",
    "Runs",
    "Series",
    "ServerFailed",
    "ServerUnreachable",
    "Summaries",
    "Summary",
    "Table",
    "VersionTaken",
    "Workspace",
    "Writer",
]
