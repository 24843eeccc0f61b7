"""One tracker, one loop: what a call that logs some scalars costs. Run by bench.log_calls, in a process of its own.

    python bench/log_loop.py '{"tracker": "wandb", "scalars": 10, "calls": 20000, "seconds": 10, "folder": F, "url": U}'

Needs nothing but the standard library and the tracker, so that it runs in any environment. Every call is timed by
itself; `timer_us` is what the two looks at the clock take, and is contained in every figure. `mean_us` comes from a
second loop that looks at the clock only at its ends. A peer's call is whatever its documentation says to do in each
step of training with all scalars of that step.
"""

import array
import json
import mmap
import os
import struct
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

Row = dict[str, float]
#: (scalars by name, step)
Log = Callable[[Row, int], object]
Durations: TypeAlias = "array.array[int]"

WARM_UP_CALLS = 200
#: Different rows, so that no call finds the values of the one before.
POOL = 1000


def rows_of(scalars: int) -> list[Row]:
    names = [f"train/metric_{number}" for number in range(scalars)]
    return [{name: (17 * at + number) % 101 / 7 for number, name in enumerate(names)} for at in range(POOL)]


def runstream(parameters: dict[str, Any]) -> Log:
    import runstream as rs

    run = rs.init(
        project="bench",
        url=parameters["url"],
        dir=parameters["folder"],
        capture_console=False,
        capture_code=False,
        system_metrics_s=0,
    )
    return run.log


def tensorboardx(parameters: dict[str, Any]) -> Log:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(parameters["folder"])

    def log(row: Row, step: int) -> None:
        for name, value in row.items():
            writer.add_scalar(name, value, step)

    return log


def wandb(parameters: dict[str, Any]) -> Log:
    import wandb

    run = wandb.init(mode="offline", project="bench", dir=parameters["folder"], settings=wandb.Settings(silent=True))
    return lambda row, step: run.log(row, step=step)


def mlflow(parameters: dict[str, Any]) -> Log:
    # The file store has to be asked for since it is no longer the default.
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    import mlflow

    mlflow.set_tracking_uri(Path(parameters["folder"]).as_uri())
    mlflow.set_experiment("bench")
    mlflow.start_run()
    return lambda row, step: mlflow.log_metrics(row, step=step)


def trackio(parameters: dict[str, Any]) -> Log:
    os.environ["TRACKIO_DIR"] = parameters["folder"]
    import trackio

    run = trackio.init(project="bench", embed=False)
    return lambda row, step: run.log(row, step=step)


def aim(parameters: dict[str, Any]) -> Log:
    from aim import Run

    run = Run(repo=parameters["folder"], system_tracking_interval=None, capture_terminal_logs=False)

    def log(row: Row, step: int) -> None:
        for name, value in row.items():
            run.track(value, name=name, step=step)

    return log


#: Our name -> (package that has the version, how to start).
TRACKERS: dict[str, tuple[str, Callable[[dict[str, Any]], Log]]] = {
    "runstream": ("runstream", runstream),
    "tensorboardX": ("tensorboardX", tensorboardx),
    "wandb": ("wandb", wandb),
    "mlflow": ("mlflow", mlflow),
    "trackio": ("trackio", trackio),
    "aim": ("aim", aim),
}


def timed(log: Log, rows: list[Row], first: int, calls: int, seconds: float) -> Durations:
    """Nanoseconds of each call from step `first` on, until there are enough calls or the time is up."""
    clock = time.perf_counter_ns
    durations = array.array("q", bytes(8 * calls))
    until = clock() + int(seconds * 1e9)
    for number in range(calls):
        row, step = rows[number % POOL], first + number
        begin = clock()
        log(row, step)
        end = clock()
        durations[number] = end - begin
        if end > until:
            return durations[: number + 1]
    return durations


def untimed(log: Log, rows: list[Row], first: int, calls: int) -> float:
    """Nanoseconds a call."""
    begin = time.perf_counter_ns()
    for step in range(first, first + calls):
        log(rows[step % POOL], step)
    return (time.perf_counter_ns() - begin) / calls


def timed_floor(folder: str, scalars: int, calls: int) -> tuple[Durations, float]:
    """The least that anybody can do: pack the scalars into a mapped file, with nothing around it."""
    clock = time.perf_counter_ns
    row_struct = struct.Struct(f"<{scalars}d")
    size, values = row_struct.size, [tuple(row.values()) for row in rows_of(scalars)]
    durations = array.array("q", bytes(8 * calls))
    pack_into, total = row_struct.pack_into, size * calls
    with open(Path(folder) / "floor", "w+b") as file:
        os.posix_fallocate(file.fileno(), 0, total)
        buffer = mmap.mmap(file.fileno(), total)
    for step in range(calls):
        row, offset = values[step % POOL], step * size
        begin = clock()
        pack_into(buffer, offset, *row)
        durations[step] = clock() - begin
    begin = clock()
    for step in range(calls):
        pack_into(buffer, step * size, *values[step % POOL])
    return durations, (clock() - begin) / calls


def timed_nothing(calls: int) -> Durations:
    clock = time.perf_counter_ns
    durations = array.array("q", bytes(8 * calls))
    for step in range(calls):
        begin = clock()
        durations[step] = clock() - begin
    return durations


def summary(durations: Durations) -> dict[str, Any]:
    """Microseconds: 50, 99 and 99.9 % of the calls are at least this fast, and the slowest."""
    ordered = sorted(durations)

    def at(share: float) -> float:
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] / 1e3

    return {"calls": len(ordered), "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "most_us": at(1.0)}


def main() -> None:
    parameters = json.loads(sys.argv[1])
    tracker, scalars, calls = parameters["tracker"], parameters["scalars"], parameters["calls"]
    if tracker == "floor":
        durations, mean_ns = timed_floor(parameters["folder"], scalars, calls)
        found = summary(durations) | {"version": sys.version.split()[0]}
    else:
        package, start = TRACKERS[tracker]
        log, rows = start(parameters), rows_of(scalars)
        for step in range(WARM_UP_CALLS):
            log(rows[step], step)
        durations = timed(log, rows, WARM_UP_CALLS, calls, parameters["seconds"])
        found = summary(durations) | {"version": metadata.version(package)}
        again = min(len(durations), 100_000)
        mean_ns = untimed(log, rows, WARM_UP_CALLS + len(durations), again)
    found["mean_us"] = mean_ns / 1e3
    found["timer_us"] = summary(timed_nothing(10_000))["p50_us"]
    # The tracker may print on its own; the result is the last line.
    sys.stdout.write("\n" + json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
