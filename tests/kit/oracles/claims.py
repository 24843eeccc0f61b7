"""A model of several workers over one partition and one store, small enough to run 100,000 times: every step of the
protocol in docs/design/cluster.md, and a scheduler that chooses from a seed who goes on and what breaks.

The claims are the real ones (`runstream_processors.worker.claims`); the fold is a count, which is enough to tell a
record that was folded twice, or never. Any worker may be at the partition at any time: what the consumer group says
is only a matter of speed, so the model has no group, and every interleaving of rebalances is among those that it makes.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from runstream_processors.store.resume import NOTHING
from runstream_processors.worker.claims import Claim, Outcome, Overtaken

#: Rows that are added once; newest states that a fold goes on from; what is committed last.
POINTS, STATES, MARKS = "points", "states", "marks"
KEYS = "abc"

Step = Generator[None, None, Any]


class Unavailable(Exception):
    """The store did not answer; whether the insert is there, nobody knows."""


@dataclass(frozen=True, slots=True)
class Record:
    """`seq` is the writer's own number: a number that comes again is a resend, and must not count again."""

    key: str
    seq: int
    has_points: bool


@dataclass(frozen=True, slots=True)
class Protocol:
    """What a worker does; each part can be left out, to see that the model finds what then goes wrong.

    token: "place" is the protocol's; "range" names first and last of the block, as a sink that deduplicates its own
    retries does; "none" leaves all to the look.
    """

    token: str = "place"
    looks: bool = True
    looks_before: bool = False
    checks_loads: bool = True
    next_token: bool = True
    keeps_tails: bool = True
    looks_at_tails: bool = True
    reads_commit_again: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """Of POINTS: one record's. Of STATES and MARKS: the newest of a key; key "" is the commit row."""

    key: str
    offset: int
    value: Any = None


@dataclass(slots=True)
class Store:
    """Tables as ClickHouse keeps them: parts that appear whole, and tokens that are logged with them."""

    random: Random
    faults: float
    tables: dict[str, list[Row]] = field(default_factory=lambda: {POINTS: [], STATES: [], MARKS: []})
    tokens: set[tuple[str, str]] = field(default_factory=set)
    #: Requests that nobody waits for any more and that may still arrive.
    late: list[tuple[str, list[Row], str]] = field(default_factory=list)
    away: bool = False
    inserts: int = 0

    def insert(self, table: str, rows: list[Row], token: str) -> None:
        if self.away:
            raise Unavailable
        fate = self.random.random() / self.faults if self.faults else 9.0
        if fate < 0.25:
            self.late.append((table, rows, token))  # on its way, after the worker gave it up
            raise Unavailable
        if fate < 0.5 and token and (table, token) not in self.tokens:
            self.tokens.add((table, token))  # the engine dies between the token's log and the part's rename
            raise Unavailable
        self.take(table, rows, token)
        if fate < 0.75:
            raise Unavailable  # the response is lost

    def take(self, table: str, rows: list[Row], token: str) -> None:
        if token:
            if (table, token) in self.tokens:
                return
            self.tokens.add((table, token))
        self.tables[table].extend(rows)
        self.inserts += 1

    def end(self, table: str, beyond: int) -> int:
        """The last offset with rows beyond one; that one if there are none."""
        return max((row.offset for row in self.tables[table] if row.offset > beyond), default=beyond)

    def newest(self, table: str, key: str) -> Row | None:
        rows = [row for row in self.tables[table] if row.key == key]
        return max(rows, key=lambda row: row.offset) if rows else None

    def forget(self, key: str) -> None:
        """A deleted run: the points of it that are committed go away."""
        commit = self.newest(MARKS, "")
        last = commit.offset if commit else NOTHING
        self.tables[POINTS] = [row for row in self.tables[POINTS] if row.key != key or row.offset > last]


@dataclass(slots=True)
class Memory:
    """What a worker knows of a key: the numbers that it has seen, and the fold."""

    seen: frozenset[int] = frozenset()
    count: int = 0
    changed_at: int = NOTHING


