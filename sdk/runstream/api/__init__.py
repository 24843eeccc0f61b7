"""Reading runs, and changing what is known of them, over HTTP. Only the standard library is needed; `to_arrow` and
`to_pandas` need `pip install 'runstream[data]'`."""

from runstream.api.client import API
from runstream.api.errors import NameTaken, NotFound, Refused, ServerFailed, ServerUnreachable
from runstream.api.live import Change
from runstream.api.series import Curve, Envelope, Series
from runstream.api.views import Asset, Experiment, Project, Runs, RunView, Summaries, Summary, Table, Workspace, Writer

__all__ = [
    "API",
    "Asset",
    "Change",
    "Curve",
    "Envelope",
    "Experiment",
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
    "Workspace",
    "Writer",
]
