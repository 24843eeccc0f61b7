"""What is logged: shapes of data, and values that compress as training's do."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np


@dataclass(frozen=True, slots=True)
class Load:
    """`runs` runs in `processes` writing processes; each run logs `rows` rows of `metrics` metrics.

    pool: how many different rows a process makes beforehand. It logs them again and again, in another order for each
    run; far enough apart that no compressor on the way sees a repetition.
    """

    name: str
    processes: int
    runs: int
    metrics: int
    rows: int
    pool: int

    @property
    def points(self) -> int:
        return self.runs * self.metrics * self.rows

    def names(self) -> list[str]:
        return [f"train/layer_{number}/loss" for number in range(self.metrics)]


FULL_SPEED: Final = Load("8 writers x 10 metrics, full speed", 8, 8, 10, 250_000, 40_000)
MANY_RUNS: Final = Load("1,000 runs x 100 metrics, 1 Hz of logged time", 4, 1000, 100, 100, 2_000)


def scaled(load: Load, rows: int, runs: int | None = None) -> Load:
    """The same shape with fewer rows and, if given, fewer runs."""
    runs = load.runs if runs is None else runs
    processes = min(load.processes, runs)
    return Load(load.name, processes, runs, load.metrics, rows, min(load.pool, max(rows, 10)))


def value_rows(load: Load, seed: int) -> list[dict[str, float]]:
    """The pool of rows: float32-origin noise, smooth doubles and shares of 128 take turns, as in bench/tables.py."""
    rng = np.random.default_rng(seed)
    values = np.empty((load.pool, load.metrics))
    at = np.arange(load.pool)[:, None]
    decay = np.exp(-at / 20_000)
    noise = (rng.standard_normal(values.shape, dtype=np.float32) * np.float32(0.1)).astype(np.float64)
    values[:, 0::3] = (decay + noise[:, 0::3]).astype(np.float32)
    values[:, 1::3] = 5e-4 * (1 + np.cos(at / 6_000))
    values[:, 2::3] = np.round(np.clip(1 - decay + noise[:, 2::3] / 5, 0, 1) * 128) / 128
    names = load.names()
    rows: list[dict[str, Any]] = [dict(zip(names, row, strict=True)) for row in values.tolist()]
    return rows
