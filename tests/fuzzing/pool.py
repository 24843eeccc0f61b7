"""Cases of the pure targets in processes of their own: one that dies, or takes all memory, is a fault and no end."""

import contextlib
import importlib
import json
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

from fuzzing import cases
from fuzzing.cases import Case, Finding, Target, case_of
from fuzzing.shrinking import smallest

#: Where children find their targets (tests of the harness have others).
TARGETS: Final = "fuzzing.targets"
#: Cases between two looks at the memory of the process.
CHUNK: Final = 100
#: A process may map this much more than it has at its start: what takes all of it gets a MemoryError.
MORE_BYTES: Final = 3 << 30
#: No case takes longer than `cases.LONGEST_S` of processor time; a child that says nothing for so long is stuck in C,
#: on a machine that is busy.
_SILENCE_S: Final = 300.0
#: What a child leaves where its parent finds it after its death: which of its stretches, and which case of it.
_MARK: Final = struct.Struct("<qq")
_NONE: Final = -1
#: Findings of one kind that are told; the rest are counted.
_TOLD: Final = 2


@dataclass(frozen=True, slots=True)
class Stretch:
    """Cases [begin, end) of a target."""

    target: str
    seed: int
    begin: int
    end: int


def target_named(name: str, module: str = TARGETS) -> Target:
    """The target of that name among `PURE` of a module."""
    for target in importlib.import_module(module).PURE:
        if target.name == name:
            return cast("Target", target)
    raise LookupError(f"{module} has no target {name!r}")


class MemoryWatch:
    """The peak of this process's resident memory since the last look."""

    def __init__(self) -> None:
        self._reset = Path("/proc/self/clear_refs")

    def begin(self) -> int:
        """Forget the peak; returns what is resident now."""
        self._reset.write_text("5")
        return self._peak()

    def grown(self, begin: int) -> int:
        return self._peak() - begin

    def _peak(self) -> int:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return 0


def run_stretch(target: Target, stretch: Stretch, at: Callable[[int], None] = lambda number: None) -> Iterator[Finding]:
    """Run its cases. `at` is told each number before it begins; _NONE in between. Main thread only."""
    watch = MemoryWatch()
    slowest_s = cases.reference_s() * cases.MOST_REFERENCES
    for begin in range(stretch.begin, stretch.end, CHUNK):
        memory = watch.begin()
        suspects: list[Case] = []
        allowed = 0
        for number in range(begin, min(begin + CHUNK, stretch.end)):
            at(number)
            case = case_of(target, stretch.seed, number)
            allowed = max(allowed, target.memory_of(case.data))
            started_s = time.thread_time()
            found = cases.attempt(target, case)
            if time.thread_time() - started_s > slowest_s:
                suspects.append(case)
            if found is not None:
                yield found
        if watch.grown(memory) > cases.FREE_BYTES + allowed:
            numbers = range(begin, min(begin + CHUNK, stretch.end))
            suspects = [case_of(target, stretch.seed, number) for number in numbers]
        for case in suspects:
            at(case.number)
            found = cases.measured(target, case, slowest_s)
            if found is not None:
                yield found
        at(_NONE)


def child(stretches: Sequence[Stretch], mark_path: str, module: str) -> None:
    """The child's side: findings as lines of JSON on stdout, and a line at the end of each stretch."""
    with open(mark_path, "r+b") as file:
        mark = mmap.mmap(file.fileno(), _MARK.size)
    cases.limit_memory(MORE_BYTES)
    for index, stretch in enumerate(stretches):

        def at(number: int, index: int = index) -> None:
            mark[:] = _MARK.pack(index, number)

        told: dict[str, int] = {}
        for found in run_stretch(target_named(stretch.target, module), stretch, at):
            told[found.kind] = told.get(found.kind, 0) + 1
            if told[found.kind] <= _TOLD:
                fields = {"index": index, "number": found.case.number, "kind": found.kind, "detail": found.detail}
                print(json.dumps(fields), flush=True)
        print(json.dumps({"index": index, "counts": told}), flush=True)


@dataclass(slots=True)
class Outcome:
    """Findings (two of a kind and stretch at most), and how often each (target, kind) came."""

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)


