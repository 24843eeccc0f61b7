"""Reads over HTTP, beside the same statements by the engine alone: a full series, views, a panel, a list of runs.

The engine cannot be open twice, so the two take turns on the same data: the engine in a process of its own, then the
server, again and again. The figure of a turn is the least of some repeats; what is reported is the median of turns.
"""

import json
import statistics
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from bench.ingest import lag_records, trainers, wait_for_visible
from bench.many_runs import METRICS, send
from bench.processes import cpu_s, one_response, server, wait_until
from bench.shapes import Load
from runstream_query.repositories.arguments import Chart, Range
from runstream_query.repositories.buckets import power_of_two_width
from runstream_query.repositories.statements.charts import chart_statement
from runstream_query.repositories.statements.nearest import nearest_statement
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.series import (
    Names,
    projected_envelope,
    scanned_envelope,
    step_width,
    unnamed_points_statement,
)
from runstream_service.access import EVERYTHING

ARROW: Final = "application/vnd.apache.arrow.stream"
MAX_POINTS: Final = 1_000
#: Steps to either side of the cursor that a page asks for points of.
NEAR: Final = 100
#: A hundredth of the runs have a smaller value than this in one of ten metrics.
FILTER_BELOW: Final = 0.01


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the curves are (`long` at least 256 buckets of MAX_POINTS, as a roll-up holds them), how many runs the
    list has, how often all of it is read."""

    whole: int
    long: int
    panel_runs: int
    panel_rows: int
    listed_runs: int
    turns: int
    repeats: int


def plan(quick: bool) -> Plan:
    """A full or a quick run."""
    if quick:
        return Plan(100_000, 1_000_000, 20, 1_000, 2_000, 1, 3)
    return Plan(1_000_000, 10_000_000, 100, 10_000, 100_000, 3, 5)


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and the statement that the engine alone is asked instead."""

    name: str
    runs: tuple[str, ...]
    metrics: tuple[str, ...]
    max_points: int | None
    statement: tuple[str, Mapping[str, Any]]
    path: str = "/api/v1/series"
    more: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        shown = {} if self.max_points is None else {"max_points": self.max_points}
        return {"runs": list(self.runs), "metrics": list(self.metrics), **shown, **self.more}


