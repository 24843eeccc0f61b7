"""The results as tables for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def show(results: Mapping[str, Any], console: Console) -> None:
    """Print a table for each part that was measured."""
    shows = {"log": _log, "ingest": _ingest, "reads": _reads, "freshness": _freshness, "live": _live, "comet": _comet}
    for part, show_part in shows.items():
        if part in results:
            show_part(results[part], console)
    for part in results.keys() - shows.keys() - {"machine"}:
        console.print(f"{part}: see the JSON file")


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], console: Console) -> None:
    console.print(title, style="bold", soft_wrap=True, markup=False)
    table = Table()
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(_text(cell) for cell in row))
    console.print(table)


def _text(cell: Any) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "yes" if cell else "NO"
        case float():
            return f"{cell:,.1f}" if cell >= 100 else f"{cell:.3g}"
        case int():
            return f"{cell:,}"
        case _:
            return str(cell)


def _log(found: Mapping[str, Any], console: Console) -> None:
    columns = ("tracker", "version", "p50 us", "p99 us", "p99.9 us", "mean us", "p50 / floor", "calls")
    for scalars, result in found.items():
        keys = ("version", "p50_us", "p99_us", "p999_us", "mean_us", "of_floor", "calls")
        rows = [(name, *(figures[key] for key in keys)) for name, figures in result["trackers"].items()]
        rows.extend((name, f"left out: {reason}", *([None] * 6)) for name, reason in result["left_out"].items())
        _table(f"One log() call of {scalars} scalars", columns, rows, console)


def _ingest(found: Mapping[str, Any], console: Console) -> None:
    for result in found.values():
        rows = []
        for number, turn in enumerate(result["turns"], start=1):
            whole, raw = turn["whole"], turn["raw"]
            cpu = whole["cpu_us_per_point"]
            rows.append(
                (
                    f"turn {number}",
                    whole["points_per_s"],
                    raw["points_per_s"],
                    turn["ratio"],
                    cpu["writers"],
                    cpu["sender"],
                    cpu["server"],
                    raw["cpu_us_per_point"],
                )
            )
        columns = ("", "points/s", "raw insert", "ratio", "writers", "sender", "server", "raw")
        title = f"{result['load']}: log() to visible, median ratio {result['ratio']:.2f}; right: CPU us a point"
        _table(title, columns, rows, console)
        stages = [
            (name, stage["points_per_s"], ", ".join(f"{who} {us:.3f}" for who, us in stage["cpu_us_per_point"].items()))
            for name, stage in result["stages"].items()
        ]
        if stages:
            _table("The same, stage by stage", ("stage", "points/s", "CPU us a point"), stages, console)
        sizes = result["sizes"]
        columns_bytes = ", ".join(f"{name} {size}" for name, size in sizes["table_bytes_per_point"].items())
        console.print(f"bytes a point: log {sizes['log_bytes_per_point']}; table {columns_bytes}\n", soft_wrap=True)


def _reads(found: Mapping[str, Any], console: Console) -> None:
    curves = {name: figures for name, figures in found.items() if "of_engine" in figures}
    keys = ("rows", "http_ms", "engine_ms", "of_engine", "http_cpu_ms", "engine_cpu_ms", "same")
    rows = [(name, *(figures[key] for key in keys)) for name, figures in curves.items()]
    columns = ("read", "rows", "HTTP ms", "engine ms", "ratio", "HTTP CPU ms", "engine CPU ms", "same rows")
    _table("Reads over HTTP beside the engine alone", columns, rows, console)
    view, listed = found["view"], found["list of runs"]
    console.print(
        f"view: {100 * view['share_of_scan_cpu']:.1f} % of the CPU of a scan over HTTP, "
        f"{100 * view['engine_share_of_scan_cpu']:.1f} % in the engine; equal to the scan: {view['equals_scan']}"
    )
    console.print(
        f"list of {listed['runs']:,} runs by a metric: {listed['http_ms']} ms, bare scan {listed['scan_ms']} ms, "
        f"same runs: {listed['same']}; filled with {listed['fill_runs_per_s']:,} runs/s\n"
    )


def _freshness(found: Mapping[str, Any], console: Console) -> None:
    figures = f"p50 {found['p50_ms']} ms, p99 {found['p99_ms']} ms ({found['rows']} rows)"
    console.print(f"log() to visible under little load: {figures}\n")


def _live(found: Mapping[str, Any], console: Console) -> None:
    latency = found["latency"]
    stages = {"log() to message": latency, **latency["stages"]}
    rows = [(name, one["p50_ms"], one["p95_ms"], one["most_ms"]) for name, one in stages.items()]
    _table(f"A point under little load ({latency['rows']} rows), ms", ("", "p50", "p95", "most"), rows, console)
    rows = [
        (
            f"{name}, turn {number}",
            turn["ratio"],
            *(turn[way]["points_per_s"] for way in ("beside", "without")),
            *(turn["beside"][counted] for counted in ("tails", "too_many", "bytes")),
        )
        for name, one in found["ingest"].items()
        for number, turn in enumerate(one["turns"], start=1)
    ]
    columns = ("streams with", "ratio", "points/s beside", "without", "tails", "too many", "bytes")
    _table("Ingest beside live streams", columns, rows, console)


def _comet(found: Mapping[str, Any], console: Console) -> None:
    rows = []
    for name, requested in {**found, **found["project"]}.items():
        if isinstance(requested, Mapping) and "ways" in requested:
            rows.append(
                (
                    f"{name} ({requested['found']:,})",
                    "the engine alone",
                    requested["engine_ms"],
                    1.0,
                    requested["engine_cpu_ms"],
                )
            )
            keys: tuple[str, ...] = ("ms", "of_engine", "server_cpu_ms", "requests", "bytes", "same")
            rows.extend(("", way, *(figures[key] for key in keys)) for way, figures in requested["ways"].items())
    columns: tuple[str, ...] = (
        "read (what it finds)",
        "way",
        "ms",
        "of engine",
        "CPU ms there",
        "requests",
        "bytes",
        "same",
    )
    title = f"Comet's reads; comet_ml {found['comet_ml']}; {found['project']['runs']:,} runs are queried"
    _table(title, columns, rows, console)
    live, rest = found["live"], found["live"]["rest"]
    keys = ("points", "logged_per_s", "points_per_s", "missing", "client_cpu_us_per_point")
    keys = (*keys, *(f"{side}_cpu_us_per_point" for side in ("server", "paced", "native", "raw")))
    turns = [(f"turn {number}", *(turn[key] for key in keys)) for number, turn in enumerate(live["turns"], start=1)]
    columns = (
        "",
        "points",
        "logged/s",
        "visible/s",
        "missing",
        "client",
        "server",
        "native at this pace",
        "at full speed",
        "raw insert",
    )
    _table(f"{live['processes']} comet_ml.Experiment at full speed; right: CPU us a point", columns, turns, console)
    console.print(
        f"log_metric by REST: {rest['calls_per_s']} calls/s, {rest['server_cpu_ms_per_call']} ms of CPU a call, "
        f"{rest['missing']} missing\n"
    )
