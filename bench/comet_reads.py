"""What Comet's client reads, by four ways to the same response, beside the engine alone.

A way is plain HTTP to Comet's route (until the last byte, nothing parsed), `runstream.API`, the real `comet_ml` in a
process of its own, or the native route with Arrow. As in bench/reads.py engine and server take turns on the same data;
the figure of a turn is the least of some repeats, what is reported the median of turns.
"""

import json
import math
import statistics
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bench.comet_started import comet_client
from bench.ingest import lag_records, trainers, wait_for_visible
from bench.many_runs import METRICS, send
from bench.processes import Child, cpu_s, one_response, server, wait_until
from bench.reads import ARROW
from bench.shapes import Load
from runstream.api import API
from runstream.query import Metric
from runstream_query.repositories.arguments import MAX_FULL, MAX_SAMPLED, Curve, Range
from runstream_query.repositories.statements.parameters import Parameters
from runstream_query.repositories.statements.sampling import full_statement, sampled_statement
from runstream_query.repositories.statements.series import Names, points_statement, scanned_envelope, step_width
from runstream_service.access import EVERYTHING

CURVES: Final = 10
REST: Final = "/api/rest/v2"
CHART: Final = f"{REST}/experiments/multi-metric-chart"
#: Parameters of each of the many runs: the client asks for a project's names before it asks anything else.
PARAMETERS: Final = 10
_QUERIED: Final = "val/metric_3"