def measure(what: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """Fill a server, then let engine and server take turns. Blocks for minutes."""
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name:
        base = Path(name)
        found = _curves(what, base, say)
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name:
        return found | {"list of runs": _list(what, Path(name), say)}


def _curves(what: Plan, base: Path, say: Callable[[str], None]) -> dict[str, Any]:
    log = base / "server.log"
    with server(base / "data", log) as (url, _):
        whole = _filled(Load("whole", 1, 1, 1, what.whole, min(what.whole, 200_000)), url, base / "whole")
        long = _filled(Load("long", 1, 1, 1, what.long, min(what.long, 200_000)), url, base / "long", what.whole)
        load = Load("panel", 2, what.panel_runs, 10, what.panel_rows, 4_000)
        panel = _filled(load, url, base / "panel", what.whole + what.long)
    questions = _questions(what, whole, long, panel, load.names())
    statements = {question.name: question.statement for question in questions}
    width = step_width(0, what.long - 1, MAX_POINTS)
    statements["scan for the view"] = _bound(
        lambda parameters: scanned_envelope(Names(long, ("train/layer_0/loss",)), Range(), "step", width, parameters)
    )
    turns: list[dict[str, Any]] = []
    for number in range(what.turns):
        more = ("merge",) if number == 0 else ()
        words = (str(base / "data"), str(what.repeats), json.dumps(statements), str(base), *more)
        engine = one_response(*words, module="engine_reads", log=log)
        with server(base / "data", log) as (url, process):
            over_http = {one.name: _read(url, process.pid, one, what.repeats, base) for one in questions}
        turns.append({"engine": engine, "http": over_http})
    found = {one.name: _compared(one.name, turns) for one in questions}
    view, scan = found["view"], _median(turns, "engine", "scan for the view", "cpu_s")
    view["share_of_scan_cpu"] = round(_median(turns, "http", "view", "cpu_s") / scan, 4)
    view["engine_share_of_scan_cpu"] = round(_median(turns, "engine", "view", "cpu_s") / scan, 4)
    view["scan_cpu_ms"] = round(1e3 * scan, 1)
    scanned = pa.ipc.open_file(base / "scan for the view.arrow").read_all()
    drawn = pa.ipc.open_file(base / "view.arrow").read_all()
    view["equals_scan"] = drawn.equals(scanned)
    for name, figures in found.items():
        say(f"{name}: {figures['http_ms']:.0f} ms over HTTP, {figures['of_engine']:.2f} x the engine alone")
    say(f"view: {100 * view['share_of_scan_cpu']:.1f} % of the CPU of a scan, equal: {view['equals_scan']}")
    return found


def _filled(load: Load, url: str, folder: Path, before: int = 0) -> tuple[str, ...]:
    """Log the load through the client, wait until it is visible, and give the ids of its runs."""
    folder.mkdir()
    with trainers(load, url, "online", folder) as found:
        found.log()
        wait_for_visible(url, before + load.points)
        return tuple(sorted(found.runs))


def _questions(
    what: Plan, whole: Sequence[str], long: Sequence[str], panel: Sequence[str], metrics: Sequence[str]
) -> list[Question]:
    one = ("train/layer_0/loss",)
    width = step_width(0, what.long - 1, MAX_POINTS)
    narrow = step_width(0, what.panel_rows - 1, MAX_POINTS)
    all_points = _bound(lambda parameters: unnamed_points_statement(Names(tuple(whole), one), Range(), parameters))
    view = _bound(lambda parameters: projected_envelope(Names(tuple(long), one), Range(), width, parameters))
    names = Names(tuple(panel), tuple(sorted(metrics)))
    many = _bound(lambda parameters: scanned_envelope(names, Range(), "step", narrow, parameters))
    middle = what.panel_rows // 2
    cursor = {"near": middle, "points": 3, "x_from": middle - NEAR, "x_to": middle + NEAR}
    around = Range(step_from=middle - NEAR, step_to=middle + NEAR)
    nearest = _bound(lambda parameters: nearest_statement(names, around, "step", middle, 3, parameters, EVERYTHING))
    chart = Chart(names.runs, names.metrics)
    widths: dict[float, tuple[str, ...]] = {power_of_two_width(0, what.panel_rows - 1, MAX_POINTS): chart.runs}
    limit = len(panel) * len(metrics) * MAX_POINTS
    packed = _bound(lambda parameters: chart_statement(chart, widths, limit, parameters, EVERYTHING))
    return [
        Question("full series", tuple(whole), one, None, all_points),
        Question("view", tuple(long), one, MAX_POINTS, view),
        Question("panel", tuple(panel), tuple(metrics), MAX_POINTS, many),
        Question("nearest points", tuple(panel), tuple(metrics), None, nearest, "/api/v1/points", cursor),
        Question("charts", tuple(panel), tuple(metrics), MAX_POINTS, packed, "/api/v1/charts"),
    ]


def _bound(statement: Callable[[Parameters], str]) -> tuple[str, Mapping[str, Any]]:
    parameters = Parameters()
    sql = statement(parameters)
    return sql, parameters.values


def _read(url: str, pid: int, question: Question, repeats: int, base: Path) -> dict[str, Any]:
    """Ask some times; the response has to be what the engine alone found."""
    wanted = pa.ipc.open_file(base / f"{question.name}.arrow").read_all()
    walls, cpus = [], []
    for _ in range(repeats):
        began_s, began_cpu_s = time.perf_counter(), cpu_s(pid)
        request = urllib.request.Request(f"{url}{question.path}", json.dumps(question.body()).encode(), method="POST")
        request.add_header("Accept", ARROW)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=300) as response:
            body = response.read()
            table = pa.ipc.open_stream(body).read_all()
        walls.append(time.perf_counter() - began_s)
        cpus.append(cpu_s(pid) - began_cpu_s)
    charts = question.path.endswith("charts")
    same = _encloses(table, wanted) if charts else table.select(wanted.column_names).cast(wanted.schema).equals(wanted)
    # The kernel counts CPU in steps of 10 ms: the mean of the repeats is finer than the least.
    return {
        "wall_s": min(walls),
        "cpu_s": statistics.mean(cpus),
        "rows": table.num_rows,
        "same": same,
        "bytes": len(body),
    }


