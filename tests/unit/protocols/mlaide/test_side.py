"""What was begun here is found before the read models have it, and what cannot be read yet is not taken for missing."""

from typing import Any

import pytest

from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place
from runstream_protocols.mlaide import projects
from runstream_protocols.mlaide.keys import id_of_new_run, number_of_run
from runstream_protocols.mlaide.side import MlaideSide, Remembered
from runstream_service.lookup import KnownRun
from runstream_service.problems import Problem

PLACE = Place("default", "p")
RUN = id_of_new_run(b"12345678")
KNOWN = KnownRun("default", "p", "name", frozenset(), None, deleted=False)


class Slow:
    """A recorder whose read models come behind `lag` waits; and the look-up, which counts how often it is asked."""

    def __init__(self, known: KnownRun | None, lag: int) -> None:
        self.lookup = self
        self._known, self._lag = known, lag
        self.requested = 0

    async def require(self, key: str) -> None:
        assert key == PLACE.record_key

    async def settled(self) -> bool:
        self._lag -= 1
        return self._lag <= 0

    async def run(self, run: str) -> KnownRun | None:
        self.requested += 1
        return self._known if self._lag <= 0 else None


def side_of(recorder: Any) -> MlaideSide:
    nothing: Any = None
    return MlaideSide(recorder, nothing, nothing)


async def test_a_run_is_looked_up_once() -> None:
    recorder = Slow(KNOWN, lag=1)
    side = side_of(recorder)
    for _ in range(3):
        assert await side.run_in(PLACE, str(number_of_run(RUN))) == RUN
    assert recorder.requested == 2, "before and behind the wait"


async def test_a_run_that_was_begun_here_is_not_looked_up() -> None:
    recorder = Slow(None, lag=9)
    side = side_of(recorder)
    side.runs.add(PLACE, RUN)
    assert await side.run_in(PLACE, str(number_of_run(RUN))) == RUN
    assert recorder.requested == 0


@pytest.mark.parametrize(
    "known",
    [
        None,
        KnownRun("default", "p", "name", frozenset(), None, deleted=True),
        KnownRun("default", "q", "name", frozenset(), None, deleted=False),
        KnownRun("w", "p", "name", frozenset(), None, deleted=False),
    ],
)
async def test_a_run_that_is_not_in_the_project_is_not_there(known: KnownRun | None) -> None:
    with pytest.raises(Refused) as raised:
        await side_of(Slow(known, lag=1)).run_in(PLACE, str(number_of_run(RUN)))
    assert raised.value.status == 404


async def test_what_cannot_be_read_yet_is_not_taken_for_missing() -> None:
    with pytest.raises(Problem, match="cannot be read yet") as raised:
        await side_of(Slow(KNOWN, lag=2)).run_in(PLACE, str(number_of_run(RUN)))
    assert raised.value.status == 503


async def test_an_experiment_that_was_created_here_is_there() -> None:
    side = side_of(Slow(None, lag=9))
    side.experiments.add(PLACE, "e")
    await projects.require_experiment(side, PLACE, "e")


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runstream_protocols.mlaide.side._REMEMBERED", 2)
    remembered = Remembered()
    for name in "abc":
        remembered.add(PLACE, name)
    assert [name for name in "abc" if (PLACE, name) in remembered] == ["b", "c"]
