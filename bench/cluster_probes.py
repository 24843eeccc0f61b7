"""Load in the background, and probes that measure how long a value takes from `log()` to a read."""

import contextlib
import json
import random
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import runstream as rs
from bench.processes import Failed, end_sender

_LOOK_S: Final = 0.02


@contextlib.contextmanager
def background(url: str, rows_per_s: float, base: Path) -> Iterator[list[float]]:
    """Rows of ten metrics from a thread, at about that rate; the list holds rows and seconds so far."""
    spool = base / "background"
    run = rs.init(project="bench", url=url, dir=spool, capture_console=False, capture_code=False, system_metrics_s=0)
    stop, counted = threading.Event(), [0.0, 0.0]

    def log() -> None:
        began_s, step = time.monotonic(), 0
        while not stop.is_set():
            due = int((time.monotonic() - began_s) * rows_per_s)
            for number in range(step, due):
                run.log({f"m{index}": float(number + index) for index in range(10)}, step=number)
            step = max(step, due)
            counted[:] = [float(step), time.monotonic() - began_s]
            stop.wait(0.02)

    thread = threading.Thread(target=log)
    thread.start()
    try:
        yield counted
    finally:
        stop.set()
        thread.join()
        run.finish(timeout_s=60.0)
        end_sender(spool)


class Probes:
    """Runs in several partitions, each logged to and looked at again and again from a thread of its own."""

    def __init__(self, url: str, spool: Path, count: int) -> None:
        self._url = url
        self._stop = threading.Event()
        self._waited: list[float] = []
        self._lock = threading.Lock()
        self._runs = [
            rs.init(project="bench", url=url, dir=spool, capture_console=False, capture_code=False, system_metrics_s=0)
            for _ in range(count)
        ]

    def waited_s(self) -> list[float]:
        with self._lock:
            return list(self._waited)

    def run(self, seconds: float) -> None:
        self._stop.clear()
        threads = [threading.Thread(target=self._probe, args=(run,)) for run in self._runs]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self._stop.set()
        for thread in threads:
            thread.join()

    def finish(self) -> None:
        for run in self._runs:
            run.finish(timeout_s=60.0)

    def _probe(self, run: rs.Run) -> None:
        while not self._stop.is_set():
            step = (run.last_step or 0) + 1
            began_s = time.perf_counter()
            run.log({"probe": float(step)}, step=step)
            self._wait(run.run_id, step)
            with self._lock:
                self._waited.append(time.perf_counter() - began_s)
            self._stop.wait(random.uniform(0.0, 0.3))

    def _wait(self, run_id: str, step: int) -> None:
        url = f"{self._url}/api/v1/runs/{run_id}/summaries?{urllib.parse.urlencode({'metrics': 'probe'})}"
        deadline_s = time.monotonic() + 60.0
        while time.monotonic() < deadline_s:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=30) as response:
                found = json.load(response)["summaries"]
                if found and found[0]["last_step"] >= step:
                    return
            time.sleep(_LOOK_S)
        raise Failed(f"step {step} of run {run_id} was not visible within 60 s")


@contextlib.contextmanager
def probing(url: str, base: Path, count: int) -> Iterator[Probes]:
    found = Probes(url, base / "probes", count)
    try:
        yield found
    finally:
        found.finish()
        end_sender(base / "probes")
