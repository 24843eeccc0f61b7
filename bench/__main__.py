"""Benchmarks: `python -m bench [PART ...] [--quick] [--json FILE]`. docs/benchmarks.md says what each part is.

Parts: log, ingest, reads, freshness (these four if none is named); comet, which first makes an environment for Comet's
client; live, streams that follow curves; and append, folds, tables, which measure a piece by itself. Machines differ
and are shared: look at ratios within one run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console

from bench import comet, freshness, ingest, live, log_calls, reads
from bench.processes import ROOT, Failed
from bench.report import show

Say = Callable[[str], None]
DEFAULT_PARTS: Final = ("log", "ingest", "reads", "freshness")
DEFAULT_JSON: Final = ROOT / "bench-out" / "results.json"


def _script(name: str, *arguments: str) -> Any:
    """The JSON that one of the scripts of this folder writes to its standard output."""
    command = [sys.executable, "-m", f"bench.{name}", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise Failed(f"bench.{name} ended with {done.returncode}")
    return json.loads(done.stdout)


def parts(quick: bool, say: Say) -> dict[str, Callable[[], Any]]:
    """Name -> what measures it."""
    return {
        "log": lambda: log_calls.measure(log_calls.plan(quick), say),
        "ingest": lambda: ingest.measure(ingest.plan(quick), say),
        "reads": lambda: reads.measure(reads.plan(quick), say),
        "freshness": lambda: freshness.measure(20 if quick else 200, say),
        "comet": lambda: comet.measure(comet.plan(quick), say),
        "live": lambda: live.measure(live.plan(quick), say),
        "append": lambda: _script("log_append", "--seconds", "0.5" if quick else "3"),
        "folds": lambda: _script("folds", "--json", "--repeat", "1" if quick else "5"),
        "tables": lambda: _script(
            "tables", "--points", "2" if quick else "20", *(("--only", "shipped") if quick else ())
        ),
    }


def machine() -> dict[str, Any]:
    """What it ran on, as far as it explains figures."""
    return {
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_before": os.getloadavg(),
    }


def main() -> int:
    """0 when all parts were measured, 1 when one could not be."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"default: {' '.join(DEFAULT_PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, one turn: to see that it runs")
    parser.add_argument(
        "--json", type=Path, default=DEFAULT_JSON, metavar="FILE", help="default: bench-out/results.json"
    )
    parser.add_argument("--directory", type=Path, help="where the data go; default: the system's temporary folder")
    given = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    known = parts(given.quick, lambda line: console.print(line, markup=False, soft_wrap=True))
    wanted = given.parts or DEFAULT_PARTS
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"unknown part {unknown[0]!r}: there are {', '.join(known)}")
    if given.directory is not None:
        tempfile.tempdir = str(given.directory.absolute())
    results: dict[str, Any] = {"machine": machine()}
    try:
        for name in wanted:
            results[name] = known[name]()
    except Failed as error:
        console.print(f"bench: {error}", style="bold red", markup=False)
        return 1
    finally:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(results, indent=1) + "\n")
    show(results, Console(highlight=False, width=max(Console().width, 130)))
    console.print(f"all figures: {given.json}", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
