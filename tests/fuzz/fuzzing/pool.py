"""Cases of the pure targets in processes of their own: one that dies, or takes all memory, is a fault and no end."""

import json
import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fuzzing import cases
from fuzzing.cases import Case, Finding, Target, case_of, source_of
from fuzzing.shrinking import smallest

#: Cases between two looks at the memory of the process.
CHUNK: Final = 100
#: A process may map this much more than it has at its start: what takes all of it gets a MemoryError.
_MORE_BYTES: Final = 3 << 30
#: No case takes longer than `cases.LONGEST_S` of processor time; a child that says nothing for so long is stuck in C,
#: on a machine that is busy.
_SILENCE_S: Final = 300.0
#: What a child leaves where its parent finds it after its death: the number of the case that it is at.
_MARK: Final = struct.Struct("<q")
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


def target_named(name: str) -> Target:
    from fuzzing.targets import PURE

    for target in PURE:
        if target.name == name:
            return target
    raise SystemExit(f"there is no target {name!r}: there are {', '.join(target.name for target in PURE)}")


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


def run_stretch(stretch: Stretch, at: Callable[[int], None]) -> Iterator[Finding]:
    """Run its cases. `at` is told each number before it begins; _NONE in between."""
    target = target_named(stretch.target)
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


def child(stretch: Stretch, mark_path: str) -> None:
    """The child's side: cases, findings as lines of JSON on stdout, and a line with the number of cases at the end."""
    with open(mark_path, "r+b") as file:
        mark = mmap.mmap(file.fileno(), _MARK.size)
    cases.limit_memory(_MORE_BYTES)

    def at(number: int) -> None:
        mark[:] = _MARK.pack(number)

    told: dict[str, int] = {}
    for found in run_stretch(stretch, at):
        told[found.kind] = told.get(found.kind, 0) + 1
        if told[found.kind] <= _TOLD:
            print(json.dumps({"number": found.case.number, "kind": found.kind, "detail": found.detail}), flush=True)
    print(json.dumps({"done": stretch.end - stretch.begin, "counts": told}), flush=True)


@dataclass(slots=True)
class Outcome:
    """What came of some cases: findings (two of a kind at most), and how often each kind came."""

    cases: int
    findings: list[Finding]
    counts: dict[str, int]


def in_child(stretch: Stretch) -> Outcome:
    """Run a stretch in a process of its own, and go on in another behind a case that killed it."""
    outcome = Outcome(0, [], {})
    begin = stretch.begin
    while begin < stretch.end:
        rest = Stretch(stretch.target, stretch.seed, begin, stretch.end)
        died_at = _one_child(rest, outcome)
        if died_at is None:
            break
        begin = died_at + 1
    outcome.cases = stretch.end - stretch.begin
    return outcome


def _one_child(stretch: Stretch, outcome: Outcome) -> int | None:
    """The number of the case that the child died at; None if it came to its end."""
    with tempfile.NamedTemporaryFile() as mark:
        mark.write(_MARK.pack(_NONE))
        mark.flush()
        command = [sys.executable, "-m", "fuzzing.child", json.dumps([stretch.target, stretch.seed, stretch.begin, stretch.end])]
        process = subprocess.Popen([*command, mark.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            told, errors = process.communicate(timeout=_SILENCE_S + (stretch.end - stretch.begin) * 0.2)
        except subprocess.TimeoutExpired:
            process.kill()
            told, errors = process.communicate()
        (number,) = _MARK.unpack(Path(mark.name).read_bytes())
    target = target_named(stretch.target)
    ended = False
    for line in told.splitlines():
        fields = json.loads(line)
        if "done" in fields:
            ended = True
            for kind, count in fields["counts"].items():
                outcome.counts[kind] = outcome.counts.get(kind, 0) + count
        else:
            case = case_of(target, stretch.seed, fields["number"])
            outcome.findings.append(Finding(case, fields["kind"], fields["detail"]))
    if ended and process.returncode == 0:
        return None
    if number == _NONE:
        raise RuntimeError(f"a process for {stretch} ended with {process.returncode} outside of a case: {errors[-2000:]}")
    kind = f"process ended with {process.returncode}"
    outcome.findings.append(Finding(case_of(target, stretch.seed, number), kind, errors[-1000:]))
    outcome.counts[kind] = outcome.counts.get(kind, 0) + 1
    return int(number)


def shrunk(found: Finding, folder: Path) -> bytes:
    """The smallest input with the same fault: looked for in a child, within a bound of time."""
    with tempfile.TemporaryDirectory() as scratch:
        source, result = Path(scratch) / "input", Path(scratch) / "smaller"
        source.write_bytes(found.case.data)
        command = [sys.executable, "-m", "fuzzing.child", "shrink", found.case.target, str(source), str(result), found.kind]
        try:
            subprocess.run(command, timeout=120, capture_output=True, check=False)
        except subprocess.TimeoutExpired:
            pass
        return result.read_bytes() if result.exists() else found.case.data


def shrink_in_child(name: str, source: str, result: str, kind: str) -> None:
    """The child's side of `shrunk`: writes what it has so far whenever it became smaller."""
    cases.limit_memory(_MORE_BYTES)
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

    smallest(Path(source).read_bytes(), is_same)


def split(target: Target, seed: int, count: int, pieces: int) -> Sequence[Stretch]:
    """Cases [0, count) as about so many stretches."""
    size = max(-(-count // max(pieces, 1)), 1)
    return [Stretch(target.name, seed, begin, min(begin + size, count)) for begin in range(0, count, size)]


__all__ = ["Outcome", "Stretch", "in_child", "run_stretch", "shrunk", "source_of", "split", "target_named"]
