"""A command about a run that does not exist is refused, and makes none."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from runstream.events.artifacts import ArtifactVersionLogged
from runstream.events.control import AnyEvent, RunArchived, RunDeleted, RunRenamed, RunStarted, TagsAdded
from runstream_ingest.gateway.known_runs import KnownRuns
from runstream_service.lookup import KnownRun, Lookup
from runstream_service.problems import Problem
from runstream_service.store import StoreUnavailable

KNOWN = KnownRun("w", "p", "n", frozenset(), None, False)
RENAMED = RunRenamed(at_us=1, name="x")
STARTED = RunStarted(at_us=1, workspace="w", project="p")


class Runs:
    """Read models in which runs appear with time, and time that goes on by waiting."""

    def __init__(self, appear_s: dict[str, float], *, is_away: bool = False) -> None:
        self.now_s = 0.0
        self.looks: list[str] = []
        self._appear_s = appear_s
        self._is_away = is_away

    async def run(self, run_id: str) -> KnownRun | None:
        self.looks.append(run_id)
        if self._is_away:
            raise StoreUnavailable("the store is away")
        return KNOWN if self.now_s >= self._appear_s.get(run_id, float("inf")) else None

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def known(self, remembered: int = 10) -> KnownRuns:
        return KnownRuns(cast("Lookup", self), 1.0, remembered, self.sleep, lambda: self.now_s)


def version_of(run: str | None) -> ArtifactVersionLogged:
    fields: dict[str, Any] = {"workspace": "w", "artifact_type": "model", "name": "m", "run": run}
    return ArtifactVersionLogged(at_us=1, **fields)


@pytest.mark.parametrize(
    "commands",
    [
        [("nobody", RENAMED)],
        [("nobody", TagsAdded(at_us=1, tags=("a",)))],
        [("nobody", RunDeleted(at_us=1))],
        [("nobody", RunArchived(at_us=1))],
        [("there", RENAMED), ("nobody", RENAMED)],
        [("other", STARTED), ("nobody", RENAMED)],
        [("w/m", version_of("nobody"))],
    ],
)
async def test_a_run_that_does_not_exist_is_refused(commands: Sequence[tuple[str, AnyEvent]]) -> None:
    runs = Runs({"there": 0})
    with pytest.raises(Problem) as caught:
        await runs.known().check(commands)
    assert (caught.value.status, caught.value.kind) == (404, "no-such-run")
    assert "'nobody'" in str(caught.value)
    assert 1.0 <= runs.now_s < 1.2


async def test_a_run_that_exists_is_looked_up_once() -> None:
    runs = Runs({"there": 0})
    known = runs.known()
    for _ in range(3):
        await known.check(
            [("there", RENAMED), ("there", RENAMED), ("w/m", version_of("there")), ("w/m", version_of(None))]
        )
    assert runs.looks == ["there"]


async def test_a_run_that_is_only_coming_is_waited_for() -> None:
    runs = Runs({"new": 0.5})
    await runs.known().check([("new", RENAMED)])
    assert 0.5 <= runs.now_s < 0.7


async def test_a_start_makes_the_run() -> None:
    runs = Runs({})
    await runs.known().check([("new", STARTED), ("new", RENAMED)])
    assert runs.looks == []


async def test_a_store_that_is_away_refuses_nothing() -> None:
    await Runs({}, is_away=True).known().check([("nobody", RENAMED)])


async def test_what_is_remembered_is_bounded() -> None:
    runs = Runs(dict.fromkeys("abc", 0.0))
    known = runs.known(remembered=2)
    for run in "abcab":
        await known.check([(run, RENAMED)])
    assert runs.looks == list("abcab")


async def test_what_began_here_is_known_before_it_can_be_read() -> None:
    runs = Runs({})
    known = runs.known()
    known.remember("from a frame")
    known.remember_started([("from a command", STARTED), ("of another event", RENAMED)])
    await known.check([("from a frame", RENAMED), ("from a command", RENAMED)])
    assert runs.looks == []
    with pytest.raises(Problem):
        await known.check([("of another event", RENAMED)])
