"""The cluster form on one machine: `python -m bench.cluster [--quick] [--json FILE]`; docs/benchmarks.md has figures.

Trainers, gateway, Kafka, workers, ClickHouse (the development server) and the query server share the cores here, so
points a second with 1, 2 and 4 workers say what a point costs in all and where, not how a cluster scales. Beside them,
in the same run: Kafka's own producer tool on as many bytes, and a raw insert of the same rows into the same table.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from bench.cluster_probes import background, probing
from bench.cluster_started import Cluster, running
from bench.ingest import Trainers, fresh, trainers
from bench.many_runs import post
from bench.processes import ROOT, Failed, wait_until
from bench.raw_insert import BLOCK_POINTS
from bench.shapes import Load
from runstream.events.control import RunStarted, encode_event
from runstream.events.encoding import encode_events, encode_frame, heartbeat
from runstream.ids import uuid7_hex
from runstream.sender.writers import HEARTBEAT_S
from runstream_infra.kafka.libs import find_java, find_libs

Say = Callable[[str], None]
DEFAULT_JSON: Final = ROOT / "bench-out" / "cluster.json"
#: What a sender's request mostly weighs when much waits.
_RECORD_BYTES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a full or a quick run."""

    load: Load
    workers: tuple[int, ...]
    seconds: float
    kills: int
    quiet_runs: int


def plan(quick: bool) -> Plan:
    if quick:
        return Plan(Load("4 writers x 10 metrics", 4, 4, 10, 10_000, 5_000), (1,), 5.0, 1, 200)
    return Plan(Load("8 writers x 10 metrics", 8, 8, 10, 100_000, 40_000), (1, 2, 4), 20.0, 3, 10_000)


def throughput(what: Plan, workers: int, base: Path, *, with_raw: bool) -> dict[str, Any]:
    """Points a second from the first log() until all are visible, and CPU a point by role."""
    with running(base / f"workers-{workers}", workers) as cluster:
        with trainers(what.load, cluster.url, "online", fresh(base / "trainers")) as found:
            before, points = cluster.cpu_s(), what.load.points
            found.log()
            _until_visible(cluster, found, points)
            seconds = time.time() - found.began_s
            used = {role: cpu - before.get(role, 0.0) for role, cpu in cluster.cpu_s().items()}
        result: dict[str, Any] = {
            "workers": workers,
            "points": points,
            "seconds": round(seconds, 3),
            "points_per_s": round(points / seconds),
            "cpu_us_per_point": {role: round(1e6 * spent / points, 3) for role, spent in sorted(used.items())},
        }
        if with_raw:
            result["raw"] = _raw_insert(cluster, points)
            result["kafka"] = _kafka_alone(cluster, base)
        return result


def _until_visible(cluster: Cluster, found: Trainers, points: int) -> None:
    wait_until(found.acknowledged, "acknowledgement", 0.1)
    wait_until(lambda: cluster.lag_records() == 0, "visibility", 0.1)
    if (there := cluster.points()) != points:
        raise Failed(f"{there} points are in the table, {points} were logged")


def _raw_insert(cluster: Cluster, points: int) -> dict[str, Any]:
    """`insert_arrow` of the same rows, over HTTP, into a table of the same definition beside it."""
    client = cluster.clickhouse()
    rows = client.query_arrow("SELECT * FROM points ORDER BY run, metric, step", use_strings=True)
    blocks = [rows.slice(begin, BLOCK_POINTS) for begin in range(0, rows.num_rows, BLOCK_POINTS)]
    client.command("CREATE TABLE points_raw AS points")
    began_s = time.perf_counter()
    for block in blocks:
        client.insert_arrow("points_raw", pa.table(block))
    seconds = time.perf_counter() - began_s
    client.close()
    return {"seconds": round(seconds, 3), "points_per_s": round(points / seconds)}