class Worker:
    """One worker as two coroutines, as in the real one: a fold, and behind a short queue what it writes."""

    def __init__(self, store: Store, log: list[Record], protocol: Protocol, random: Random) -> None:
        self.store, self.log, self.protocol, self.random = store, log, protocol, random
        self.queue: list[list[tuple[str, list[Row], int]]] = []
        self.failed = False
        self.overtaken = 0

    def run(self) -> Step:
        """Fold for ever; whatever fails, start again from the tables."""
        while True:
            writer = self._write()
            self.queue, self.failed = [], False
            try:
                yield from self._run_once(writer)
            except (Unavailable, Overtaken) as error:
                self.overtaken += isinstance(error, Overtaken)
            yield

    def _run_once(self, writer: Step) -> Step:
        store = self.store
        commit = store.newest(MARKS, "")
        last = commit.offset if commit else NOTHING
        tails = dict(commit.value) if commit and self.protocol.keeps_tails else {}
        ends = {MARKS: last}
        for table in (POINTS, STATES):
            yield
            self._ask()
            beyond = store.end(table, last)
            ends[table] = beyond if beyond > last else tails.get(table, NOTHING)
        yield
        self._ask()
        again = store.newest(MARKS, "")
        if self.protocol.reads_commit_again and (again.offset if again else NOTHING) != last:
            raise Overtaken  # rows beyond the commit may have been deleted, once they were not beyond it any more
        began = dict(ends)
        memory: dict[str, Memory] = {}
        marked: dict[str, int] = {}
        flushed = last
        while True:
            yield from self._some_of(writer)
            batch = self.log[last + 1 : last + 1 + self.random.randrange(4)]
            for key in dict.fromkeys(record.key for record in batch if record.key not in memory):
                memory[key] = yield from self._load(key, began, last, writer)
            rows = []
            for record in batch:
                last += 1
                known = memory[record.key]
                if record.seq not in known.seen:
                    if record.has_points and last > ends[POINTS]:
                        rows.append(Row(record.key, last))
                    if last > ends[STATES]:
                        known.count += 1
                        known.changed_at = last
                known.seen |= {record.seq}
                marked[record.key] = last
            if rows:
                yield from self._put([(POINTS, rows, ends[POINTS])], writer)
                ends[POINTS] = rows[-1].offset
            if last > flushed and self.random.random() < 0.5:
                yield from self._put(self._flush(memory, marked, ends, last), writer)
                flushed = last
                if self.random.random() < 0.3:
                    yield from self._drain(writer)
                    memory.clear()
            yield

    def _flush(
        self, memory: dict[str, Memory], marked: dict[str, int], ends: dict[str, int], last: int
    ) -> list[tuple[str, list[Row], int]]:
        inserts = []
        states = [Row(key, known.changed_at, known.count) for key, known in memory.items() if known.changed_at >= 0]
        if states:
            inserts.append((STATES, states, ends[STATES]))
            ends[STATES] = max(row.offset for row in states)
            for known in memory.values():
                known.changed_at = NOTHING
        marks = [Row(key, offset, memory[key].seen) for key, offset in marked.items()]
        tails = tuple((table, ends[table]) for table in (POINTS, STATES))
        inserts.append((MARKS, [*marks, Row("", last, tails)], ends[MARKS]))
        ends[MARKS] = last
        marked.clear()
        return inserts

    def _load(self, key: str, began: dict[str, int], last: int, writer: Step) -> Generator[None, None, Memory]:
        found = {}
        for table in (MARKS, STATES):
            yield from self._some_of(writer)
            yield
            self._ask()
            row = found[table] = self.store.newest(table, key)
            if row and row.offset > max(began[table], last) and self.protocol.checks_loads:
                raise Overtaken
        mark, state = found[MARKS], found[STATES]
        return Memory(mark.value if mark else frozenset(), state.value if state else 0)

    def _ask(self) -> None:
        if self.store.away:
            raise Unavailable

    def _put(self, inserts: list[tuple[str, list[Row], int]], writer: Step) -> Step:
        while len(self.queue) >= 2:
            next(writer)
            yield
        self._check()
        self.queue.append(inserts)

    def _drain(self, writer: Step) -> Step:
        while self.queue:
            next(writer)
            yield
        self._check()

    def _some_of(self, writer: Step) -> Step:
        for _ in range(self.random.randrange(3)):
            next(writer)
            yield
        self._check()

    def _check(self) -> None:
        if self.failed:
            raise Unavailable

    def _write(self) -> Step:
        while True:
            if self.queue and not self.failed:
                try:
                    for table, rows, after in self.queue[0]:
                        yield from self._insert(table, rows, after)
                except (Unavailable, Overtaken) as error:
                    self.failed = True
                    self.overtaken += isinstance(error, Overtaken)
            if self.queue:
                self.queue.pop(0)
            yield

    def _insert(self, table: str, rows: list[Row], after: int) -> Step:
        claim = Claim(0, after, max(row.offset for row in rows))
        for _ in range(5):
            if self.protocol.looks_before:
                self._ask()
                if self.store.end(table, after) != after:
                    raise Overtaken
            yield
            self.store.insert(table, rows, self._token(claim, rows))
            yield
            if not self.protocol.looks:
                return
            self._ask()
            end = self.store.end(table, after)
            if table != MARKS and self.protocol.looks_at_tails:
                yield
                self._ask()
                commit = self.store.newest(MARKS, "")
                end = max(end, dict(commit.value)[table] if commit else NOTHING)
            outcome = claim.outcome(end)
            if outcome is Outcome.OVERTAKEN:
                raise Overtaken
            if outcome is Outcome.WRITTEN:
                return
            claim = claim.again() if self.protocol.next_token else claim
        raise Unavailable

    def _token(self, claim: Claim, rows: list[Row]) -> str:
        match self.protocol.token:
            case "place":
                return claim.token
            case "range":
                return f"{rows[0].offset}-{rows[-1].offset}#{claim.attempt}"
            case _:
                return ""


