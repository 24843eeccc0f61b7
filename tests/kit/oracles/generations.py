"""A model of the processes of a cluster on their way to another generation of the read models, small enough to run many
thousand times: the table of generations with its tokens, what each process knows of it, workers that fold, readers that
read and wait, and a scheduler that chooses from a seed who goes on, who is killed or paused, and what breaks.

The plan, the knowledge, the coordinator and the tokens' places are the real ones; the tables are a count of records.
Every worker process has a coordinator, and any of them may be at a step at any time: who is elected is only a matter
of how often a step is decided twice.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from runstream_processors.comparing import KeyDifference
from runstream_processors.coordinating import Coordinator, request_rebuild
from runstream_processors.following import Knowledge, folded, readable
from runstream_processors.generations import (
    Generation,
    Generations,
    GenerationsMismatch,
    Purpose,
    Rebuild,
    RebuildRefused,
    Recorded,
    Stage,
    Versions,
    first_generation,
    generations_of,
    is_newer,
)
from runstream_service.store import StoreUnavailable

LEASE_S = 10.0
GRACE_S = 60.0
#: Tasks of a process whose requests take long more often than those of the others.
POLL, LOOK = 0, 1
DIFFERENCE = KeyDifference("points", "r loss", 2, 1)
#: The generation whose tables are damaged, if there is one.
DAMAGED = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """What holds the protocol together; each can be left out, to see that the model finds what then goes wrong."""

    #: A step is recorded only behind the rows that it was decided from.
    places: bool = True
    #: A coordinator waits until every process acts on what it recorded.
    waits: bool = True
    #: What a process knows ends.
    leases: bool = True
    #: A look at what is visible counts only if the same generations are waited for at its end.
    looks_again: bool = True
    #: A generation is ready before it serves.
    waits_for_ready: bool = True


class Turn:
    """A moment at which others may go on."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def versions(build: int) -> Versions:
    return {"points": 1, "summary_states": build}


@dataclass
class World:
    """The store, the log and the time."""

    random: Random
    shape: Shape
    faults: float
    damaged: bool
    #: How often a process that could request a rebuild does.
    requests: float
    rows: list[Recorded] = field(default_factory=lambda: [first_generation(versions(1))])
    tokens: set[str] = field(default_factory=set)
    late: list[tuple[Recorded, str]] = field(default_factory=list)
    #: By number of the generation: the next offset to fold; absent where there are no tables.
    tables: dict[int, int] = field(default_factory=lambda: {1: 0})
    dropped: set[int] = field(default_factory=set)
    end: int = 0
    now_s: float = 0.0
    #: By number: the versions that its tables were folded by.
    folded_as: dict[int, set[int]] = field(default_factory=dict)
    #: What some process of a build that follows took for visible.
    promised: int = 0
    faults_found: Counter[str] = field(default_factory=Counter)

    @property
    def found(self) -> Generations:
        found = generations_of(self.rows)
        assert found is not None
        return found

    def insert(self, row: Recorded, token: str) -> None:
        fate = self.random.random() / self.faults if self.faults else 9.0
        if fate < 0.25:
            self.late.append((row, token))  # on its way, after the coordinator gave it up
            raise StoreUnavailable("late")
        if fate < 0.5 and token not in self.tokens:
            self.tokens.add(token)  # the engine dies between the token and the row
            raise StoreUnavailable("torn")
        self.take(row, token)
        if fate < 0.75:
            raise StoreUnavailable("the response is lost")

    def take(self, row: Recorded, token: str) -> None:
        if self.shape.places and token in self.tokens:
            return
        self.tokens.add(token)
        before = self.found
        self.rows.append(row)
        if row.stage is Stage.SERVING and (row.number in self.dropped or self.may_not_serve(before)):
            self.faults_found["a generation serves that must not"] += 1
        if row.stage is Stage.SERVING and self.found.serving.number < before.serving.number:
            self.faults_found["an older generation serves"] += 1

    def differs_from(self, serving: Generation) -> bool:
        return self.damaged and serving.number == DAMAGED

    def may_not_serve(self, before: Generations) -> bool:
        """Whether what is being built was to be compared alone, or differs and nobody wanted it nevertheless."""
        if before.purpose is Purpose.UPGRADE:
            return self.differs_from(before.serving)
        return before.purpose is Purpose.COMPARE


