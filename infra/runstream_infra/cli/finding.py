"""Which run somebody means: its id, the beginning of one, its name, or `latest`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from runstream_infra.cli.exits import BadInput

if TYPE_CHECKING:
    from runstream.api import API, RunView

#: The newest run, of the project if one is given.
LATEST: Final = "latest"
#: So many of the runs that could be meant are named.
_NAMED: Final = 5


def find_run(
    api: "API", word: str, project: str | None = None, workspace: str | None = None, *, among: str = ""
) -> "RunView":
    """Return the run that `word` means: first the one with this id, then the one with this name, then the only one
    whose id begins so. `latest` is the run that was created last. `among` is a filter on names and beginnings: without
    it runs that are archived or deleted are found by their id alone.

    Raises BadInput where no run is meant, or several.
    """
    from runstream.api import Refused

    if word == LATEST:
        newest = api.runs(among or None, limit=1, project=project, workspace=workspace)
        if not newest:
            raise BadInput("there is no latest run: `runstream runs` lists nothing here")
        return newest[0]
    try:
        return api.run(word)
    except Refused as error:
        if error.problem.get("status") in (401, 403):
            raise
        return _only(word, _candidates(api, word, project, workspace, among))


def find_runs(
    api: "API", words: Sequence[str], project: str | None = None, workspace: str | None = None, *, among: str = ""
) -> list["RunView"]:
    """Return the runs that `words` mean, each once. Raises BadInput."""
    found = [find_run(api, word, project, workspace, among=among) for word in words]
    return list({run.run: run for run in found}.values())


def _candidates(api: "API", word: str, project: str | None, workspace: str | None, among: str) -> Sequence["RunView"]:
    from runstream.query.literals import quoted

    tests = f"(name = {quoted(word)} or id startswith {quoted(word)})"
    limit = _NAMED + 1
    found = api.runs(f"{tests} and {among}" if among else tests, limit=limit, project=project, workspace=workspace)
    return [run for run in found if run.name == word or run.run.startswith(word)]


def _only(word: str, candidates: Sequence["RunView"]) -> "RunView":
    named = [run for run in candidates if run.name == word]
    meant = named or candidates
    if len(meant) == 1:
        return meant[0]
    if not meant:
        raise BadInput(f"no run has the id or the name {word!r}, and no id begins so: `runstream runs` lists them")
    listed = ", ".join(run.run for run in meant[:_NAMED]) + (", ..." if len(meant) > _NAMED else "")
    what = "are called" if named else "have ids that begin with"
    raise BadInput(f"several runs {what} {word!r} ({listed}): give the id of one")
