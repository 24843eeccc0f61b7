"""Which run somebody means: its id, its name, the beginning of one, or `latest`; and how short an id may be."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from runstream_infra.cli.exits import BadInput

if TYPE_CHECKING:
    from runstream.api import API, RunView

#: The newest run, of the project if one is given.
LATEST: Final = "latest"
#: So many of the runs that could be meant are named.
_NAMED: Final = 5
#: So many of the newest runs without a name are looked through for one that is made of an id.
_UNNAMED: Final = 5_000
#: A beginning of an id that is shown has at least so many characters.
_LEAST_CHARS: Final = 6
#: How often ids that begin alike are asked for, and of so many at the most: a filter takes as many tests.
_LOOKS: Final = 4
_MOST_SHORT: Final = 100

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
    then the only one whose id begins so, then the one without a name that is shown so, then the only one whose name,
    given or shown, begins so. `latest` is the run that was created last. `read` takes an id and raises Refused for one
    that nobody has. `among` is a filter on names and beginnings: without it runs that are archived or deleted are found
    by their id alone.

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


def short_ids(api: "API", ids: Sequence[str]) -> list[str]:
    """Return the shortest beginning of each id by which `read_run` finds its run, as far as some requests tell; of very
    many ids each as it is."""
    from runstream.query.literals import quoted

    known = set(ids)
    for _ in range(_LOOKS if len(known) <= _MOST_SHORT else 0):
        shortest = beginnings(ids, known)
        if not ids or shortest == list(ids):
            return shortest
        wanted = " or ".join(f"id startswith {quoted(beginning)}" for beginning in dict.fromkeys(shortest))
        found = {run.run for run in api.runs(wanted, limit=len(ids) + _NAMED * 10)}
        if found <= known:
            return shortest
        known |= found
    return list(ids)


def beginnings(ids: Sequence[str], known: Collection[str]) -> list[str]:
    """Return the shortest beginning of each id that no other of the `known` ones has. Pure."""
    in_order = sorted({*ids, *known})
    shortest = {}
    for place, one in enumerate(in_order):
        near = in_order[max(place - 1, 0) : place] + in_order[place + 1 : place + 2]
        shared = max((_shared(one, other) for other in near), default=0)
        shortest[one] = one[: max(shared + 1, _LEAST_CHARS)]
    return [shortest[one] for one in ids]


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    return next(
        (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )


def _meant(api: "API", word: str, project: str | None, workspace: str | None, among: str) -> str:
    """The id of the only run that `word` means by another way than its id. Raises BadInput."""
    for way in _ways(word):
        found = [run for filter, limit in way.reads for run in _listing(api, filter, limit, project, workspace, among)]
        runs = list({run.run: run for run in found if way.is_meant(run)}.values())
        if len(runs) == 1:
            return runs[0].run
        if runs:
            listed = ", ".join(_listed(run, word) for run in runs[:_NAMED]) + (", ..." if len(runs) > _NAMED else "")
            raise BadInput(f"several runs {way.what} {word!r} ({listed}): give the id of one")
    raise BadInput(f"no run has the id or the name {word!r}, and none begins so: `runstream runs` lists them")


def _listing(
    api: "API", filter: str, limit: int, project: str | None, workspace: str | None, among: str
) -> "Sequence[RunView]":
    """The newest runs that fit both filters."""
    wanted = filter + (f" and {among}" if among else "")
    return api.runs(wanted, limit=limit, project=project, workspace=workspace)


@dataclass(frozen=True, slots=True)
class _Way:
    """A way in which runs are meant: what they do, the filters that find them, each with how many are read, and which
    of those count."""

    what: str
    is_meant: "Callable[[RunView], bool]"
    reads: Sequence[tuple[str, int]]


def _ways(word: str) -> Iterator[_Way]:
    """Yield the ways in their order: by name, by the beginning of an id, by the name that is shown for a run without
    one, by the beginning of a name, given or shown."""
    from runstream.display_names import UNNAMED, begins_made, may_be_made
    from runstream.query.literals import quoted

    value, some = quoted(word), _NAMED + 1
    unnamed = (UNNAMED, _UNNAMED)
    yield _Way("are called", lambda run: run.name == word, [(f"name = {value}", some)])
    yield _Way("have ids that begin with", lambda run: run.run.startswith(word), [(f"id startswith {value}", some)])
    if may_be_made(word):
        yield _Way("are shown as", lambda run: run.display_name == word, [unnamed])
    yield _Way(
        "have names that begin with",
        lambda run: run.display_name.startswith(word),
        [(f"name startswith {value}", some), *([unnamed] if begins_made(word) else [])],
    )


def _listed(run: "RunView", word: str) -> str:
    name = run.display_name
    return f"{name}: {run.run}" if name not in (word, run.run) and not run.run.startswith(word) else run.run
