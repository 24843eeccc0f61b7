"""How long a point takes from log() to being visible, while little is going on."""

import json
import random
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import runstream as rs
from bench.processes import Failed, end_sender, server

_LOOK_S: Final = 0.01


def measure(rows: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Log `rows` single rows at random moments, and look for each until a read shows it."""
    rng = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name:
        base = Path(name)
        with server(base / "data", base / "server.log") as (url, _):
            run = rs.init(project="bench", url=url, dir=base / "spool", capture_console=False, capture_code=False)
            try:
                run.log({"loss": 0.0}, step=0)
                _wait_for(url, run.run_id, 0)
                waited = []
                for step in range(1, rows + 1):
                    time.sleep(rng.uniform(0.0, 0.5))
                    began_s = time.perf_counter()
                    run.log({"loss": float(step)}, step=step)
                    _wait_for(url, run.run_id, step)
                    waited.append(time.perf_counter() - began_s)
                run.finish()
            finally:
                end_sender(base / "spool")
    waited.sort()
    found = {
        "rows": rows,
        "p50_ms": round(1e3 * statistics.median(waited), 1),
        "p99_ms": round(1e3 * waited[int(0.99 * len(waited))], 1),
        "most_ms": round(1e3 * waited[-1], 1),
        "looked_every_ms": 1e3 * _LOOK_S,
    }
    say(f"freshness: p50 {found['p50_ms']:.0f} ms, p99 {found['p99_ms']:.0f} ms")
    return found


def _wait_for(url: str, run_id: str, step: int) -> None:
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/api/v1/runs/{run_id}/summaries?metrics=loss", timeout=30) as response:
                summaries = json.load(response)["summaries"]
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            summaries = []
        if summaries and summaries[0]["last_step"] >= step:
            return
        time.sleep(_LOOK_S)
    raise Failed(f"step {step} of run {run_id} was not visible within 60 s")
