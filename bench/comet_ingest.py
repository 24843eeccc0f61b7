"""What it costs to take in what Comet's client logs, beside the native way and the raw insert.

A server has costs a second (it inserts several times a second, however little there is), and the client is slow: so the
native way is measured at the client's own pace, points a second and points in all, and at its own full speed.
"""

import contextlib
import json
import statistics
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.comet_started import comet_client
from bench.ingest import fresh, lag_records, one_turn, whole
from bench.processes import cpu_s, server, wait_until
from bench.shapes import Load

RATIOS: Final = ("of_paced", "of_native", "of_raw")


@dataclass(frozen=True, slots=True)
class Written:
    """`processes` experiments that log rows of `metrics` metrics for `seconds`; a loop of single values by REST for
    `rest_seconds`; a native load of `native_rows` rows for each process."""

    processes: int
    metrics: int
    seconds: float
    rest_seconds: float
    native_rows: int
    turns: int


def measure_ingest(what: Written, base: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Turns of the client, of the native way and of the raw insert. Blocks for minutes."""
    load = Load("native", what.processes, what.processes, what.metrics, what.native_rows, min(what.native_rows, 40_000))
    turns = []
    for number in range(what.turns):
        live = _live(what, fresh(base / "live"))
        native, raw = one_turn(load, base, base / "rows.arrow", first=number == 0, found={})
        paced = _paced(what, live, fresh(base / "paced"))
        turns.append(live | _beside(live, paced, native, raw))
        say(
            f"live: {live['points']:,} points, {live['points_per_s']:,} a second until visible, missing "
            f"{live['missing']}; {live['server_cpu_us_per_point']:.1f} us of the server's CPU a point"
        )
    (base / "rows.arrow").unlink()
    rest = _rest(what, fresh(base / "rest"))
    say(f"log_metric by REST: {rest['calls_per_s']:.1f} a second")
    keys = ("points_per_s", "logged_per_s", "server_cpu_us_per_point", "client_cpu_us_per_point", *RATIOS)
    medians = {key: statistics.median(turn[key] for turn in turns) for key in keys}
    return (
        medians
        | {"processes": what.processes, "missing": sum(turn["missing"] for turn in turns), "turns": turns}
        | {"rest": rest}
    )


def _live(what: Written, folder: Path) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        url, process = stack.enter_context(server(folder / "data", folder / "server.log"))
        words = ("write", str(what.seconds), str(what.metrics))
        clients = [stack.enter_context(comet_client(url, folder, *words)) for _ in range(what.processes)]
        keys = [client.response()["key"] for client in clients]
        before_cpu_s = cpu_s(process.pid)
        for client in clients:
            client.send("go")
        results = [client.response() for client in clients]
        wait_until(lambda: lag_records(url) == 0, "visibility", 0.05)
        spent_s = cpu_s(process.pid) - before_cpu_s
        there = sum(_visible_points(url, key) for key in keys)
    points = sum(one["points"] for one in results)
    began_s = min(one["began_s"] for one in results)
    logged_s, ended_s = (max(one[key] for one in results) - began_s for key in ("logged_s", "ended_s"))
    return {
        "points": points,
        "missing": points - there,
        "logged_per_s": round(points / logged_s),
        "points_per_s": round(points / ended_s),
        "server_cpu_us_per_point": 1e6 * spent_s / points,
        "client_cpu_us_per_point": 1e6 * sum(one["cpu_s"] for one in results) / points,
    }


def _paced(what: Written, live: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The native way with as many processes, rows and rows a second as the client had."""
    rows = live["points"] // (what.processes * what.metrics)
    load = Load("paced", what.processes, what.processes, what.metrics, rows, min(rows, 40_000))
    return whole(load, folder, live["points_per_s"] / (what.processes * what.metrics))


def _beside(
    live: dict[str, Any], paced: dict[str, Any], native: dict[str, Any], raw: dict[str, Any]
) -> dict[str, float]:
    """CPU a point of the others, and how often it goes into what the client's points cost the server."""
    others_us = {
        "paced": paced["cpu_us_per_point"]["server"],
        "native": native["cpu_us_per_point"]["server"],
        "raw": raw["cpu_us_per_point"],
    }
    ours_us = live["server_cpu_us_per_point"]
    found = {f"{name}_cpu_us_per_point": spent_us for name, spent_us in others_us.items()}
    return found | {f"of_{name}": round(ours_us / spent_us, 1) for name, spent_us in others_us.items()}


def _visible_points(url: str, run: str) -> int:
    with urllib.request.urlopen(f"{url}/api/v1/runs/{run}/summaries", timeout=60) as response:
        summaries = json.load(response)["summaries"]
    return sum(one["count"] for one in summaries if one["metric"].startswith("train/"))


def _rest(what: Written, folder: Path) -> dict[str, Any]:
    with (
        server(folder / "data", folder / "server.log") as (url, process),
        comet_client(url, folder, "read") as client,
    ):
        client.response()
        before_cpu_s = cpu_s(process.pid)
        client.send(json.dumps({"ask": "rest", "seconds": what.rest_seconds}))
        results = client.response()
        spent_s = cpu_s(process.pid) - before_cpu_s
    return {
        "calls": results["calls"],
        "missing": results["calls"] - results["there"],
        "calls_per_s": round(results["calls"] / results["seconds"], 1),
        "ms_per_call": round(1e3 * results["seconds"] / results["calls"], 1),
        "server_cpu_ms_per_call": round(1e3 * spent_s / results["calls"], 1),
    }
