"""What a target is, what a fault is, and how the input of a case is made."""

import contextlib
import random
import resource
import signal
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Self

#: Peak memory that a case may take beyond what the process had: a constant, for the interpreter's own pools, and a
#: multiple of what the target says that its input may unpack to.
FREE_BYTES: Final = 24_000_000
#: A case that needs more processor time than this many references is too slow (see `reference_s`).
MOST_REFERENCES: Final = 400
#: An input that is larger may take as much longer as it is larger.
REFERENCE_BYTES: Final = 250_000
#: Nothing that a case does may go on for longer than this, in seconds of processor time.
LONGEST_S: Final = 20.0


class Fault(Exception):
    """The product did what it may not do. `kind` groups faults: the same kind at the same place is the same fault."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class Endless(BaseException):
    """A case did not end. No `Exception`, so that no handler of the product takes it for one of its own."""


@dataclass(frozen=True, slots=True)
class Target:
    """`make` gives the input of a case; `run` hands it to the product, and raises whatever the product raises that is
    not allowed, or Fault. `memory_of`: bytes that this input may take at its peak, beyond FREE_BYTES."""

    name: str
    make: Callable[[random.Random], bytes]
    run: Callable[[bytes], None]
    memory_of: Callable[[bytes], int]
    #: Its share of the cases of a run, relative to the others.
    weight: int
    #: Makes sizes and checksums right in what is left of an input when a smaller one is looked for.
    repair: Callable[[bytes], bytes] = lambda data: data
    #: Smaller inputs that leave out something whole.
    simpler: Callable[[bytes], Iterable[bytes]] = lambda data: ()


@dataclass(frozen=True, slots=True)
class Case:
    """One input. `seed` and `number` are -1 for one that came from a file."""

    target: str
    seed: int
    number: int
    data: bytes

    @property
    def command(self) -> str:
        """What tries it again."""
        return f"make fuzz ONLY={self.target} SEED={self.seed} AT={self.number}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A case and its fault, in words that are equal for equal faults."""

    case: Case
    kind: str
    detail: str

    @classmethod
    def of(cls, case: Case, error: BaseException) -> Self:
        return cls(case, kind_of(error), str(error)[:2000])


def source_of(seed: int, target: str, number: int) -> random.Random:
    """The randomness of a case, which depends on nothing else."""
    return random.Random(f"{seed}/{target}/{number}")


def case_of(target: Target, seed: int, number: int) -> Case:
    return Case(target.name, seed, number, target.make(source_of(seed, target.name, number)))


def kind_of(error: BaseException) -> str:
    """Type and place of an error: the innermost frame that belongs to the product."""
    if isinstance(error, Fault):
        return error.kind
    place, trace = "?", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_globals.get("__name__", "")
        if name.split(".")[0].startswith("runstream"):
            place = f"{name}.{trace.tb_frame.f_code.co_name}"
        trace = trace.tb_next
    return f"{type(error).__name__} in {place}"


def reference_s() -> float:
    """Processor time of a fixed piece of work, which stands for the speed of this machine: the least of several."""
    text = "[" + ",".join(str(number) for number in range(2_000)) + "]"
    best = float("inf")
    for _ in range(7):
        begin = time.thread_time()
        for _ in range(20):
            sum(int(part) for part in text.strip("[]").split(","))
        best = min(best, time.thread_time() - begin)
    return best / 20


@contextlib.contextmanager
def bounded_time(longest_s: float = LONGEST_S) -> Iterator[None]:
    """Raises Endless in the block after so much processor time. Main thread only."""

    def stop(signum: int, frame: object) -> None:
        raise Endless(f"it took more than {longest_s:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, longest_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def limit_memory(more_bytes: int) -> None:
    """From here on this process may map so much more than it has: what takes all of it gets a MemoryError."""
    with open("/proc/self/statm") as statm:
        mapped = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more_bytes, resource.RLIM_INFINITY))


def attempt(target: Target, case: Case) -> Finding | None:
    """Run a case as it is, without measuring. Main thread only."""
    try:
        with bounded_time():
            target.run(case.data)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return Finding.of(case, error)
    return None


def measured(target: Target, case: Case, slowest_s: float) -> Finding | None:
    """Run a case by itself: what it raises, the memory that it takes at its peak, the processor time it needs."""
    tracemalloc.start()
    try:
        found = attempt(target, case)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if found is not None:
        return found
    allowed = FREE_BYTES + target.memory_of(case.data)
    if peak > allowed:
        detail = f"{len(case.data)} bytes took {peak} bytes of memory at the peak, {allowed} are allowed"
        return Finding(case, "memory", detail)
    taken = []
    slowest_s *= max(len(case.data) / REFERENCE_BYTES, 1.0)
    for _ in range(3):
        begin = time.thread_time()
        found = attempt(target, case)
        taken.append(time.thread_time() - begin)
        if found is not None or taken[-1] <= slowest_s:
            return found
    detail = f"{len(case.data)} bytes took {min(taken):.3f} s of processor time, {slowest_s:.3f} s are allowed"
    return Finding(case, "slow", detail)
