"""What log() costs a call, beside the floor and beside other trackers, each in a process of its own, in turns."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.peers import PEERS, find
from bench.processes import ROOT, child, end_sender, server
from runstream_infra.ports import free_ports

LOOP: Final = Path(__file__).with_name("log_loop.py")
#: Our own states of the server; `slow` answers after this long.
SLOW_S: Final = 2.0
SERVERS: Final = ("up", "slow", "absent")
_LOOP_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure: calls of a loop and seconds of a peer's loop at most, turns, scalars of a call."""

    calls: int
    seconds: float
    turns: int
    scalars: tuple[int, ...] = (1, 10)
    peers: tuple[str, ...] = tuple(PEERS)


def plan(quick: bool) -> Plan:
    """A full or a quick run."""
    return Plan(30_000, 2.0, 1) if quick else Plan(300_000, 5.0, 3)


def measure(what: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Turns of floor, ours in each state of the server, and peers; medians of the turns."""
    return {str(scalars): _of_scalars(what, scalars, say) for scalars in what.scalars}


def _of_scalars(what: Plan, scalars: int, say: Callable[[str], None]) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {}
    absent: dict[str, str] = {}
    for _ in range(what.turns):
        found.setdefault("floor", []).append(_loop(sys.executable, "floor", scalars, what, ""))
        for state in SERVERS:
            found.setdefault(f"runstream, server {state}", []).append(_ours(state, scalars, what))
        for name in what.peers:
            if name in absent:
                continue
            peer = find(name)
            try:
                if peer.python is None:
                    raise LoopFailed(peer.reason)
                found.setdefault(name, []).append(_loop(str(peer.python), name, scalars, what, ""))
            except LoopFailed as error:
                absent[name] = str(error)
                say(f"log(), {name}: left out: {error}")
    medians = {name: _medians(turns) for name, turns in found.items()}
    floor = medians["floor"]
    for name, figures in medians.items():
        figures["of_floor"] = round(figures["p50_us"] / floor["p50_us"], 2)
        say(f"log() of {scalars} scalars, {name}: p50 {figures['p50_us']:.2f} us, {figures['of_floor']:.1f} x floor")
    return {"trackers": medians, "left_out": absent}


def _medians(turns: list[dict[str, Any]]) -> dict[str, Any]:
    keys = ("p50_us", "p99_us", "p999_us", "most_us", "mean_us", "timer_us")
    figures: dict[str, Any] = {key: round(statistics.median(turn[key] for turn in turns), 3) for key in keys}
    return figures | {
        "version": turns[0]["version"],
        "calls": min(turn["calls"] for turn in turns),
        "turns": len(turns),
    }


class LoopFailed(Exception):
    """A tracker's loop did not come to its end; the message has its last words."""


def _ours(state: str, scalars: int, what: Plan) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name, _server(state, Path(name)) as url:
        return _loop(sys.executable, "runstream", scalars, what, url)


@contextmanager
def _server(state: str, folder: Path) -> Iterator[str]:
    """The address of a server in that state."""
    log = folder / "server.log"
    match state:
        case "up":
            with server(folder / "data", log) as (url, _):
                yield url
        case "slow":
            with child("slow", str(folder / "data"), str(SLOW_S), module="ingest_stages", log=log) as process:
                yield str(process.response()["url"])
        case _:
            yield f"http://127.0.0.1:{free_ports(1)[0]}"


def _loop(python: str, tracker: str, scalars: int, what: Plan, url: str) -> dict[str, Any]:
    """Run the loop of one tracker. Raises LoopFailed."""
    with tempfile.TemporaryDirectory(prefix="runstream-bench-", ignore_cleanup_errors=True) as folder:
        fields = {"tracker": tracker, "scalars": scalars, "calls": what.calls, "seconds": what.seconds}
        command = [python, str(LOOP), json.dumps({**fields, "folder": folder, "url": url})]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, cwd=ROOT, timeout=_LOOP_TIMEOUT_S, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired:
            raise LoopFailed(f"not done within {_LOOP_TIMEOUT_S:.0f} s") from None
        finally:
            if tracker == "runstream":
                end_sender(Path(folder))
        try:
            found: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
        except ValueError:
            words = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            raise LoopFailed(words[-1][:300] if words else f"ended with {done.returncode}") from None
        return found