def _encloses(packed: pa.Table, buckets: pa.Table) -> bool:
    """Whether the extremes in 32 bits are those of the buckets, rounded outward."""
    if packed.num_rows != buckets.num_rows:
        return False
    low, high = (packed.column(name).to_numpy() for name in ("min", "max"))
    least, most = (buckets.column(name).to_numpy() for name in ("min", "max"))
    inner = (np.nextafter(low, np.float32(np.inf)), np.nextafter(high, np.float32(-np.inf)))
    return bool(((low <= least) & (inner[0] > least) & (high >= most) & (inner[1] < most)).all())


def _median(turns: Sequence[Mapping[str, Any]], side: str, name: str, key: str) -> float:
    return float(statistics.median(turn[side][name][key] for turn in turns))


def _compared(name: str, turns: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    ratios = [turn["http"][name]["wall_s"] / turn["engine"][name]["wall_s"] for turn in turns]
    return {
        "rows": turns[0]["http"][name]["rows"],
        "bytes": turns[0]["http"][name]["bytes"],
        "http_ms": round(1e3 * _median(turns, "http", name, "wall_s"), 1),
        "engine_ms": round(1e3 * _median(turns, "engine", name, "wall_s"), 1),
        "of_engine": round(statistics.median(ratios), 2),
        "http_cpu_ms": round(1e3 * _median(turns, "http", name, "cpu_s"), 1),
        "engine_cpu_ms": round(1e3 * _median(turns, "engine", name, "cpu_s"), 1),
        "same": all(turn["http"][name]["same"] for turn in turns),
    }


def _list(what: Plan, base: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """A page of 100 runs of very many, by a metric's minimum, beside a bare scan for the same runs."""
    log = base / "server.log"
    with server(base / "data", log) as (url, _):
        began_s = time.perf_counter()
        send(url, what.listed_runs)
        wait_until(lambda: lag_records(url) == 0, "visibility", 0.2)
        filled_s = time.perf_counter() - began_s
    statement = (
        "SELECT run, minimum FROM summary_states WHERE metric = {metric:String} AND minimum < {below:Float64} "
        "ORDER BY minimum LIMIT 100"
    )
    statements = {"scan": (statement, {"metric": "val/metric_3", "below": FILTER_BELOW})}
    walls: list[float] = []
    scans: list[float] = []
    for _ in range(what.turns):
        words = (str(base / "data"), str(what.repeats), json.dumps(statements), str(base))
        scans.append(one_response(*words, module="engine_reads", log=log)["scan"]["wall_s"])
        with server(base / "data", log) as (url, _):
            responses = [_page(url) for _ in range(what.repeats)]
            walls.append(min(wall_s for wall_s, _ in responses))
    wanted = pa.ipc.open_file(base / "scan.arrow").read_all()["run"].to_pylist()
    found = {
        "runs": what.listed_runs,
        "metrics_a_run": METRICS,
        "http_ms": round(1e3 * statistics.median(walls), 1),
        "scan_ms": round(1e3 * statistics.median(scans), 1),
        "same": responses[-1][1] == wanted,
        "fill_runs_per_s": round(what.listed_runs / filled_s),
    }
    say(f"list: {found['http_ms']:.0f} ms over HTTP, {found['scan_ms']:.0f} ms a bare scan, same: {found['same']}")
    return found


def _page(url: str) -> tuple[float, list[str]]:
    query = {"filter": f"metric.val/metric_3.min < {FILTER_BELOW}", "sort": "metric.val/metric_3.min", "limit": "100"}
    began_s = time.perf_counter()
    with urllib.request.urlopen(f"{url}/api/v1/runs?{urllib.parse.urlencode(query)}", timeout=120) as response:
        runs = json.load(response)["runs"]
    return time.perf_counter() - began_s, [run.get("id") or run.get("run") for run in runs]
