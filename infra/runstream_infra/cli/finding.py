"""Which run somebody means: its id, the beginning of one, its name, or `latest`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from runstream_infra.cli.exits import BadInput

if TYPE_CHECKING:
    from runstream.api import API, RunView

#: The newest run, of the project if one is given.
LATEST: Final = "latest"
#: So many of the runs that could be meant are named.
_NAMED: Final = 5

Found = TypeVar("Found")


def read_run(
    api: "API",
    word: str,
    read: Callable[[str], Found],
    project: str | None = None,
    workspace: str | None = None,
    *,
    among: str = "",
) -> Found:
    """Return what `read` gives for the run that `word` means: first the one with this id, then the one with this name,
    then the only one whose id begins so. `latest` is the run that was created last. `read` takes an id and raises
    Refused for one that nobody has. `among` is a filter on names and beginnings: without it runs that are archived or
    deleted are found by their id alone.

    Raises BadInput where no run is meant, or several.
    """
    from runstream.api import Refused

    if word == LATEST:
        newest = api.runs(among or None, limit=1, project=project, workspace=workspace)
        if not newest:
            raise BadInput("there is no latest run: `runstream runs` lists nothing here")
        return read(newest[0].run)
    try:
        return read(word)
    except Refused as error:
        if error.problem.get("status") in (401, 403):
            raise
    return read(_meant(api, word, project, workspace, among))


def find_run(api: "API", word: str) -> "RunView":
    """Return the run that `word` means. Raises BadInput."""
    return read_run(api, word, api.run)


def find_runs(
    api: "API", words: Sequence[str], project: str | None = None, workspace: str | None = None, *, among: str = ""
) -> list["RunView"]:
    """Return the runs that `words` mean, each once. Raises BadInput."""
    found = [read_run(api, word, api.run, project, workspace, among=among) for word in words]
    return list({run.run: run for run in found}.values())


def _meant(api: "API", word: str, project: str | None, workspace: str | None, among: str) -> str:
    """The id of the run with this name, or else of the only one whose id begins so. Raises BadInput."""
    from runstream.query.literals import quoted

    def those(test: str, is_meant: "Callable[[RunView], bool]") -> list[str]:
        wanted = f"{test} {quoted(word)}" + (f" and {among}" if among else "")
        found = api.runs(wanted, limit=_NAMED + 1, project=project, workspace=workspace)
        return [run.run for run in found if is_meant(run)]

    for what, found in (
        ("are called", those("name =", lambda run: run.name == word)),
        ("have ids that begin with", those("id startswith", lambda run: run.run.startswith(word))),
    ):
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
            raise BadInput(f"several runs {what} {word!r} ({listed}): give the id of one")
    raise BadInput(f"no run has the id or the name {word!r}, and no id begins so: `runstream runs` lists them")
