"""A training process of the ingest benchmark: `python -m bench.ingest_writer '{"load": ..., "number": 0, ...}'`.

Says `{"pid": ...}` once its runs are open, logs everything at the word `go`, says when it began and ended, and leaves
at the next word without waiting for anybody.
"""

import importlib
import json
import os
import sys
import time
from typing import Any, Final

import runstream as rs
from bench.shapes import Load, value_rows
from runstream.clock import Clock

#: Where the logged time of runs begins to differ: clocks of a fleet are not in step.
_JITTER_NS: Final = 1_700_003


class LoggedTime:
    """A clock for runs that log at 1 Hz as fast as it goes: the time that is written, not the time that passes."""

    def __init__(self) -> None:
        self.now_ns = time.time_ns()

    def clock(self) -> Clock:
        return Clock(self.read, time.monotonic)

    def read(self) -> int:
        # As much as 1 ms a call: the next row is read by a loop that does other things as well.
        self.now_ns += _JITTER_NS * (self.now_ns % 7) // 13
        return self.now_ns


def main() -> None:
    parameters = json.loads(sys.argv[1])
    load = Load(**parameters["load"])
    number: int = parameters["number"]
    logged = LoggedTime() if parameters["logged_hz"] else None
    if logged is not None:
        importlib.import_module("runstream.client.starting").__dict__["SYSTEM_CLOCK"] = logged.clock()
    runs = [
        rs.init(
            project="bench",
            name=f"run-{index}",
            url=parameters["url"],
            dir=parameters["spool"],
            mode=parameters["mode"],
            capture_console=False,
            capture_code=False,
            system_metrics_s=0,
        )
        for index in range(number, load.runs, load.processes)
    ]
    pool = value_rows(load, number)
    say({"pid": os.getpid()})
    sys.stdin.readline()
    began_s = time.time()
    log_all(load, runs, pool, logged, parameters["rows_per_s"])
    ended_s = time.time()
    say({"began_s": began_s, "ended_s": ended_s, "writers": places(runs), "runs": [run.run_id for run in runs]})
    sys.stdin.readline()
    os._exit(0)


def log_all(
    load: Load, runs: list[rs.Run], pool: list[dict[str, float]], logged: LoggedTime | None, rows_per_s: float | None
) -> None:
    """Every run logs a row, then every run the next one. Each run goes through the pool with a stride of its own."""
    if len(runs) == 1 and logged is None and rows_per_s is None:
        log, size = runs[0].log, len(pool)
        for step in range(load.rows):
            log(pool[step % size], step=step)
        return
    began_s = time.monotonic()
    for step in range(load.rows):
        for index, run in enumerate(runs):
            run.log(pool[(index * 7919 + step * (2 * index + 1)) % len(pool)], step=step)
        if logged is not None:
            logged.now_ns += 1_000_000_000
        if rows_per_s is not None:
            time.sleep(max(0.0, began_s + (step + 1) / rows_per_s - time.monotonic()))


def places(runs: list[rs.Run]) -> dict[str, int]:
    """Each writer's folder and the number that it will be acknowledged up to."""
    found: dict[str, Any] = {str(run.spool_folder): run._writer.next_seq for run in runs}
    return found


def say(fields: dict[str, Any]) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
