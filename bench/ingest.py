"""Ingest, from the first log() until everything is visible, beside a raw insert of the same rows.

Every turn runs the whole way once and then the raw insert of the rows that came out of it, so that both see the
machine as it is then; the ratio of a turn is the figure to look at, not the points a second.
"""

import contextlib
import json
import re
import shutil
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.processes import (
    Child,
    Failed,
    child,
    cpu_s,
    end_sender,
    one_response,
    sender_pid,
    server,
    wait_until,
)
from bench.shapes import FULL_SPEED, MANY_RUNS, Load, scaled
from runstream.spool.format import Acked

_FOLDED: Final = re.compile(r"^runstream_worker_points_total (\S+)$", re.MULTILINE)
#: While most is still on its way, looking more often would only take time from what is measured.
_SELDOM_S: Final = 0.2
_OFTEN_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and how often."""

    loads: Sequence[tuple[str, Load]]
    turns: int
    stages: bool = True


def plan(quick: bool) -> Plan:
    """The loads of a full or a quick run."""
    if quick:
        return Plan((("a", scaled(FULL_SPEED, 40_000)), ("b", scaled(MANY_RUNS, 20))), 1)
    return Plan((("a", FULL_SPEED), ("b", MANY_RUNS)), 3)


class Trainers:
    """The writing processes of a load, their runs open and nothing logged yet."""

    def __init__(self, load: Load, url: str, mode: str, folder: Path, rows_per_s: float | None = None) -> None:
        self.load = load
        self.spool = folder / "spool"
        self.began_s = self.ended_s = 0.0
        self.writers: dict[Path, int] = {}
        self.runs: list[str] = []
        fields = {"url": url, "mode": mode, "spool": str(self.spool), "rows_per_s": rows_per_s}
        fields["logged_hz"] = load.metrics == MANY_RUNS.metrics
        self._children = [
            Child.python(
                "ingest_writer",
                json.dumps({"load": asdict(load), "number": number, **fields}),
                log=folder / "writers.log",
            )
            for number in range(load.processes)
        ]
        for process in self._children:
            process.response()

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._children]

    def log(self) -> None:
        """Let all of them log everything, and wait until the last one has."""
        for process in self._children:
            process.send("go")
        responses = [process.response() for process in self._children]
        self.began_s = min(response["began_s"] for response in responses)
        self.ended_s = max(response["ended_s"] for response in responses)
        self.runs = [run for response in responses for run in response["runs"]]
        self.writers = {Path(folder): seq for response in responses for folder, seq in response["writers"].items()}

    def acknowledged(self) -> bool:
        return all(Acked.read(folder).next_seq >= seq for folder, seq in self.writers.items())

    def leave(self) -> None:
        for process in self._children:
            with contextlib.suppress(BrokenPipeError):
                process.send("leave")
            process.end(timeout_s=10.0)


@contextlib.contextmanager
def trainers(load: Load, url: str, mode: str, folder: Path, rows_per_s: float | None = None) -> Iterator[Trainers]:
    """Trainers whose sender, if they started one, ends with the block. They log as fast as it goes, or each of their
    runs `rows_per_s` rows."""
    found = Trainers(load, url, mode, folder, rows_per_s)
    try:
        if mode == "online":
            wait_until(lambda: sender_pid(found.spool) is not None, "the start of the sender")
        yield found
    finally:
        found.leave()
        end_sender(found.spool)


def measured(found: Trainers, server_pid: int | None, finished: Callable[[], None]) -> dict[str, Any]:
    """Let the trainers log; `finished` returns when the stage is through with everything."""
    sender = sender_pid(found.spool)
    pids: dict[str, Sequence[int | None]] = {"writers": found.pids, "sender": [sender], "server": [server_pid]}
    groups = {name: [pid for pid in group if pid is not None] for name, group in pids.items()}
    before = {name: sum(map(cpu_s, group)) for name, group in groups.items()}
    found.log()
    finished()
    seconds = time.time() - found.began_s
    used = {name: sum(map(cpu_s, group)) - before[name] for name, group in groups.items() if group}
    points = found.load.points
    return {
        "points": points,
        "seconds": round(seconds, 3),
        "logging_seconds": round(found.ended_s - found.began_s, 3),
        "points_per_s": round(points / seconds),
        "cpu_us_per_point": {name: round(1e6 * spent / points, 4) for name, spent in used.items()},
    }


def spool_alone(load: Load, folder: Path) -> dict[str, Any]:
    with trainers(load, "http://127.0.0.1:9", "offline", folder) as found:
        return measured(found, None, lambda: None)


def with_stage(load: Load, stage: str, folder: Path) -> dict[str, Any]:
    """Until everything is acknowledged by a part of the server (see bench.ingest_stages)."""
    log = folder / "stage.log"
    with (
        child(stage, str(folder / "data"), module="ingest_stages", log=log) as process,
        trainers(load, process.response()["url"], "online", folder) as found,
    ):
        return measured(found, process.pid, lambda: wait_until(found.acknowledged, "acknowledgement", 0.05))


def whole(load: Load, folder: Path, rows_per_s: float | None = None) -> dict[str, Any]:
    """Until everything is visible, by the server as it is."""
    with (
        server(folder / "data", folder / "server.log") as (url, process),
        trainers(load, url, "online", folder, rows_per_s) as found,
    ):
        return measured(found, process.pid, lambda: wait_for_visible(url, load.points))


def wait_for_visible(url: str, points: int) -> None:
    """Until that many points are folded, and what was folded is in every table."""
    deadline = time.monotonic() + 600.0
    while (folded := folded_points(url)) < points:
        if time.monotonic() > deadline:
            raise Failed(f"{folded} of {points} points were folded within 600 s")
        time.sleep(_SELDOM_S if folded < 0.8 * points else _OFTEN_S)
    if folded != points:
        raise Failed(f"{folded} points were folded, {points} were logged")
    wait_until(lambda: lag_records(url) == 0, "visibility", _OFTEN_S)


def folded_points(url: str) -> int:
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as response:
        found = _FOLDED.search(response.read().decode())
    return int(float(found[1])) if found else 0


def lag_records(url: str) -> int:
    with urllib.request.urlopen(f"{url}/api/v1/server", timeout=60) as response:
        return int(json.load(response)["lag_records"])


def rate(points: int, seconds: float) -> int:
    return round(points / seconds)


def measure_load(load: Load, turns: int, stages: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """Turns of the whole and the raw insert, then each stage once."""
    found: dict[str, Any] = {"load": load.name, "points": load.points, "turns": [], "stages": {}}
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name:
        base = Path(name)
        rows = base / "rows.arrow"
        for number in range(turns):
            ours, raw = one_turn(load, base, rows, first=number == 0, found=found)
            ratio = round(raw["seconds"] / ours["seconds"], 3)
            found["turns"].append({"whole": ours, "raw": raw, "ratio": ratio})
            say(f"{load.name}: turn {number + 1}: {ours['points_per_s']:,} points/s, {ratio:.2f} of raw")
        rows.unlink()
        found["ratio"] = statistics.median(turn["ratio"] for turn in found["turns"])
        if stages:
            for stage, result in measure_stages(load, base):
                found["stages"][stage] = result
                say(f"{load.name}: {stage}: {result['points_per_s']:,} points/s")
    return found


def one_turn(
    load: Load, base: Path, rows: Path, *, first: bool, found: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The whole way and the raw insert. The first turn also keeps the rows, and looks at sizes."""
    folder = fresh(base / "whole")
    ours = whole(load, folder)
    log = folder / "raw.log"
    if first:
        exported = one_response("export", str(folder / "data"), str(rows), module="raw_insert", log=log)
        if exported["rows"] != load.points:
            raise Failed(f"the table has {exported['rows']} points, {load.points} were logged")
        found["sizes"] = one_response("sizes", str(folder / "data"), module="raw_insert", log=log)
    shutil.rmtree(folder)
    folder = fresh(base / "raw")
    raw = one_response("insert", str(rows), str(folder / "store"), module="raw_insert", log=folder / "raw.log")
    shutil.rmtree(folder)
    raw["points_per_s"] = rate(raw["points"], raw["seconds"])
    raw["cpu_us_per_point"] = round(1e6 * raw["cpu_s"] / raw["points"], 4)
    return ours, raw


def measure_stages(load: Load, base: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each stage with everything in front of it, and the worker alone over the log that the last one left."""
    yield "spool", spool_alone(load, fresh(base / "stage"))
    yield "spool, sender, null gateway", with_stage(load, "null", fresh(base / "stage"))
    folder = fresh(base / "stage")
    yield "spool, sender, gateway, log", with_stage(load, "log", folder)
    folded = one_response("worker", str(folder / "data"), module="ingest_stages", log=folder / "worker.log")
    folded["points_per_s"] = rate(folded["points"], folded["seconds"])
    folded["cpu_us_per_point"] = {"worker": round(1e6 * folded["cpu_s"] / folded["points"], 4)}
    yield "worker over that log", folded
    shutil.rmtree(folder)


def fresh(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def measure(what: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """All loads. Blocks for minutes."""
    return {key: measure_load(load, what.turns, what.stages, say) for key, load in what.loads}