#: Seconds and requests that a way took, and what it found.
Read = Callable[[], tuple[float, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Curves:
    """A chart of `runs` runs with CURVES curves of `rows` points, and one curve of `whole` points."""

    runs: int
    rows: int
    whole: int
    turns: int
    repeats: int

    @property
    def full_runs(self) -> int:
        """Of how many runs a chart can have every point."""
        return min(self.runs, MAX_FULL // (CURVES * self.rows))


@dataclass(frozen=True, slots=True)
class Queried:
    """A project of `runs` runs; `below` and `few_below` are the shares of them that are looked for."""

    runs: int
    below: float
    few_below: float
    turns: int
    repeats: int


def measure_curves(what: Curves, base: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Charts and a long curve. Blocks for minutes."""
    log = base / "server.log"
    load = Load("charts", 2, what.runs, CURVES, what.rows, min(what.rows, 4_000))
    with server(base / "data", log) as (url, _):
        runs = _filled(load, url, base / "charts", load.points)
        whole = Load("whole", 1, 1, 1, what.whole, min(what.whole, 200_000))
        (long,) = _filled(whole, url, base / "whole", load.points + what.whole)
    questions = _questions(what, runs, sorted(load.names()), long)
    statements = {name: statement for name, (statement, _) in questions.items()}
    return _turns(what.turns, what.repeats, base, statements, lambda url, client: _ways(url, client, questions), say)


def _filled(load: Load, url: str, folder: Path, visible: int) -> list[str]:
    """The runs of the load, once so many points are visible."""
    folder.mkdir()
    with trainers(load, url, "online", folder) as found:
        found.log()
        wait_for_visible(url, visible)
        return sorted(found.runs)


def _questions(what: Curves, runs: Sequence[str], metrics: Sequence[str], long: str) -> dict[str, Any]:
    """Name -> the engine's statement, and what the ways are asked."""
    full = runs[: what.full_runs]
    one = ("train/layer_0/loss",)
    width = step_width(0, what.rows - 1, MAX_SAMPLED)
    names = Names(tuple(runs), tuple(metrics))

    def series(of: Sequence[str]) -> list[Curve]:
        return [Curve(run, metric, what.rows, 0, what.rows - 1, False) for run in of for metric in metrics]

    return {
        "chart": (
            _bound(lambda bound: sampled_statement(EVERYTHING, series(runs), bound)),
            {"runs": list(runs), "metrics": list(metrics), "full": False},
        ),
        "chart, native buckets": (
            _bound(lambda bound: scanned_envelope(names, Range(), "step", width, bound)),
            {"runs": list(runs), "metrics": list(metrics), "max_points": MAX_SAMPLED},
        ),
        "chart, full": (
            _bound(lambda bound: full_statement(EVERYTHING, series(full), bound)),
            {"runs": list(full), "metrics": list(metrics), "full": True},
        ),
        "curve": (
            _bound(lambda bound: points_statement(Names((long,), one), Range(), bound, epochs=True)),
            {"run": long, "metric": one[0]},
        ),
    }


def _bound(statement: Callable[[Parameters], str]) -> tuple[str, Mapping[str, Any]]:
    parameters = Parameters()
    sql = statement(parameters)
    return sql, parameters.values


def _ways(url: str, client: Child, questions: Mapping[str, Any]) -> dict[str, dict[str, Read]]:
    """Question -> way -> how it is asked."""
    api = API(url)
    requested = {name: question for name, (_, question) in questions.items()}
    run, metric = requested["curve"]["run"], requested["curve"]["metric"]
    found: dict[str, dict[str, Read]] = {}
    for name in ("chart", "chart, full"):
        found[name] = _chart_ways(url, client, api, requested[name])
    native = requested["chart, native buckets"]
    found["chart, native buckets"] = {"native, Arrow": lambda: _arrow(url, native)}
    whole = {"runs": requested["chart, full"]["runs"], "metrics": requested["chart, full"]["metrics"]}
    found["chart, full"]["native, Arrow"] = lambda: _arrow(url, whole)
    query = urllib.parse.urlencode({"experimentKey": run, "metricName": metric})
    path = f"{REST}/experiment/metrics/get-metric?{query}"
    found["curve"] = {
        "HTTP": lambda: _http(url, path, None, lambda response: _of_points(response["metrics"])),
        "runstream.API": lambda: _timed(lambda: api.get_experiment_metric(run, metric), _of_points),
        "comet_ml": lambda: _client(client, {"ask": "points", "run": run, "metric": metric}),
        "native, Arrow": lambda: _arrow(url, {"runs": [run], "metrics": [metric]}),
    }
    return found


def _chart_ways(url: str, client: Child, api: API, requested: Mapping[str, Any]) -> dict[str, Read]:
    runs, metrics, full = requested["runs"], requested["metrics"], requested["full"]
    body = {"targetedExperiments": runs, "metrics": metrics, "independentMetrics": True, "fetchFull": full}
    return {
        "HTTP": lambda: _http(url, CHART, body, lambda response: _of_charts(response["experiments"])),
        "runstream.API": lambda: _timed(lambda: api.get_metrics_for_chart(runs, metrics, fetch_full=full), _of_charts),
        "comet_ml": lambda: _client(client, {"ask": "chart", **requested}),
    }


def _timed(ask: Callable[[], Any], found: Callable[[Any], dict[str, Any]]) -> tuple[float, dict[str, Any]]:
    began_s = time.perf_counter()
    response = ask()
    wall_s = time.perf_counter() - began_s
    return wall_s, found(response)


def _http(
    url: str, path: str, body: Any, found: Callable[[Any], dict[str, Any]], accept: str = "application/json"
) -> tuple[float, dict[str, Any]]:
    """Until the last byte is there; what it says is looked at afterwards."""
    request = urllib.request.Request(url + path, None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Accept", accept)

    def ask() -> bytes:
        with urllib.request.urlopen(request, timeout=600) as response:
            return bytes(response.read())

    def read(response: bytes) -> dict[str, Any]:
        return found(json.loads(response)) | {"bytes": len(response)}

    return _timed(ask, read)


def _arrow(url: str, body: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    request = urllib.request.Request(f"{url}/api/v1/series", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Accept", ARROW)

    def ask() -> pa.Table:
        with urllib.request.urlopen(request, timeout=600) as response:
            return pa.ipc.open_stream(response.read()).read_all()

    return _timed(ask, _of_table)


def _client(client: Child, question: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    client.send(json.dumps(question))
    response = client.response()
    return float(response.pop("wall_s")), response


def _of_charts(charts: Mapping[str, Any]) -> dict[str, Any]:
    curves = [curve for chart in charts.values() for curve in chart["metrics"]]
    values = [value for curve in curves for value in curve["values"]]
    return {
        "points": len(values),
        "sum": math.fsum(values),
        "steps": sum(step for one in curves for step in one["steps"]),
    }


def _of_points(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    total = math.fsum(float(point["metricValue"]) for point in points)
    return {"points": len(points), "sum": total, "steps": sum(point["step"] for point in points)}


def _of_table(table: pa.Table) -> dict[str, Any]:
    """Points, or buckets, of which the steps are those that they begin with and the sum that of their lowest values."""
    step, value = ("step", "value") if "step" in table.column_names else ("first_step", "min")
    steps = sum(table.column(step).to_pylist())
    return {"points": table.num_rows, "sum": math.fsum(table.column(value).to_pylist()), "steps": steps}


def measure_query(what: Queried, base: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """A question about a project of very many runs, and the client's other ones about it. Blocks for minutes."""
    with server(base / "data", base / "server.log") as (url, _):
        send(url, what.runs, projects=1, parameters=PARAMETERS)
        wait_for_visible(url, what.runs * METRICS)
        wait_until(lambda: lag_records(url) == 0, "visibility", 0.2)
    scan = "SELECT run FROM summary_states WHERE metric = {metric:String} AND last < {below:Float64} ORDER BY run"
    statements = {
        name: (scan, {"metric": _QUERIED, "below": below})
        for name, below in (("query", what.below), ("query, few", what.few_below))
    }
    found = _turns(what.turns, what.repeats, base, statements, lambda url, client: _query_ways(url, client, what), say)
    return found | {"runs": what.runs}


def _query_ways(url: str, client: Child, what: Queried) -> dict[str, dict[str, Read]]:
    api, place = API(url), {"workspaceName": "default", "projectName": "project-0"}
    at = urllib.parse.urlencode(place)

    def http(below: float) -> Read:
        rule = {"field": _QUERIED, "operator": "less", "value": below}
        predicate = {"source": "metrics", "query": {"condition": "AND", "rules": [rule]}}
        body = place | {"predicates": [predicate], "archived": False}
        return lambda: _http(
            url, f"{REST}/project/query", body, lambda response: {"keys": sorted(response["experimentKeys"])}
        )

    def ours(below: float) -> tuple[float, dict[str, Any]]:
        sent = api.get_panel_request_count()
        wall_s, found = _timed(
            lambda: api.query("default", "project-0", Metric(_QUERIED) < below),
            lambda runs: {"keys": sorted(run.run for run in runs)},
        )
        return wall_s, found | {"requests": api.get_panel_request_count() - sent}

    def comet(below: float) -> tuple[float, dict[str, Any]]:
        return _client(client, {"ask": "query", "project": "project-0", "metric": _QUERIED, "below": below})

    columns = f"{REST}/project/column-names?{at}"
    return {
        "query": {"HTTP": http(what.below), "runstream.API": lambda: ours(what.below)},
        "query, few": {
            "HTTP": http(what.few_below),
            "runstream.API": lambda: ours(what.few_below),
            "comet_ml": lambda: comet(what.few_below),
            "HTTP, the project's names": lambda: _http(url, columns, None, lambda response: {}),
        },
    }


def _turns(
    turns: int,
    repeats: int,
    base: Path,
    statements: Mapping[str, Any],
    ways: Callable[[str, Child], dict[str, dict[str, Read]]],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Engine and server by turns; of each way its seconds, CPU of the server, and whether it found the same."""
    log, done = base / "server.log", []
    for number in range(turns):
        more = ("merge",) if number == 0 else ()
        words = (str(base / "data"), str(repeats), json.dumps(statements), str(base), *more)
        engine = one_response(*words, module="engine_reads", log=log)
        with server(base / "data", log) as (url, process), comet_client(url, base, "read") as client:
            version = client.response()["version"]
            taken = {
                name: {way: _taken(process.pid, ask, repeats) for way, ask in requested.items()}
                for name, requested in ways(url, client).items()
            }
        done.append((engine, taken))
    found: dict[str, Any] = {"comet_ml": version}
    for name in statements:
        wanted = _wanted(base / f"{name}.arrow")
        found[name] = _reported(name, done, wanted)
        for way, figures in found[name]["ways"].items():
            say(f"{name}: {way}: {figures['ms']:,.0f} ms, {figures['of_engine']:.1f} x the engine alone")
    return found


def _taken(pid: int, ask: Read, repeats: int) -> dict[str, Any]:
    walls, began_cpu_s = [], cpu_s(pid)
    for _ in range(repeats):
        wall_s, found = ask()
        walls.append(wall_s)
    # The kernel counts CPU in steps of 10 ms: the mean of the repeats is finer than the least.
    return found | {"wall_s": min(walls), "server_cpu_s": (cpu_s(pid) - began_cpu_s) / repeats}


def _wanted(file: Path) -> dict[str, Any]:
    table = pa.ipc.open_file(file).read_all()
    return {"keys": table["run"].to_pylist()} if table.column_names == ["run"] else _of_table(table)


def _reported(name: str, done: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], wanted: Mapping[str, Any]) -> Any:
    engines = [engine[name]["wall_s"] for engine, _ in done]
    engine_cpu_ms = round(1e3 * statistics.median(engine[name]["cpu_s"] for engine, _ in done), 1)
    ways = {}
    for way in done[0][1][name]:
        taken = [turn[name][way] for _, turn in done]
        ratios = [one["wall_s"] / engine_s for one, engine_s in zip(taken, engines, strict=True)]
        compared = [{key: one[key] for key in wanted} == wanted for one in taken if wanted.keys() <= one.keys()]
        ways[way] = {
            "ms": round(1e3 * statistics.median(one["wall_s"] for one in taken), 1),
            "of_engine": round(statistics.median(ratios), 2),
            "server_cpu_ms": round(1e3 * statistics.median(one["server_cpu_s"] for one in taken), 1),
            "requests": taken[-1].get("requests", 1),
            "bytes": taken[-1].get("bytes"),
            "same": all(compared) if compared else None,
        }
    size = len(wanted["keys"]) if "keys" in wanted else wanted["points"]
    engine_ms = round(1e3 * statistics.median(engines), 1)
    return {"found": size, "engine_ms": engine_ms, "engine_cpu_ms": engine_cpu_ms, "ways": ways}