@dataclass(frozen=True, slots=True)
class Result:
    """`lost`, `doubled`: records of which the tables have too little or too much. `stuck`: it did not reach the end."""

    lost: int
    doubled: int
    stuck: bool
    overtaken: int
    inserts: int

    @property
    def right(self) -> bool:
        return not (self.lost or self.doubled or self.stuck)


def simulate(seed: int, protocol: Protocol | None = None) -> Result:
    """One history: two to four workers, crashes, pauses, outages, late requests, deletions; then a calm end."""
    random = Random(seed)
    log = random_log(random)
    store = Store(random, faults=random.choice((0.0, 0.1, 0.3)))
    protocol = protocol or Protocol()
    workers = [Worker(store, log, protocol, random) for _ in range(random.randrange(2, 5))]
    runs = [worker.run() for worker in workers]
    pace = [random.choice((1, 1, 5)) for _ in workers]
    deletions = random.choice((0.0, 0.01, 0.06))
    paused: set[int] = set()
    deleted: set[str] = set()
    for _ in range(random.randrange(40, 240)):
        event = random.random()
        one = random.randrange(len(workers))
        if event < 0.02:
            runs[one] = workers[one].run()  # SIGKILL, and a new process
        elif event < 0.06:
            paused ^= {one}
        elif event < 0.08:
            store.away = not store.away
        elif event < 0.12 and store.late:
            store.take(*store.late.pop(random.randrange(len(store.late))))
        elif event < 0.12 + deletions:
            key = random.choice(KEYS)
            deleted.add(key)
            store.forget(key)
        elif one not in paused:
            for _ in range(pace[one]):
                next(runs[one])
    store.away, store.faults = False, 0.0
    stuck = not _finish(store, log, runs, random)
    return _compared(store, log, deleted, stuck, sum(worker.overtaken for worker in workers))


def random_log(random: Random) -> list[Record]:
    """A short log of a few keys in which some numbers come again."""
    log: list[Record] = []
    sent = dict.fromkeys(KEYS, 0)
    for _ in range(random.randrange(6, 24)):
        key = random.choice(KEYS[: random.randrange(1, 4)])
        again = sent[key] and random.random() < 0.2
        seq = random.randrange(sent[key]) if again else sent[key]
        sent[key] += not again
        log.append(Record(key, seq, (ord(key) + seq) % 4 != 0))
    return log


def _finish(store: Store, log: list[Record], runs: list[Step], random: Random) -> bool:
    """Everybody wakes up, late requests arrive or not, and one worker is at the end. Whether it came there."""
    for _ in range(3_000):
        if store.late and random.random() < 0.1:
            store.take(*store.late.pop())
        next(runs[random.randrange(len(runs))])
        commit = store.newest(MARKS, "")
        if commit and commit.offset == len(log) - 1 and not store.late:
            # What is still in a queue somewhere gets its chance to do harm.
            for _ in range(60):
                next(runs[random.randrange(len(runs))])
            return True
    return False


def _compared(store: Store, log: list[Record], deleted: set[str], stuck: bool, overtaken: int) -> Result:
    lost = doubled = 0
    seen: set[tuple[str, int]] = set()
    counts = dict.fromkeys(KEYS, 0)
    wanted = []
    for offset, record in enumerate(log):
        if (record.key, record.seq) in seen:
            continue
        seen.add((record.key, record.seq))
        counts[record.key] += 1
        if record.has_points:
            wanted.append(offset)
    found = [row.offset for row in store.tables[POINTS]]
    for offset, record in enumerate(log):
        difference = found.count(offset) - (offset in wanted)
        doubled += max(difference, 0)
        lost += max(-difference, 0) if record.key not in deleted else 0
    for key, count in counts.items():
        state = store.newest(STATES, key)
        difference = (state.value if state else 0) - count
        doubled += max(difference, 0)
        lost += max(-difference, 0)
    return Result(lost, doubled, stuck, overtaken, store.inserts)
