"""A training process with values that anyone can compute again: kit.children.trainer URL SPOOL BURST RUN STOP SEED.

Row i of seed s has step `step_of(i)` and the values `values_of(s, i)`. It logs, in bursts of up to BURST rows, until
the file STOP exists; then it prints "FINISHED n" with the number of rows, once everything is acknowledged.
"""

import math
import random
import sys
import time
from pathlib import Path

CONTROL_EVERY = 997


def step_of(row: int) -> int:
    """Mostly ascending, sometimes back."""
    return row if row % 10 else max(0, row - 50)


def values_of(seed: int, row: int) -> dict[str, float]:
    """What row `row` logs."""
    if row % 50 == 7:
        return {"val/loss": math.sin(seed + row), "val/acc": row / 7}
    if row % 400 == 11:
        return {"loss": math.nan, f"rare/{row % 3}": math.inf if row % 2 else -0.0}
    return {"loss": 1.0 / (row + seed), "acc": row * 0.1, "grad": -float(row)}


def main(url: str, spool: str, burst: int, run_id: str, stop: Path, seed: int) -> None:
    import runstream

    pauses = random.Random(seed)
    run = runstream.init(
        project="faults", run_id=run_id, url=url, dir=spool, mode="online", system_metrics_s=0, capture_console=False
    )
    row = 0
    while not stop.exists():
        for _ in range(pauses.choice((1, 10, burst))):
            run.log(values_of(seed, row), step=step_of(row))
            if row % CONTROL_EVERY == 0:
                run.log_params({f"at.{row}": row})
            row += 1
        time.sleep(pauses.random() * 0.1)
    acknowledged = run.finish(timeout_s=120)
    print(f"FINISHED {row}" if acknowledged else "NOT ACKNOWLEDGED", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], Path(sys.argv[5]), int(sys.argv[6]))
