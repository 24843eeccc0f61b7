"""Trainers to be killed: a process that forks one for each line it reads, and what each of them logs.

Arguments: SPOOL URL PROGRESS_DIR. A line is a trainer's number; the response is its pid. Forking from a process that
has imported the SDK costs 10 ms where a new interpreter costs half a second, and `init` runs anew in each. What a
trainer's calls returned for stands in a mapped file that outlives it.
"""

import mmap
import os
import random
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

#: A trainer that gets this far finishes its run.
CALLS = 2_500
_PROGRESS = struct.Struct("<QQ")


@dataclass(frozen=True)
class Progress:
    """How many calls of `log` and of `log_other` returned."""

    rows: int
    others: int
    finished: bool


def run_id(trainer: int) -> str:
    return f"trainer-{trainer:05d}"


def row(trainer: int, call: int) -> dict[str, float]:
    """What the call logs: mostly the same metrics, now and then others, now and then some that never come again."""
    base = trainer * 1e6 + call
    if call % 37 == 36:
        return {f"rare/{call}": base, f"rare/{call + 1}": float("nan")}
    if call % 10 == 9:
        return {"eval/loss": base + 0.5, "eval/accuracy": float("-inf")}
    return {f"m{i}": base + i / 4 for i in range(1 + trainer % 12)}


def logs_other(call: int) -> bool:
    return call % 50 == 49


def read_progress(path: Path) -> Progress:
    content = path.read_bytes()[: _PROGRESS.size]
    # A trainer that was killed right after it made the file has not logged anything.
    rows, others = _PROGRESS.unpack(content) if content else (0, 0)
    return Progress(rows, others, path.with_suffix(".finished").exists())


def train(trainer: int, spool: Path, url: str, progress: Path) -> None:
    import runstream as rs

    noise = random.Random(trainer)
    path = progress / f"{trainer}.progress"
    path.write_bytes(bytes(mmap.PAGESIZE))
    with path.open("r+b") as file:
        returned = mmap.mmap(file.fileno(), mmap.PAGESIZE)
    run = rs.init(
        project="kills",
        run_id=run_id(trainer),
        url=url,
        dir=spool,
        capture_console=False,
        capture_code=False,
        system_metrics_s=0,
    )
    rows = others = 0
    while rows < CALLS:
        for _ in range(min(noise.choice([1, 3, 20, 150, 700]), CALLS - rows)):
            run.log(row(trainer, rows), step=rows)
            rows += 1
            _PROGRESS.pack_into(returned, 0, rows, others)
            if logs_other(rows - 1):
                run.log_other("mark", rows)
                others += 1
                _PROGRESS.pack_into(returned, 0, rows, others)
        time.sleep(noise.random() * 0.04)
    run.finish()
    path.with_suffix(".finished").touch()


def main() -> None:
    spool, url, progress = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    import signal

    import runstream.client.starting  # noqa: F401  so that no trainer has to

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: a killed trainer is gone at once
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            train(int(line), spool, url, progress)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