def _kafka_alone(cluster: Cluster, base: Path) -> dict[str, Any]:
    """Kafka's own producer on as many bytes as the log of the run has."""
    size = sum(path.stat().st_size for path in (cluster.data_dir / "kafka").rglob("runstream-frames-*/*.log"))
    [address] = [process["address"] for process in cluster.processes() if process["role"] == "kafka"]
    records = max(1, size // _RECORD_BYTES)
    java = [str(find_java()), "-Xmx256m", "-cp", f"{find_libs()}/*"]
    topic = "raw-bytes"
    created = [
        *java,
        "org.apache.kafka.tools.TopicCommand",
        "--bootstrap-server",
        address,
        "--create",
        "--topic",
        topic,
    ]
    subprocess.run([*created, "--partitions", "4"], check=True, capture_output=True, timeout=120)
    tool = [*java, "org.apache.kafka.tools.ProducerPerformance", "--topic", topic, "--throughput", "-1"]
    tool += ["--num-records", str(records), "--record-size", str(_RECORD_BYTES)]
    tool += ["--bootstrap-server", address, "--command-property", "acks=all"]
    done = subprocess.run(tool, capture_output=True, text=True, timeout=300, check=False, cwd=base)
    if done.returncode:
        raise Failed(f"Kafka's producer tool failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    last = done.stdout.strip().splitlines()[-1]
    mb_per_s = float(last.split("(")[1].split(" MB/sec")[0])
    return {"bytes": size, "mb_per_s": mb_per_s, "seconds": round(size / 1e6 / mb_per_s, 3)}


def freshness(what: Plan, rows_per_s: float, base: Path) -> dict[str, Any]:
    """Time from log() to visible beside a load of `rows_per_s`, then the longest stall when a worker dies."""
    with (
        running(base / "fresh", 2) as cluster,
        background(cluster.url, rows_per_s, base) as logged,
        probing(cluster.url, base, count=4) as probes,
    ):
        probes.run(what.seconds)
        calm = probes.waited_s()
        stalls = []
        for _ in range(what.kills):
            victim = random.choice(cluster.pids("worker"))
            probes.run(1.0)
            before = len(probes.waited_s())
            os.kill(victim, signal.SIGKILL)
            probes.run(15.0)
            stalls.append(max(probes.waited_s()[before:]))
    return {
        "rows_per_s": round(logged[0] / max(logged[1], 1e-9)),
        "p50_ms": round(1e3 * statistics.median(calm)),
        "p99_ms": round(1e3 * sorted(calm)[int(0.99 * len(calm))]),
        "probes": len(calm),
        "kills": what.kills,
        "longest_stall_s": [round(stall, 2) for stall in stalls],
    }


def quiet(what: Plan, base: Path) -> dict[str, Any]:
    """CPU of a cluster whose runs only beat, as cores by role, beside one without any."""
    with running(base / "quiet", 2) as cluster:
        idle = _cores(cluster, what.seconds, lambda: None)
        writers = [
            (uuid7_hex(number, random.randbytes(10)), uuid7_hex(number, random.randbytes(10)))
            for number in range(what.quiet_runs)
        ]
        started = [
            encode_frame(writer, run, 0, 1, encode_events([(0, encode_event(_started(number)))]))
            for number, (writer, run) in enumerate(writers)
        ]
        _send(cluster.url, started)
        wait_until(lambda: cluster.lag_records() == 0, "visibility", 0.2)
        beats = [heartbeat(writer, run, 1) for writer, run in writers]

        def beat() -> None:
            _send(cluster.url, beats)

        beating = _cores(cluster, what.seconds, beat)
        wait_until(lambda: cluster.lag_records() == 0, "visibility", 0.2)
    return {"runs": what.quiet_runs, "beat_every_s": HEARTBEAT_S, "idle_cores": idle, "beating_cores": beating}


def _started(number: int) -> RunStarted:
    return RunStarted(at_us=time.time_ns() // 1000, workspace="default", project="quiet", name=f"quiet-{number}")


def _send(url: str, frames: Sequence[bytes]) -> None:
    for begin in range(0, len(frames), 1000):
        post(url, frames[begin : begin + 1000])


def _cores(cluster: Cluster, seconds: float, beat: Callable[[], None]) -> dict[str, float]:
    """Cores in use by role, over whole periods of a heartbeat, each of which begins with `beat`."""
    before, began_s = cluster.cpu_s(), time.monotonic()
    while time.monotonic() - began_s < max(seconds, 2 * HEARTBEAT_S):
        next_s = time.monotonic() + HEARTBEAT_S
        beat()
        time.sleep(max(0.0, next_s - time.monotonic()))
    seconds = time.monotonic() - began_s
    return {role: round((cpu - before.get(role, 0.0)) / seconds, 4) for role, cpu in sorted(cluster.cpu_s().items())}


def measure(what: Plan, say: Say) -> dict[str, Any]:
    """All of it. Blocks for minutes."""
    found: dict[str, Any] = {"throughput": []}
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name:
        base = Path(name)
        for workers in what.workers:
            result = throughput(what, workers, base, with_raw=workers == what.workers[0])
            found["throughput"].append(result)
            say(f"{workers} workers: {result['points_per_s']:,} points/s")
        half = found["throughput"][0]["points_per_s"] / 2 / 10
        found["freshness"] = freshness(what, min(half, 20_000.0), base)
        say(f"log() to visible: {found['freshness']}")
        found["quiet"] = quiet(what, base)
        say(f"quiet runs: {found['quiet']}")
    return found


def show(found: dict[str, Any], console: Console) -> None:
    raw, kafka = found["throughput"][0]["raw"], found["throughput"][0]["kafka"]
    roles = sorted(found["throughput"][0]["cpu_us_per_point"])
    table = Table("workers", "points/s", "of raw insert", *(f"{role} us/pt" for role in roles))
    for one in found["throughput"]:
        ratio = raw["seconds"] / one["seconds"]
        cpu = [f"{one['cpu_us_per_point'].get(role, 0.0):.3f}" for role in roles]
        table.add_row(str(one["workers"]), f"{one['points_per_s']:,}", f"{ratio:.2f}", *cpu)
    console.print(table)
    console.print(
        f"raw insert over HTTP: {raw['points_per_s']:,} points/s; Kafka's producer: {kafka['mb_per_s']} MB/s, "
        f"{kafka['seconds']} s for the log's {kafka['bytes']:,} bytes"
    )
    for part in ("freshness", "quiet"):
        console.print(f"{part}: {found[part]}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, metavar="FILE")
    given = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    try:
        found = measure(plan(given.quick), lambda line: console.print(line, markup=False, soft_wrap=True))
    except Failed as error:
        console.print(f"bench: {error}", style="bold red", markup=False)
        return 1
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(found, indent=1) + "\n")
    show(found, Console(highlight=False, width=130))
    console.print(f"all figures: {given.json}", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
