"""Good clients beside an attack: what they were told is durable has to be there at the end, value by value, once."""

import json
import struct
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fuzzing.cases import Fault
from fuzzing.requests import PROGRAM, Connection, Reply, Request
from runstream.events.control import ParametersLogged, RunStarted, encode_event
from runstream.events.encoding import encode_events, encode_frame, encode_ragged, encode_rows, transposed
from runstream.events.frame import Group
from runstream_processors.store.chdb import ChdbStore

#: A run, a metric, a step, the bytes of the value.
Point = tuple[str, str, int, bytes]
_TIMEOUT_S: Final = 120.0
_AT_US: Final = 1_750_000_000_000_000


@dataclass(slots=True)
class GoodWriter:
    """Sends frames, each again until it is taken."""

    number: int
    next_seq: int = 0
    pending: tuple[bytes, int, list[Point]] | None = None
    taken: list[Point] = field(default_factory=list)

    @property
    def run(self) -> str:
        return f"good-{self.number}"

    @property
    def writer(self) -> str:
        return f"{0x600D:08x}{self.number:024x}"

    def frame(self) -> tuple[bytes, int, list[Point]]:
        """The frame to send: the one that was not taken, or the next."""
        if self.pending is None:
            self.pending = self._next()
        return self.pending

    def acknowledged(self) -> None:
        assert self.pending is not None
        _, self.next_seq, points = self.pending
        self.taken += points
        self.pending = None

    def _next(self) -> tuple[bytes, int, list[Point]]:
        first = self.next_seq
        events = b""
        at = 0
        if first == 0:
            started = RunStarted(at_us=_AT_US, workspace="good", project="good", name=self.run)
            events, at = encode_events([(0, encode_event(started))]), 1
        points: list[Point] = []
        groups: list[Group] = []
        rows = [(first + at + row, self._value(first + at + row)) for row in range(4)]
        packed = b"".join(struct.pack("<qqd", step, _AT_US * 1000 + step, value) for step, value in rows)
        groups.append(encode_rows(b"loss", len(rows), transposed(packed, 24), at))
        points += [(self.run, "loss", step, struct.pack("<d", value)) for step, value in rows]
        at += len(rows)
        ragged = []
        for row in range(3):
            step = first + at + row
            values = [self._value(step), float(step)][: 1 + row % 2]
            ragged.append((at + row, step, _AT_US * 1000, list(range(len(values))), values))
            points += [(self.run, ("acc", "lr")[i], step, struct.pack("<d", value)) for i, value in enumerate(values)]
        groups.append(encode_ragged(["acc", "lr"], ragged))
        at += len(ragged)
        return encode_frame(self.writer, self.run, first, first + at, events, groups), first + at, points

    def _value(self, step: int) -> float:
        return (float("inf"), -0.0, 5e-324, step / 7, -1e308, float("nan"))[step % 6]


class Beside:
    """Three writers, and commands. `turn` is called between windows of the attack, `check` on the stopped server."""

    def __init__(self) -> None:
        self.writers = [GoodWriter(number) for number in range(3)]
        self.parameters: dict[tuple[str, str], str] = {}
        self.positions: list[str] = []
        self.refused: Counter[int] = Counter()
        self._turns = 0

    async def turn(self, connection: Connection) -> None:
        """One frame of each writer, one command. A server that takes nothing at the moment is asked again at the next
        turn. Raises Fault where a good request is refused."""
        self._turns += 1
        for writer in self.writers:
            data, _, _ = writer.frame()
            headers = [("Content-Type", "application/vnd.runstream.frames"), PROGRAM]
            reply = await connection.exchange(Request("POST", "/ingest/v1/frames", headers, data), _TIMEOUT_S)
            if self._taken(reply):
                writer.acknowledged()
                self.positions = [reply.json()["positions"]]
        name, value = f"turn.{self._turns}", self._turns
        event = json.loads(encode_event(ParametersLogged(at_us=_AT_US, values={name: value})))
        body = json.dumps({"key": "good-0", "event": event}).encode()
        reply = await connection.exchange(
            Request("POST", "/ingest/v1/commands", [("Content-Type", "application/json"), PROGRAM], body), _TIMEOUT_S
        )
        if self._taken(reply):
            self.parameters["good-0", name] = str(value)
            self.positions = [reply.json()["positions"]]

    def _taken(self, reply: Reply) -> bool:
        if reply.status in (200, 202):
            return True
        self.refused[reply.status] += 1
        if reply.status not in (429, 503):
            raise Fault(f"a good request is answered with {reply.status}", repr(reply.body[:500]))
        return False

    async def check(self, directory: Path) -> None:
        """Compare the tables of a stopped server with what was taken. Raises Fault."""
        store = await ChdbStore.open(directory / "store")
        try:
            points = await self._rows(
                store, "SELECT run, metric, step, value FROM points WHERE startsWith(run, 'good-')"
            )
            parameters = await self._rows(
                store, "SELECT run, name, value FROM attributes WHERE kind = 'parameter' AND startsWith(run, 'good-')"
            )
            failed = await self._rows(
                store, "SELECT key, detail, length(body) AS size FROM quarantine WHERE cause = 'fold_error'"
            )
        finally:
            await store.close()
        found = Counter((p["run"], p["metric"], p["step"], struct.pack("<d", p["value"])) for p in points)
        wanted = Counter(point for writer in self.writers for point in writer.taken)
        # Of a frame that was refused with 503 nobody knows whether it is durable.
        unsure = Counter(point for writer in self.writers if writer.pending for point in writer.pending[2])
        if wanted - found:
            raise Fault("points of a good writer are lost", str(list(wanted - found)[:3]))
        if found - wanted - unsure:
            raise Fault("points that nobody logged, or twice", str(list(found - wanted)[:3]))
        known = {(p["run"], p["name"]): p["value"] for p in parameters}
        missing = [name for name, value in self.parameters.items() if known.get(name) != value]
        if missing:
            raise Fault("acknowledged commands are lost", str(missing[:3]))
        if failed:
            raise Fault("folding raised", str(failed[:3]))

    async def _rows(self, store: ChdbStore, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await store.query(sql)).to_pylist()
        return rows
