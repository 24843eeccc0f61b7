"""Addresses of pages. A run's is the one that `init` prints, `run.url` has, and the clients of other trackers make."""

from urllib.parse import quote


def page_of_run(url: str, workspace: str, project: str, run: str, *, archived: bool = False) -> str:
    """Return the address of the page of a run on the server at `url`. Programs get its JSON there."""
    archive = ["archive"] if archived else []
    return "/".join([url, *(quote(part, safe="") for part in (workspace, project, *archive, run))])


def page_of_project(url: str, workspace: str, project: str) -> str:
    """Return the address of the page of a project on the server at `url`."""
    return "/".join([url, quote(workspace, safe=""), quote(project, safe="")])
