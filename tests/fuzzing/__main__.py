"""`python -m fuzzing`: see `make fuzz`."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from fuzzing import cases, pool
from fuzzing.attacking import SERVED, attack, replay_on_server
from fuzzing.cases import MOST_REFERENCES, Case, Finding, Target, attempt, case_of, measured, reference_s
from fuzzing.targets import PURE

_ALL: Final = (*PURE, *SERVED)
_SERVED_NAMES: Final = frozenset(target.name for target in SERVED)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if nothing was found, 1 if something was, 2 for arguments that cannot be."""
    options = _options(arguments)
    chosen = _chosen(options.only)
    if options.replay:
        return _replay(chosen, Path(options.replay))
    if options.at is not None:
        return _one(chosen, options.seed, options.at, Path(options.found))
    begin_s = time.monotonic()
    counts = shares(chosen, options.n)
    print(f"seed {options.seed}: " + ", ".join(f"{name} {count}" for name, count in counts.items()), flush=True)
    findings, kinds = run(chosen, counts, options.seed, options.jobs)
    seconds = time.monotonic() - begin_s
    total = sum(counts.values())
    print(f"{total} cases in {seconds:.0f} s ({total / seconds:.0f} a second), {sum(kinds.values())} with a fault")
    for (name, kind), count in sorted(kinds.items()):
        print(f"  {name}: {kind}: {count}")
    for found in findings:
        tell(found, Path(options.found))
    return 1 if kinds else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzzing")
    parser.add_argument("--n", type=int, default=100_000, help="cases, of all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="targets, comma-separated")
    parser.add_argument("--jobs", type=int, default=2, help="processes for the targets without a server")
    parser.add_argument("--at", type=int, help="only the case with this number, of one target")
    parser.add_argument("--replay", help="an input in a file, for one target")
    parser.add_argument("--found", default="fuzz-out", help="where inputs with faults are saved")
    return parser.parse_args(arguments)


def _chosen(only: str) -> list[Target]:
    names = [name for name in only.split(",") if name]
    known = {target.name: target for target in _ALL}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no such target: {', '.join(unknown)}; there are {', '.join(known)}")
        raise SystemExit(2)
    return [known[name] for name in names] if names else list(known.values())


def shares(targets: Sequence[Target], total: int) -> dict[str, int]:
    """How many cases each target gets; together at least `total`."""
    weights = sum(target.weight for target in targets)
    return {target.name: -(-total * target.weight // weights) for target in targets}


def run(
    targets: Sequence[Target], counts: dict[str, int], seed: int, jobs: int
) -> tuple[list[Finding], Counter[tuple[str, str]]]:
    """Run them: first those without a server, then those with one, which needs the processors for itself."""
    findings: list[Finding] = []
    kinds: Counter[tuple[str, str]] = Counter()
    stretches = [
        stretch
        for target in targets
        if target.name not in _SERVED_NAMES
        for stretch in pool.split(target, seed, counts[target.name], jobs)
    ]
    if stretches:
        with ThreadPoolExecutor(jobs) as threads:
            for outcome in threads.map(pool.in_child, [stretches[first::jobs] for first in range(jobs)]):
                findings += outcome.findings
                kinds.update(outcome.counts)
    served = [target for target in targets if target.name in _SERVED_NAMES]
    if served:
        found, told = attack(served, counts, seed)
        findings += found
        kinds.update(told)
    return _first_of_each(findings), kinds


def _first_of_each(findings: Sequence[Finding]) -> list[Finding]:
    """One finding of each target and kind."""
    first: dict[tuple[str, str], Finding] = {}
    for found in findings:
        first.setdefault((found.case.target, found.kind), found)
    return list(first.values())


def tell(found: Finding, folder: Path) -> Path:
    """Save the smallest input with the fault, and say how to have it again."""
    data = found.case.data if found.case.target in _SERVED_NAMES else pool.shrunk(found)
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (path := folder / f"{found.case.target}-{number}.bin").exists():
        number += 1
    path.write_bytes(data)
    print(f"FAULT {found.case.target} seed {found.case.seed} number {found.case.number}: {found.kind}")
    print(f"  {found.detail[:600]}")
    print(f"  again: {found.case.command}")
    print(f"  smallest input ({len(data)} of {len(found.case.data)} bytes): {path}: {data[:160]!r}", flush=True)
    return path


def _one(chosen: Sequence[Target], seed: int, number: int, folder: Path) -> int:
    if len(chosen) != 1:
        print("AT needs one target: ONLY=NAME")
        return 2
    case = case_of(chosen[0], seed, number)
    found = _tried(chosen[0], case)
    if found is None:
        print(f"{case.target} seed {seed} number {number}: no fault ({len(case.data)} bytes: {case.data[:200]!r})")
        return 0
    tell(found, folder)
    return 1


def _replay(chosen: Sequence[Target], path: Path) -> int:
    if len(chosen) != 1:
        print("a file needs one target: ONLY=NAME")
        return 2
    found = _tried(chosen[0], Case(chosen[0].name, -1, -1, path.read_bytes()))
    print(f"{path}: {'no fault' if found is None else f'{found.kind}: {found.detail[:2000]}'}")
    return 0 if found is None else 1


def _tried(target: Target, case: Case) -> Finding | None:
    if target.name in _SERVED_NAMES:
        return replay_on_server(case)
    cases.limit_memory(pool.MORE_BYTES)
    return attempt(target, case) or measured(target, case, reference_s() * MOST_REFERENCES)


if __name__ == "__main__":
    sys.exit(main())
