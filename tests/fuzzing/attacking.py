"""Targets that need a server: cases as requests to a real embedded server, good clients beside them, and what is
compared when the attack is over."""

import asyncio
import contextlib
import json
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fuzzing import traffic
from fuzzing.beside import Beside
from fuzzing.cases import Case, Fault, Finding, Target, case_of
from fuzzing.requests import Connection, Reply, Request, check_reply, route_of
from fuzzing.setup import set_up
from fuzzing.shared import LONGEST, SHARED
from runstream_infra.ports import free_ports
from runstream_infra.rebuilding import rebuild_and_compare
from runstream_infra.settings import ServerSettings

#: Requests between two looks at the server, and how many are on their way at once.
WINDOW: Final = 128
_CONNECTIONS: Final = 32
#: The event loop may not spend more processor time than this in one callback, in references of the server's process
#: (one is about 0.3 ms on a machine of 2024): requests here are small, or are refused.
_STALL_REFERENCES: Final = 600
#: What one request may make the server grow by at its peak: the bodies of a window (16 MB unpacked each at most), the
#: engine's own blocks. A window that grows by more is tried again, request by request.
_WINDOW_GROWTH_BYTES: Final = 700_000_000
_REQUEST_GROWTH_BYTES: Final = 400_000_000
_RESPONSE_S: Final = 120.0
_START_S: Final = 180.0
_TOLD: Final = 2
_STALLED: Final = "the event loop stalled"
_PROGRESS_S: Final = 30.0
#: A log line that only a fault of ours makes.
_TRACEBACK: Final = b"Traceback (most recent call last)"


def _no_run(data: bytes) -> None:
    raise RuntimeError("this target needs a server: attack() and replay_on_server() run it")


def _target(name: str, make: object, weight: int) -> Target:
    return Target(name, make, _no_run, len, weight)  # type: ignore[arg-type]


SERVED: Final[tuple[Target, ...]] = (
    _target("http-frames", traffic.make_frames_request, 10),
    _target("http-commands", traffic.make_commands_request, 5),
    _target("http-assets", traffic.make_assets_request, 3),
    _target("comet-writes", traffic.make_comet_write, 8),
    _target("comet-uploads", traffic.make_comet_upload, 5),
    _target("reads", traffic.make_read, 5),
    _target("comet-reads", traffic.make_comet_read, 2),
    _target("anything", traffic.make_anything, 2),
)


class ServerDied(Exception):
    """The server's process ended by itself, or never became ready."""


class Served:
    """A server process on a directory of its own, which `start` starts again after a death."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_ports(1)[0]
        self.log = directory.parent / "server.log"
        self._stalls_path = directory.parent / "stalls"
        self._stalls_path.write_bytes(bytes(SHARED.size))
        with self._stalls_path.open("r+b") as file:
            self._stalls = mmap.mmap(file.fileno(), SHARED.size)
        self._process: subprocess.Popen[str] | None = None
        self._log_seen = 0

    def start(self) -> None:
        """Raises ServerDied."""
        child = Path(__file__).parent / "server_child.py"
        command = [sys.executable, str(child), str(self.directory), str(self.port), str(self._stalls_path)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(child.parents[1]), *sys.path]))}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True, env=environment
            )
        assert self._process.stdout is not None
        if not self._process.stdout.readline().startswith("READY"):
            raise ServerDied(self.end_of_log())

    def stop(self) -> int:
        """SIGTERM; the exit status. A server that does not end is killed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_START_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -1

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def begin(self) -> int:
        """Forget the longest stall and the peak of memory; returns what is resident."""
        assert self._process is not None
        self._stalls[LONGEST] = bytes(8)
        with contextlib.suppress(OSError):
            Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        return self.peak_bytes()

    def peak_bytes(self) -> int:
        assert self._process is not None
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0

    def stall(self) -> tuple[float, float, str]:
        """The longest stretch since `begin` in seconds of processor time, how many references that is, and the id of
        the request that it belonged to ("" where that is not known)."""
        longest, reference, name = SHARED.unpack(self._stalls[:])
        return longest / 1e9, longest / max(reference, 1), name.rstrip(b"\0").decode(errors="replace")

    def new_tracebacks(self) -> str | None:
        """What the log has since the last call, if there is a traceback among it."""
        with self.log.open("rb") as file:
            file.seek(self._log_seen)
            data = file.read()
        self._log_seen += len(data)
        at = data.find(_TRACEBACK)
        return data[max(at - 300, 0) : at + 3000].decode(errors="replace") if at >= 0 else None

    def end_of_log(self) -> str:
        return self.log.read_bytes()[-2000:].decode(errors="replace") if self.log.exists() else ""


