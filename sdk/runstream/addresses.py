"""The address of a run's page: the one that `init` prints, `run.url` has, and the clients of other trackers make."""

from urllib.parse import quote


def page_of_run(url: str, workspace: str, project: str, run: str, *, archived: bool = False) -> str:
    """Return the address of the page of a run on the server at `url`. Programs get its JSON there."""
    archive = ["archive"] if archived else []
    return "/".join([url, *(quote(part, safe="") for part in (workspace, project, *archive, run))])
