"""Comet's interface: what its own client reads and writes, beside other ways to the same and the engine alone."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.comet_ingest import Written, measure_ingest
from bench.comet_reads import Curves, Queried, measure_curves, measure_query


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read, what to look for, what to write."""

    curves: Curves
    queried: Queried
    written: Written


def plan(quick: bool) -> Plan:
    """A full or a quick run."""
    if quick:
        return Plan(Curves(10, 1_000, 20_000, 1, 1), Queried(2_000, 0.05, 0.005, 1, 1), Written(2, 10, 1, 1, 2_000, 1))
    return Plan(
        Curves(100, 3_000, 1_000_000, 3, 1),
        Queried(100_000, 0.005, 0.0002, 3, 3),
        Written(8, 10, 2, 5, 25_000, 3),
    )


def measure(what: Plan, say: Callable[[str], None]) -> dict[str, Any]:
    """All of it. Makes the client's environment if it is not there; blocks for minutes. Raises Failed."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name:
        found |= measure_curves(what.curves, Path(name), say)
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name:
        found["project"] = measure_query(what.queried, Path(name), say)
    with tempfile.TemporaryDirectory(prefix="runstream-bench-") as name:
        found["live"] = measure_ingest(what.written, Path(name), say)
    return found