def _environment() -> dict[str, str]:
    """This process's, with the places that it imports from."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def in_child(stretches: Sequence[Stretch], module: str = TARGETS) -> Outcome:
    """Run stretches in a process of its own, and go on in another behind a case that killed it."""
    outcome = Outcome()
    rest = list(stretches)
    while rest:
        died_at = _one_child(rest, outcome, module)
        if died_at is None:
            break
        index, number = died_at
        behind = replace(rest[index], begin=number + 1)
        rest = [one for one in (behind, *rest[index + 1 :]) if one.begin < one.end]
    return outcome


def _one_child(stretches: Sequence[Stretch], outcome: Outcome, module: str) -> tuple[int, int] | None:
    """The stretch and the case that the child died at; None if it came to its end."""
    cases_count = sum(one.end - one.begin for one in stretches)
    with tempfile.NamedTemporaryFile() as mark:
        mark.write(_MARK.pack(0, _NONE))
        mark.flush()
        described = json.dumps([[one.target, one.seed, one.begin, one.end] for one in stretches])
        command = [sys.executable, "-m", "fuzzing.child", "run", described, mark.name, module]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environment()
        )
        try:
            told, errors = process.communicate(timeout=_SILENCE_S + cases_count * 0.2)
        except subprocess.TimeoutExpired:
            process.kill()
            told, errors = process.communicate()
        index, number = _MARK.unpack(Path(mark.name).read_bytes())
    _take(told, stretches, outcome, module)
    if process.returncode == 0:
        return None
    if number == _NONE:
        raise RuntimeError(
            f"a child for {stretches} ended with {process.returncode} outside of a case: {errors[-2000:]}"
        )
    target = target_named(stretches[index].target, module)
    kind = f"process ended with {process.returncode}"
    outcome.findings.append(Finding(case_of(target, stretches[index].seed, number), kind, errors[-1000:]))
    outcome.counts[target.name, kind] += 1
    return int(index), int(number)


def _take(told: str, stretches: Sequence[Stretch], outcome: Outcome, module: str) -> None:
    """What a child wrote. Of a stretch that it died in the counts are those that it told."""
    for line in told.splitlines():
        fields = json.loads(line)
        stretch = stretches[fields["index"]]
        if "counts" in fields:
            outcome.counts.update({(stretch.target, kind): count for kind, count in fields["counts"].items()})
        else:
            case = case_of(target_named(stretch.target, module), stretch.seed, fields["number"])
            outcome.findings.append(Finding(case, fields["kind"], fields["detail"]))


def shrunk(found: Finding) -> bytes:
    """The smallest input with the same fault: looked for in a child, within a bound of time."""
    with tempfile.TemporaryDirectory() as scratch:
        source, result = Path(scratch) / "input", Path(scratch) / "smaller"
        source.write_bytes(found.case.data)
        command = [
            sys.executable,
            "-m",
            "fuzzing.child",
            "shrink",
            found.case.target,
            str(source),
            str(result),
            found.kind,
        ]
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, timeout=120, capture_output=True, check=False, env=_environment())
        return result.read_bytes() if result.exists() else found.case.data


def shrink_in_child(name: str, source: str, result: str, kind: str) -> None:
    """The child's side of `shrunk`: writes what it has so far whenever it became smaller."""
    cases.limit_memory(MORE_BYTES)
    target = target_named(name)
    slowest_s = cases.reference_s() * cases.MOST_REFERENCES

    def is_same(data: bytes) -> bool:
        case = Case(name, -1, -1, data)
        found = cases.measured(target, case, slowest_s) if kind in ("memory", "slow") else cases.attempt(target, case)
        if found is None or found.kind != kind:
            return False
        Path(f"{result}.new").write_bytes(data)
        os.replace(f"{result}.new", result)
        return True

    smallest(Path(source).read_bytes(), is_same, target.repair, target.simpler)


def replayed(paths: Sequence[Path]) -> dict[str, str]:
    """What inputs in files named TARGET.WHAT.bin do, by name of the file: "" for no fault. In a process of its own."""
    command = [sys.executable, "-m", "fuzzing.child", "replay", *map(str, paths)]
    told: dict[str, str] = {}
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    for line in process.stdout.splitlines():
        name, what = json.loads(line)
        told[name] = what
    return {path.name: told.get(path.name, f"the process ended: {process.stderr[-500:]}") for path in paths}


def replay(paths: Sequence[str]) -> None:
    """The child's side of `replayed`."""
    cases.limit_memory(MORE_BYTES)
    slowest_s = cases.reference_s() * cases.MOST_REFERENCES
    for path in map(Path, paths):
        target = target_named(path.name.split(".")[0])
        case = Case(target.name, -1, -1, path.read_bytes())
        found = cases.attempt(target, case) or cases.measured(target, case, slowest_s)
        print(json.dumps([path.name, "" if found is None else f"{found.kind}: {found.detail[:500]}"]), flush=True)


def split(target: Target, seed: int, count: int, pieces: int) -> Sequence[Stretch]:
    """Cases [0, count) as about so many stretches."""
    size = max(-(-count // max(pieces, 1)), 1)
    return [Stretch(target.name, seed, begin, min(begin + size, count)) for begin in range(0, count, size)]