def _error_in(traceback: str) -> str:
    """The innermost place of ours and the type of the error."""
    places = re.findall(r'File "[^"]*/(runstream\w*/[^"]*)", line \d+, in (\w+)', traceback)
    errors = re.findall(r"^([A-Za-z_][\w.]*(?:Error|Exception|Failure|Fault))\b", traceback, re.MULTILINE)
    return f"{errors[0] if errors else '?'} in {' '.join(places[-1]) if places else '?'}"


@dataclass(slots=True)
class Attack:
    """One attack on one server."""

    served: Served
    beside: Beside = field(default_factory=Beside)
    findings: list[Finding] = field(default_factory=list)
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    connections: list[Connection] = field(default_factory=list)
    #: That of the good clients.
    good: Connection = field(init=False)

    def connect(self) -> None:
        self.connections = [Connection("127.0.0.1", self.served.port) for _ in range(_CONNECTIONS)]
        self.good = Connection("127.0.0.1", self.served.port)

    def note(self, case: Case, error: BaseException) -> None:
        """Keep the first of each kind, count all."""
        found = Finding.of(case, error)
        key = case.target, found.kind
        self.kinds[key] += 1
        if self.kinds[key] <= _TOLD:
            self.findings.append(found)

    async def good_turn(self, case: Case) -> None:
        """One turn of the good clients, while a window is on its way whose last case is `case`."""
        try:
            await self.beside.turn(self.good)
        except Fault as fault:
            if self.served.alive:
                self.note(case, fault)
        except OSError:
            await self.good.close()  # the server died, which `window` says

    async def window(self, cases: Sequence[Case]) -> None:
        """Send the cases side by side, then look at the server; whatever is wrong there is looked for case by case."""
        resident, failed = self.served.begin(), self.statuses[500]
        waiting = list(reversed(cases))

        async def worker(connection: Connection) -> None:
            while waiting:
                await self._send(connection, waiting.pop(), f"case-{len(waiting)}")

        await asyncio.gather(*(worker(connection) for connection in self.connections))
        trouble = self.trouble(resident, _WINDOW_GROWTH_BYTES)
        if trouble is not None and trouble.kind.startswith("a traceback") and self.statuses[500] > failed:
            return  # it is that of a response that was noted already
        if trouble is not None:
            await self._look_for(self._suspects(cases, trouble), trouble)

    def _suspects(self, cases: Sequence[Case], trouble: Fault) -> Sequence[Case]:
        """The one request that a stall belonged to, where that is known; else all."""
        word, _, place = self.served.stall()[2].partition("-")
        if trouble.kind == _STALLED and word == "case" and place.isdigit() and int(place) < len(cases):
            return [cases[len(cases) - 1 - int(place)]]
        return cases

    async def _send(self, connection: Connection, case: Case, name: str) -> None:
        request = Request.unpacked(case.data)
        if all(header.lower() != "x-request-id" for header, _ in request.headers):
            request.headers.append(("X-Request-Id", name))
        try:
            reply = await connection.exchange(request, _RESPONSE_S)
            self.statuses[reply.status] += 1
            check_reply(request, reply)
        except Fault as fault:
            self.note(case, fault)
        except OSError as error:
            if self.served.alive:
                self.note(case, Fault("the server takes no connection", repr(error)))

    def trouble(self, resident: int, growth_bytes: int) -> Fault | None:
        """What is wrong with the server since `begin`."""
        if not self.served.alive:
            return Fault("the server died", self.served.end_of_log())
        if (traceback := self.served.new_tracebacks()) is not None:
            return Fault(f"a traceback in the log: {_error_in(traceback)}", traceback)
        seconds, references, _ = self.served.stall()
        if references > _STALL_REFERENCES:
            detail = f"one callback took {seconds:.3f} s of processor time, {references:.0f} references"
            return Fault(_STALLED, detail)
        grown = self.served.peak_bytes() - resident
        if grown > growth_bytes:
            return Fault("memory of the server", f"it grew by {grown} bytes")
        return None

    async def _look_for(self, cases: Sequence[Case], trouble: Fault) -> None:
        """Try the cases one by one until one brings the same trouble; else the last of them stands for all."""
        await self._revive()
        for case in cases:
            request = Request.unpacked(case.data)
            resident = self.served.begin()
            with contextlib.suppress(Fault, OSError):
                await self.connections[0].exchange(request, _RESPONSE_S)
            again = self.trouble(resident, _REQUEST_GROWTH_BYTES)
            if again is not None:
                kind = again.kind if again.kind.startswith("a traceback") else f"{again.kind}: {route_of(request)}"
                self.note(case, Fault(kind, f"{again.detail}; {request.method} {request.target[:200]}"))
                await self._revive()
                return
        if trouble.kind not in ("memory of the server", _STALLED):
            # Not one request alone, and no noise of the machine.
            self.note(cases[-1], Fault(f"{trouble.kind} (one of {len(cases)} requests)", trouble.detail))

    async def _revive(self) -> None:
        """Start the server again if it is dead. Raises ServerDied if it does not come."""
        if self.served.alive:
            return
        for connection in (*self.connections, self.good):
            await connection.close()
        await asyncio.to_thread(self.served.start)


