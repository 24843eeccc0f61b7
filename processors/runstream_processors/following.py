"""What one process of a cluster knows of the generations, and for how long it may act on it. Pure: no I/O, no clock.

The processes read the table `generations` again and again, each at times of its own. So what one knows is a lease: it
holds for a while after it was read, and whoever records a stage waits for so long until every process acts on it.
docs/design/generations.md has the protocol.
"""

from runstream_processors.generations import Generation, Generations, Versions, check_not_newer, differences, is_newer
from runstream_service.store import StoreUnavailable


def readable(found: Generations, wanted: Versions) -> Generation:
    """Return the newest generation that serves, or served and is still there, and that a build of the versions
    `wanted` can read. Raises GenerationsMismatch if there is none."""
    for generation in (found.serving, *reversed(found.former)):
        if not is_newer(generation.versions, wanted):
            return generation
    check_not_newer(differences(found.serving.versions, wanted))
    return found.serving


def folded(found: Generations, wanted: Versions) -> tuple[Generation, ...]:
    """Return the generations that a worker of the versions `wanted` folds: those that may be read, and the one that is
    built if it has exactly these versions."""
    building = found.building
    built = (building,) if building is not None and dict(building.versions) == dict(wanted) else ()
    read = [one for one in (*found.former, found.serving) if not is_newer(one.versions, wanted)]
    return (*read, *built)


class Knowledge:
    """The generations as a process of the versions `wanted` last read them. Times are of its monotonic clock."""

    def __init__(self, wanted: Versions, lease_s: float) -> None:
        self._wanted = wanted
        self._lease_s = lease_s
        self._found: Generations | None = None
        self._asked_at_s = 0.0
        #: Which generation serves, since when this process knows that, and which one it read before.
        self._serving: int | None = None
        self._served_at_s = 0.0
        self._before: Generation | None = None

    @property
    def found(self) -> Generations | None:
        """What was read last; None: nothing yet."""
        return self._found

    def learn(self, found: Generations, asked_at_s: float, now_s: float) -> None:
        """Take in what the table says. asked_at_s: when it was asked."""
        if found.serving.number != self._serving:
            self._before = max(found.former, key=lambda one: one.number, default=None)
            self._serving, self._served_at_s = found.serving.number, now_s
        self._found, self._asked_at_s = found, asked_at_s

    def reads(self, now_s: float) -> Generation:
        """Return the generation that a query which begins now reads. Raises StoreUnavailable if what is known is too
        old, GenerationsMismatch if this build can read none."""
        return readable(self._held(now_s), self._wanted)

    def waits_for(self, now_s: float) -> tuple[Generation, ...]:
        """Return the generations that have to have a record before it counts as visible: all that some process of the
        cluster may read, now or before the rest of them know better. Raises as `reads` does."""
        found = self._held(now_s)
        awaited = {one.number: one for one in (found.serving, readable(found, self._wanted))}
        if found.ready and found.building is not None:
            awaited[found.building.number] = found.building
        if self._before in found.former and now_s - self._served_at_s <= self._lease_s:
            awaited[self._before.number] = self._before
        return tuple(awaited.values())

    def _held(self, now_s: float) -> Generations:
        if self._found is None or now_s - self._asked_at_s > self._lease_s:
            raise StoreUnavailable(
                f"the store has not told for {self._lease_s:g} s which generation of the read models serves: look "
                "whether it answers, and whether this process is short of CPU"
            )
        return self._found
