"""Workers of a sweep: python -m kit.sweeping URL SPOOL NAME [hang], which says on standard output what it does."""

import sys
import time
from typing import Any

import runstream
from runstream.sweeping.sweep import Sweep, Trial

QUIET: dict[str, Any] = {"capture_console": False, "capture_code": False, "system_metrics_s": 0}
SPACE = {"x": [1, 2, 3, 4], "y": {"min": 0, "max": 2}}


def opened(url: str, spool: str, name: str) -> Sweep:
    """The sweep of SPACE, of which all workers are told the same."""
    return runstream.sweep(name, SPACE, "loss", method="grid", project="swept", url=url, dir=spool, timeout_s=120)


def loss_of(trial: Trial) -> float:
    """What a trial logs at its end."""
    return float(abs(trial["x"] - 3) + trial["y"])


def train(trial: Trial) -> None:
    """One trial; the eighth raises."""
    with trial.run(**QUIET) as run:
        for step in range(3):
            run.log({"loss": loss_of(trial) + 2 - step}, step=step)
        if trial.number == 7:
            raise ValueError("the eighth trial fails")


def main(url: str, spool: str, name: str, behaviour: str = "") -> None:
    for trial in opened(url, spool, name):
        print("began", trial.number, trial.attempt, flush=True)
        with trial.run(**QUIET) as run:
            for step in range(3):
                run.log({"loss": loss_of(trial) + 2 - step}, step=step)
            if behaviour == "hang":
                time.sleep(600)
        print("ended", trial.number, trial.attempt, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