def attack(
    targets: Sequence[Target], counts: Mapping[str, int], seed: int, extra: Sequence[Case] = ()
) -> tuple[list[Finding], Mapping[tuple[str, str], int]]:
    """Run the cases of all targets mixed, and before them `extra`; then compare. Returns findings, and how often each
    (target, kind) came."""
    return asyncio.run(_attack(targets, counts, seed, extra))


@asynccontextmanager
async def _running() -> AsyncIterator[Attack]:
    scratch = Path(tempfile.mkdtemp(prefix="runstream-fuzz-"))
    directory = scratch / "data"
    directory.mkdir()
    served = Served(directory)
    try:
        await asyncio.to_thread(served.start)
        running = Attack(served)
        running.connect()
        await set_up(running.connections[0])
        yield running
    finally:
        served.kill()
        shutil.rmtree(scratch, ignore_errors=True)


async def _attack(
    targets: Sequence[Target], counts: Mapping[str, int], seed: int, extra: Sequence[Case]
) -> tuple[list[Finding], Mapping[tuple[str, str], int]]:
    async with _running() as running:
        last = Case("good clients", seed, 0, b"")
        told_s = time.monotonic()
        try:
            for cases in [list(extra[at : at + WINDOW]) for at in range(0, len(extra), WINDOW)]:
                await running.window(cases)
            for number, cases in enumerate(_windows(targets, counts, seed), start=1):
                last = cases[-1]
                if time.monotonic() - told_s > _PROGRESS_S:
                    told_s = time.monotonic()
                    print(f"  {number * WINDOW} requests, {sum(running.kinds.values())} with a fault", flush=True)
                await asyncio.gather(running.good_turn(last), running.window(cases))
            await _check_end(running)
        except Fault as fault:
            running.note(last, fault)
        except ServerDied as death:
            running.note(last, Fault("the server does not start again", str(death)))
        print("  statuses: " + ", ".join(f"{status} {count}" for status, count in sorted(running.statuses.items())))
        beside = running.beside
        taken = sum(len(writer.taken) for writer in beside.writers)
        print(f"  good clients: {taken} points, {len(beside.parameters)} commands, {dict(beside.refused)} refused")
        return running.findings, running.kinds


def _windows(targets: Sequence[Target], counts: Mapping[str, int], seed: int) -> Iterator[list[Case]]:
    """Windows of cases, the targets mixed in proportion."""
    done = {target.name: 0 for target in targets}
    window: list[Case] = []
    total = sum(counts[target.name] for target in targets)
    for number in range(1, total + 1):
        target = min(targets, key=lambda one: (done[one.name] + 1) / max(counts[one.name], 1))
        window.append(case_of(target, seed, done[target.name]))
        done[target.name] += 1
        if len(window) == WINDOW or number == total:
            yield window
            window = []


async def _check_end(running: Attack) -> None:
    """The server still answers, ends in order, and its tables are what was logged and what a rebuild makes.
    Raises Fault."""
    connection = running.connections[0]
    for writer in running.beside.writers:
        for _ in range(5):
            await running.beside.turn(connection)
            if writer.pending is None and writer.taken:
                break
            await asyncio.sleep(2)
    position = running.beside.positions[0] if running.beside.positions else ""
    for path in ("/healthz", "/readyz", f"/api/v1/runs/good-0?wait_for={position}&wait_s=60"):
        reply = await connection.exchange(Request("GET", path), _RESPONSE_S)
        if reply.status != 200:
            raise Fault(f"{path.partition('?')[0]} after the attack: {reply.status}", repr(reply.body[:500]))
    for one in (*running.connections, running.good):
        await one.close()
    status = await asyncio.to_thread(running.served.stop)
    if status != 0:
        raise Fault(f"the server ended with {status} after the attack", running.served.end_of_log())
    print("  the server ended; comparing what good clients wrote, and a rebuild", flush=True)
    await running.beside.check(running.served.directory)
    result = await rebuild_and_compare(ServerSettings(data_dir=running.served.directory))
    if not result.equal:
        unequal = [str(table) for table in result.tables if not table.equal]
        raise Fault("a rebuild gives other tables", "; ".join(unequal)[:1000])


def replay_on_server(case: Case) -> Finding | None:
    """One case on a fresh server, and all that is compared at the end."""
    return asyncio.run(_replay(case))


async def _replay(case: Case) -> Finding | None:
    async with _running() as running:
        await running.beside.turn(running.connections[0])
        await running.window([case])
        if not running.findings:
            try:
                await _check_end(running)
            except Fault as fault:
                running.note(case, fault)
        return running.findings[0] if running.findings else None


def shown(reply: Reply) -> str:
    """A response for a person."""
    return f"{reply.status} {json.dumps(reply.headers)} {reply.body[:300]!r}"
