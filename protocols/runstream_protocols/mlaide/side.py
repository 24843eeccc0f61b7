"""What the handlers of ML Aide's routes work with, and which run a request is about."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from runstream_protocols.kit.entities import Entities
from runstream_protocols.kit.errors import Refused
from runstream_protocols.kit.places import Place
from runstream_protocols.kit.side import GatewaySide
from runstream_protocols.mlaide.keys import run_of_number
from runstream_service.lookup import KnownRun

#: Things that are known to be in their project: no need to look again.
_REMEMBERED: Final = 100_000


class Remembered:
    """What is known to be in its project, by id or name: the last _REMEMBERED."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Place, str], None] = OrderedDict()

    def __contains__(self, thing: tuple[Place, str]) -> bool:
        return thing in self._known

    def add(self, place: Place, name: str) -> None:
        """Take it for one of the project from now on."""
        self._known[place, name] = None
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


@dataclass(frozen=True, slots=True)
class MlaideSide(GatewaySide):
    """Used from one event loop. runs, experiments: those that were begun or found here; the client asks for them before
    the read models can have them."""

    runs: Remembered = field(default_factory=Remembered)
    experiments: Remembered = field(default_factory=Remembered)

    @property
    def entities(self) -> Entities:
        """The entities of the request: which type has the name of an artifact."""
        return Entities(self.recorder, self.context)

    async def run_in(self, place: Place, number: str) -> str:
        """Return the id of the run with a number in a project, which the request may write to. Raises Problem."""
        await self.recorder.require(place.record_key)
        run = run_of_number(number)
        if run is None or not await self._is_there(place, run):
            raise no_run(place, number)
        return run

    async def _is_there(self, place: Place, run: str) -> bool:
        if (place, run) in self.runs:
            return True
        known = await self._known(run)
        if known is None or known.deleted or (known.workspace, known.project) != (place.workspace, place.project):
            return False
        self.runs.add(place, run)
        return True

    async def _known(self, run: str) -> KnownRun | None:
        """A run that was begun here a moment ago may not be in the read models yet."""
        lookup = self.recorder.lookup
        known = await lookup.run(run)
        if known is None:
            await self.settle()
            known = await lookup.run(run)
        return known


def no_run(place: Place, number: str) -> Refused:
    """Return the refusal of a request about a run that is not there."""
    detail = f"{place.record_key} has no run with the key {number[:60]!r}: take the key of a run that was started there"
    return Refused(detail, status=404)