class Tables:
    """`coordinating.Shared` on the world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def generations(self) -> Generations:
        await Turn()
        found = self._world.found
        await Turn()
        return found

    async def append(self, row: Recorded, after: int) -> bool:
        for attempt in range(5):
            await Turn()
            self._world.insert(row, f"{after}:{attempt}")
            await Turn()
            if len(self._world.rows) > after:
                return row in self._world.rows
        raise StoreUnavailable("the table does not have it")

    async def begins(self) -> Mapping[int, int]:
        return {0: 0}

    async def ends(self) -> Mapping[int, int]:
        await Turn()
        return {0: self._world.end}

    async def folded(self, generation: Generation) -> Mapping[int, int]:
        await Turn()
        if generation.number not in self._world.tables:
            raise StoreUnavailable("there are no such tables")
        return {0: self._world.tables[generation.number]}

    async def make(self, generation: Generation) -> None:
        await Turn()
        if generation.number not in self._world.dropped:
            self._world.tables.setdefault(generation.number, 0)

    async def compare(self, live: Generation, fresh: Generation) -> Sequence[KeyDifference]:
        for _ in range(self._world.random.randrange(4)):
            await Turn()
        return [DIFFERENCE] if self._world.differs_from(live) else []

    async def drop(self, generation: Generation) -> None:
        await Turn()
        if generation in (self._world.found.serving, self._world.found.building):
            self._world.faults_found["a generation in use is dropped"] += 1
        self._world.tables.pop(generation.number, None)
        self._world.dropped.add(generation.number)
        await Turn()


class Process:
    """A worker, query server and gateway in one: each of its tasks stands somewhere, and any may go on."""

    def __init__(self, world: World, build: int) -> None:
        self.world, self.build = world, build
        self.visible = 0
        self.knowledge = Knowledge(versions(build), LEASE_S if world.shape.leases else float("inf"))
        self.coordinator = Coordinator(
            Tables(world),
            lease_s=LEASE_S if world.shape.waits else 0.0,
            grace_s=GRACE_S if world.shape.waits else 0.0,
            wanted=versions(build),
            monotonic_s=lambda: world.now_s,
        )
        self.over = False
        #: The task whose request takes long.
        self.waiting: int | None = None
        works: tuple[Callable[[], Awaitable[None]], ...] = (
            *(self._poll, self._look, self._read),
            *(self._fold, self._step, self._request),
        )
        self.tasks = [self._again(work) for work in works]

    def go_on(self) -> None:
        """One task comes to its next moment, unless it waits for the store."""
        number = self.world.random.randrange(len(self.tasks))
        if number == self.waiting:
            return
        try:
            self.tasks[number].send(None)
        except GenerationsMismatch:
            self.over = True

    def close(self) -> None:
        for task in self.tasks:
            task.close()

    async def _again(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            with suppress(StoreUnavailable):
                await work()
            await Turn()

    async def _poll(self) -> None:
        asked_s = self.world.now_s
        await Turn()
        found = self.world.found
        readable(found, versions(self.build))
        await Turn()
        self.knowledge.learn(found, asked_s, self.world.now_s)

    def _awaited(self) -> tuple[Generation, ...]:
        awaited = self.knowledge.waits_for(self.world.now_s)
        found = self.knowledge.found
        assert found is not None
        return awaited if self.world.shape.waits_for_ready else (readable(found, versions(self.build)),)

    async def _look(self) -> None:
        awaited = self._awaited()
        ends = []
        for generation in awaited:
            await Turn()
            if generation.number not in self.world.tables:
                raise StoreUnavailable("there are no such tables")
            ends.append(self.world.tables[generation.number])
        await Turn()
        if not self.world.shape.looks_again or self._awaited() == awaited:
            self.visible = max(self.visible, min(ends))
            self.world.promised = max(self.world.promised, self.visible)

    async def _read(self) -> None:
        """A query sees what counted as visible when it began, here or, with a build of the newest, anywhere."""
        generation = self.knowledge.reads(self.world.now_s)
        found = self.knowledge.found
        assert found is not None
        follows = not is_newer(found.serving.versions, versions(self.build))
        promised = self.world.promised if follows else self.visible
        began_s = self.world.now_s
        await Turn()
        at = self.world.tables.get(generation.number)
        if at is None and follows and self.world.now_s - began_s <= LEASE_S:
            self.world.faults_found["a query meets no tables"] += 1
        if at is not None and at < promised:
            self.world.faults_found["a query does not see what was visible"] += 1

    async def _fold(self) -> None:
        found = self.knowledge.found
        if found is None:
            return
        for generation in folded(found, versions(self.build)):
            await Turn()
            at = self.world.tables.get(generation.number)
            if at is not None:
                self.world.folded_as.setdefault(generation.number, set()).add(generation.versions["summary_states"])
                if len(self.world.folded_as[generation.number]) > 1:
                    self.world.faults_found["tables of two versions"] += 1
                self.world.tables[generation.number] = min(self.world.end, at + self.world.random.randrange(4))

    async def _step(self) -> None:
        await self.coordinator.advance()

    async def _request(self) -> None:
        if self.world.random.random() < self.world.requests:
            purpose = self.world.random.choice((Purpose.COMPARE, Purpose.REPLACE))
            with suppress(RebuildRefused):
                await request_rebuild(Tables(self.world), versions(self.build), purpose)


@dataclass(frozen=True, slots=True)
class Result:
    """`faults`: what must never be, by what it is. `stuck`: at the end not all is as the newest build wants it.
    `rebuild`: the last that was requested."""

    faults: Mapping[str, int]
    stuck: str
    serving: int
    rebuild: Rebuild | None

    @property
    def right(self) -> bool:
        return not self.faults and not self.stuck


def simulate(seed: int, shape: Shape | None = None) -> Result:
    """One history: some processes of up to three builds, crashes, pauses, late requests; then a calm end with the
    newest of these builds."""
    random = Random(seed)
    newest = random.choice((1, 2, 2, 3))
    world = World(
        random,
        shape or Shape(),
        random.choice((0.0, 0.1, 0.3)),
        damaged=random.random() < 0.15,
        requests=random.choice((0.0, 0.05, 0.3)),
    )
    processes = [Process(world, random.randint(1, newest)) for _ in range(random.randrange(2, 5))]
    paused: set[int] = set()
    pace_s = random.choice((0.05, 0.3, 1.0))
    for _ in range(random.randrange(200, 2_000)):
        world.now_s += random.random() * pace_s
        event, one = random.random(), random.randrange(len(processes))
        if event < 0.004 or processes[one].over:
            processes[one] = _started(world, processes[one], random.randint(1, newest), newest)
        elif event < 0.01:
            paused ^= {one}
        elif event < 0.02:
            processes[one].waiting = random.choice((None, POLL, POLL, LOOK, LOOK, *range(len(processes[one].tasks))))
        elif event < 0.04 and world.late:
            world.take(*world.late.pop(random.randrange(len(world.late))))
        elif event < 0.1:
            world.end += random.randrange(3)
        elif one not in paused:
            processes[one].go_on()
    return _ended(world, processes, newest, random)


def _started(world: World, old: Process, build: int, newest: int) -> Process:
    """A process in the place of one that was killed, or that ended: a build that cannot read what serves refuses."""
    old.close()
    refused = is_newer(world.found.serving.versions, versions(build))
    return Process(world, newest if refused else build)


def _ended(world: World, processes: list[Process], newest: int, random: Random) -> Result:
    """Everybody is of the newest build now, and wakes up; the log stands still."""
    world.faults = world.requests = 0.0
    for row, token in world.late:
        world.take(row, token)
    world.late.clear()
    for number, process in enumerate(processes):
        processes[number] = _started(world, process, newest, newest)
    stuck = "it does not come to an end"
    for _ in range(200):
        for _ in range(200):
            world.now_s += 0.05
            processes[random.randrange(len(processes))].go_on()
        if not (stuck := _unfinished(world, newest)):
            break
    for process in processes:
        process.close()
    return Result(dict(world.faults_found), stuck, world.found.serving.number, world.found.rebuild)


def _unfinished(world: World, newest: int) -> str:
    found = world.found
    is_new = found.serving.versions == versions(newest)
    if is_new == (newest > 1 and world.differs_from(found.serving)):
        return f"generation {found.serving.number} serves"
    if found.leftovers or found.building or world.tables.keys() != {found.serving.number}:
        return f"{found} is left, with tables of {sorted(world.tables)}"
    return "" if world.tables[found.serving.number] == world.end else "it is not folded"
