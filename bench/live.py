"""Live streams that follow curves: how soon a point is there, and what ten of them cost the ingest beside them."""

import http.client
import json
import random
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import runstream as rs
from bench.ingest import fresh, measured, trainers, wait_for_visible
from bench.processes import Child, Failed, child, end_sender, server, wait_until
from bench.shapes import Load, scaled

#: A hundred series.
_LOAD: Final = Load("10 writers x 10 metrics, full speed", 2, 10, 10, 200_000, 40_000)
_METRICS: Final = 10
#: Buckets of a curve on a screen.
_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """rows: logged one by one; load: logged beside `streams` streams; turns: with and without them."""

    rows: int
    load: Load
    streams: int
    turns: int


def plan(quick: bool) -> Plan:
    """Return what a full or a quick run measures."""
    return Plan(20, scaled(_LOAD, 5_000), 10, 1) if quick else Plan(200, _LOAD, 10, 3)


def measure(what: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure both. Blocks for minutes."""
    latency = measure_latency(what.rows, say)
    ways = {"the same curves": False, "curves of their own": True}
    return {"latency": latency, "ingest": {name: beside(what, own, name, say) for name, own in ways.items()}}


def measure_latency(rows: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Log `rows` single rows at random moments, and take the time until the message with each is there.

    logged to appended: SDK, sender, gateway and log, to the clock of the log; appended to looked: fold, inserts and
    visibility, to the moment of the look that found it; looked to told: what is read, made and sent.
    """
    rng = random.Random(1)
    names = [f"train/layer_{number}" for number in range(_METRICS)]
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name:
        base = Path(name)
        with server(base / "data", base / "server.log") as (url, _):
            run = rs.init(project="bench", url=url, dir=base / "spool", capture_console=False, capture_code=False)
            try:
                run.log(dict.fromkeys(names, 0.0), step=0)
                wait_until(lambda: _runs(url) == [run.run_id], "the run")
                stages = []
                tails = [{"run": run.run_id, "metric": one, "width": 1} for one in names]
                messages = follow(url, {"kinds": ["tail"], "tails": tails})
                next(messages)
                for step in range(1, rows + 1):
                    time.sleep(rng.uniform(0.3, 0.9))
                    logged_s = time.time()
                    run.log(dict.fromkeys(names, float(step)), step=step)
                    looked_s, told_s = _told(messages, len(names), step)
                    stages.append((logged_s, _appended_s(url, run.run_id), looked_s, told_s))
                run.finish()
            finally:
                end_sender(base / "spool")
    found = {"rows": rows, **_percentiles("logged to told", [one[3] - one[0] for one in stages])}
    parts = ("logged to appended", "appended to looked", "looked to told")
    found["stages"] = {
        part: _percentiles(part, [one[at + 1] - one[at] for one in stages]) for at, part in enumerate(parts)
    }
    say(f"live: log() to message: p50 {found['p50_ms']:.0f} ms, p95 {found['p95_ms']:.0f} ms")
    return found


def follow(url: str, body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], float]]:
    """Iterate over the messages of a stream: event, data, and when it came (Unix time in seconds)."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("POST", "/api/v1/live", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        raise Failed(f"/api/v1/live: {response.status} {response.read(1000)!r}")
    event = ""
    while line := response.readline():
        field, _, value = line.decode().rstrip("\n").partition(": ")
        if field == "event":
            event = value
        elif field == "data":
            yield event, json.loads(value), time.time()


def _told(messages: Iterator[tuple[str, dict[str, Any], float]], series: int, step: int) -> tuple[float, float]:
    """When the look was that found the step in all series, and when its message came, in Unix time (seconds)."""
    found = 0
    for event, data, came_s in messages:
        if event == "tail":
            found += sum(tail["x"][-1:] == [step] for tail in data["tails"])
        if found >= series:
            return datetime.fromisoformat(data["at"]).timestamp(), came_s
    raise Failed(f"the stream ended before step {step}")


def _appended_s(url: str, run: str) -> float:
    """When the log took the last record of the run, in Unix time (seconds)."""
    writers = _json(f"{url}/api/v1/runs/{run}")["writers"]
    return max(datetime.fromisoformat(writer["last_seen_at"]).timestamp() for writer in writers)


def _percentiles(what: str, seconds: Sequence[float]) -> dict[str, Any]:
    if not seconds:
        raise Failed(f"{what}: nothing was measured")
    in_order = sorted(seconds)
    return {
        "p50_ms": round(1e3 * statistics.median(in_order), 1),
        "p95_ms": round(1e3 * in_order[int(0.95 * len(in_order))], 1),
        "most_ms": round(1e3 * in_order[-1], 1),
    }


def beside(what: Plan, own: bool, name: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Turns of the ingest with the streams beside it and without them, in alternating order; the ratio of their
    rates. own: each stream has curves that no other one has, so that the server makes each by itself."""
    turns = []
    for number in range(what.turns):
        order = (0, what.streams) if number % 2 == 0 else (what.streams, 0)
        rates = {streams: _ingest(what.load, streams, own) for streams in order}
        without, beside_them = rates[0], rates[what.streams]
        ratio = round(beside_them["points_per_s"] / without["points_per_s"], 3)
        turns.append({"without": without, "beside": beside_them, "ratio": ratio})
        say(f"live: {what.streams} streams with {name}: {ratio:.2f} of the ingest without")
    found = {"load": what.load.name, "streams": what.streams, "turns": turns}
    return {**found, "ratio": statistics.median(turn["ratio"] for turn in turns)}


def _ingest(load: Load, streams: int, own: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name:
        folder = fresh(Path(name) / "whole")
        with (
            server(folder / "data", folder / "server.log") as (url, process),
            trainers(load, url, "online", folder) as found,
        ):
            wait_until(lambda: len(_runs(url)) == load.runs, "the runs", 0.1)
            bodies = _bodies(load, _runs(url), streams, own)
            sent = json.dumps({"url": url, "bodies": bodies})
            with child(sent, module="live_reader", log=folder / "reader.log") as reader:
                reader.response()
                result = measured(found, process.pid, lambda: wait_for_visible(url, load.points))
                return result | {"streams": streams, **_counted(reader, streams)}


def _counted(reader: Child, streams: int) -> dict[str, Any]:
    reader.send("count")
    counted = reader.response()
    if streams and not counted["tails"]:
        raise Failed("the streams told nothing")
    return counted


def _bodies(load: Load, runs: Sequence[str], streams: int, own: bool) -> list[dict[str, Any]]:
    """Streams that follow every curve of the load, in the buckets of a screen; or in ever finer ones, each by
    itself."""
    width = 1 << max(0, (load.rows // _SHOWN).bit_length())
    names = load.names()

    def curves(number: int) -> list[dict[str, Any]]:
        place = {"width": width, "from": -1 - number} if own else {"width": width}
        return [{"run": run, "metric": metric, **place} for run in runs for metric in names]

    return [{"project": "bench", "kinds": ["run", "tail"], "tails": curves(number)} for number in range(streams)]


def _runs(url: str) -> list[str]:
    return [run["run"] for run in _json(f"{url}/api/v1/runs?project=bench&limit=1000")["runs"]]


def _json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)
