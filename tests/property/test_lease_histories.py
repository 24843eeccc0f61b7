"""Agents, cancellations and a clock over one lease, in any order and with reads that are old when they are used: the
fold of entities decides, and no run is started twice."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runstream.events.entities import EntityCreated, EntityDeleted, EntityReplaced
from runstream_model.entities import EntityState, fold_entity
from runstream_protocols.ubiops.agents.leases import (
    LEASE,
    Ending,
    Lease,
    Stale,
    cancelled,
    ended,
    granted,
    lease_of,
    released,
    renewed,
    started,
)

AGENTS = ("a", "b", "c")
ABOUT: dict[str, Any] = {"at_us": 1, "workspace": "w", "project": "p", "kind": LEASE, "name": "run"}
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sampled_from(AGENTS)),
        st.tuples(
            st.sampled_from(("acquire", "renew", "start", "release", "end", "complete")), st.sampled_from(AGENTS)
        ),
        st.tuples(st.just("cancel"), st.just("a")),
        st.tuples(st.just("clock"), st.sampled_from(("1", "20", "70"))),
    ),
    max_size=40,
)


@dataclass
class Read:
    """What an agent read last: the entity, or that there is none."""

    entity: str | None = None
    revision: int = 0
    lease: Lease | None = None


@dataclass
class World:
    """One run. `state`: its lease in the fold; `over`: its end, or its cancellation, is appended."""

    now_us: int = 0
    state: EntityState | None = None
    over: bool = False
    made: int = 0
    reads: dict[str, Read] = field(default_factory=lambda: {agent: Read() for agent in AGENTS})
    #: What each agent got: the entity and the token.
    holds: dict[str, tuple[str, int]] = field(default_factory=dict)
    tokens: list[tuple[str, int]] = field(default_factory=list)
    starts: list[tuple[str, int]] = field(default_factory=list)
    cancelled_first: bool = False

    def read(self, agent: str) -> None:
        now = self.state
        self.reads[agent] = (
            Read() if now is None else Read(now.entity, now.revision, lease_of(json.loads(now.properties)))
        )

    def lease(self) -> Lease | None:
        return None if self.state is None else lease_of(json.loads(self.state.properties))

    def put(self, read: Read, lease: Lease) -> bool:
        """Create or replace, at the revision that was read. Returns whether the fold did it."""
        if read.entity is None:
            self.made += 1
            event: Any = EntityCreated(**ABOUT, entity=f"{self.made:032x}", properties=dict(lease.to_json()))
        else:
            about: Mapping[str, Any] = {**ABOUT, "entity": read.entity, "revision": read.revision}
            event = EntityReplaced(**about, properties=dict(lease.to_json()))
        return self.folded(event)

    def folded(self, event: Any) -> bool:
        decision = fold_entity(self.state, event, 10**9)
        self.state = decision.state
        return not decision.refused

    def changed(self, agent: str, change: Callable[[Lease], Lease]) -> Lease | None:
        """What a request of the holder does, by the agent's last read. None where it is refused."""
        read = self.reads[agent]
        if read.lease is None or self.holds.get(agent) != (read.entity, read.lease.token):
            return None
        try:
            after = change(read.lease)
        except Stale:
            return None
        # A request that changes nothing appends nothing, and says nothing about now.
        return after if after != read.lease and self.put(read, after) else None


def acquire(world: World, agent: str) -> None:
    read = world.reads[agent]
    if world.over:
        return
    try:
        lease = granted(read.lease, agent, "host", 60, world.now_us)
    except Stale:
        return
    if world.put(read, lease):
        assert world.state is not None
        world.holds[agent] = (world.state.entity, lease.token)
        world.tokens.append(world.holds[agent])


def start(world: World, agent: str) -> None:
    after = world.changed(agent, lambda lease: started(lease, world.now_us))
    if after is not None:
        world.starts.append(world.holds[agent])
        assert not world.cancelled_first, "a run that was cancelled before it was started"


def cancel(world: World, _: str) -> None:
    read = Read() if world.state is None else Read(world.state.entity, world.state.revision, world.lease())
    if world.over:
        return
    try:
        after = cancelled(read.lease, world.now_us)
    except Stale:
        return
    assert world.put(read, after), "nobody came in between"
    world.over = world.over or after.state == "leased"
    world.cancelled_first = world.cancelled_first or after.state == "leased"


def complete(world: World, _: str) -> None:
    lease, state = world.lease(), world.state
    if lease is not None and state is not None and lease.state == "ending":
        world.over = True
        assert world.folded(EntityDeleted(**ABOUT, entity=state.entity, revision=state.revision))


DOING: dict[str, Callable[[World, str], None]] = {
    "read": lambda world, agent: world.read(agent),
    "acquire": acquire,
    "start": start,
    "cancel": cancel,
    "complete": complete,
    "renew": lambda world, agent: void(world.changed(agent, lambda lease: renewed(lease, world.now_us))),
    "release": lambda world, agent: void(world.changed(agent, lambda lease: released(lease, world.now_us))),
    "end": lambda world, agent: void(
        world.changed(agent, lambda lease: ended(lease, Ending("finished"), world.now_us))
    ),
}


def void(_: object) -> None:
    """Take what a step returns: its effect is in the world."""


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_no_run_is_started_twice_and_tokens_grow(steps: list[tuple[str, str]]) -> None:
    world = World()
    for doing, what in steps:
        if doing == "clock":
            world.now_us += int(what) * 1_000_000
            continue
        before = world.lease()
        DOING[doing](world, what)
        after = world.lease()
        if before is not None and after is not None:
            assert after.token >= before.token
            if before.state != "leased":
                assert (after.token, after.agent) == (before.token, before.agent), "it was started: nobody else's"
    assert len(world.starts) <= 1
    assert len(set(world.tokens)) == len(world.tokens), "two agents with one token"
    of_one = [token for entity, token in world.tokens if world.state is None or entity == world.state.entity]
    assert of_one == sorted(of_one) or world.made > 1


def test_a_history_as_it_should_be_starts_and_ends_the_run() -> None:
    """Else the test above might never come to a start."""
    world = World()
    for step in ("read", "acquire", "read", "start", "read", "end", "complete"):
        DOING[step](world, "a")
    assert (len(world.starts), world.over, world.state) == (1, True, None)
