"""The address of a run's page: the one that `init` prints, `run.url` has, and the clients of other trackers make."""

from typing import Final
from urllib.parse import quote

#: First parts of the paths of the server's own interfaces: no page lies below them.
_INTERFACES: Final = frozenset({"api", "ingest", "clientlib"})


def page_of_run(url: str, workspace: str, project: str, run: str, *, archived: bool = False) -> str:
    """Return the address of the page of a run on the server at `url`."""
    archive = ["archive"] if archived else []
    return "/".join([url, *(quote(part, safe="") for part in (workspace, project, *archive, run))])


def run_of_page(path: str) -> str | None:
    """Return the run whose page a path is the address of; None if it is none."""
    parts = path.strip("/").split("/")
    if len(parts) not in (3, 4) or parts[0] in _INTERFACES or (len(parts) == 4 and parts[2] != "archive"):
        return None
    return parts[-1] or None
