"""Records tried in a child process: decoded and folded, with bounds of memory and CPU time, without a store.

The child reads records from its input (`pack`), imports what is needed once, and then forks for each piece of work: the
fork that dies of a fault, or of its bounds, had a bad record, and the records of that piece are tried one by one. What
dies alone twice is reported, as a line of JSON. An exception is no death: the worker knows what to do about it. SIGKILL
is none either: it comes from outside.
"""

import contextlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from runstream_service.log import Record

_HEAD: Final = struct.Struct("<qqqII")
#: Records of one fork: as many as a usual batch, so that the good ones take no longer than in the worker.
_PIECE_RECORDS: Final = 500
_PIECE_BYTES: Final = 4_000_000
_OUT_OF_MEMORY: Final = 77
_LOOK_EVERY_S: Final = 0.2
#: What comes from outside, or with the end of the machine.
_NOT_ITS_OWN: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})


@dataclass(frozen=True, slots=True)
class Verdict:
    """A record that brought the child down, and how."""

    part: int
    offset: int
    how: str


class TrialFailed(Exception):
    """The child told nothing: it could not be started, or took too long."""


def try_records(
    records: Sequence[Record], *, memory_bytes: int, cpu_s: int, wall_s: float, is_stopped: Callable[[], bool]
) -> list[Verdict]:
    """Which of these bring a process down that may take so much memory beyond its start and so much CPU time a record.
    Blocks. Raises TrialFailed, soon after `is_stopped` too."""
    command = [sys.executable, "-m", __name__, str(memory_bytes), str(cpu_s)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    # A file, because a pipe takes 64 kB until the child reads, and behind a timeout `communicate` never sends the rest.
    with tempfile.TemporaryFile() as given:
        try:
            given.write(pack(records))
            given.seek(0)
            child = subprocess.Popen(
                command, stdin=given, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
            )
        except OSError as error:
            raise TrialFailed(f"the trial could not be started: {error}") from error
        output, errors = _output(child, time.monotonic() + wall_s, is_stopped)
    if child.returncode:
        raise TrialFailed(f"the trial ended with {child.returncode}: {errors[-500:].decode(errors='replace')}")
    return [Verdict(**json.loads(line)) for line in output.splitlines() if line.startswith(b'{"part"')]


def _output(child: "subprocess.Popen[bytes]", deadline_s: float, is_stopped: Callable[[], bool]) -> tuple[bytes, bytes]:
    """What the child wrote. It is killed with its forks, and this raises TrialFailed, where it takes too long."""
    while True:
        try:
            return child.communicate(timeout=_LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            if time.monotonic() < deadline_s and not is_stopped():
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            raise TrialFailed("the trial was stopped before its end") from None


def pack(records: Sequence[Record]) -> bytes:
    """Records as `unpack` reads them."""
    parts = []
    for record in records:
        parts += [
            _HEAD.pack(record.partition, record.offset, record.at_us, len(record.key), len(record.value)),
            record.key,
            record.value,
        ]
    return b"".join(parts)


def unpack(data: bytes) -> Iterator[Record]:
    at = 0
    while at < len(data):
        part, offset, at_us, key_size, value_size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        yield Record(part, offset, at_us, data[at : at + key_size], data[at + key_size : at + key_size + value_size])
        at += key_size + value_size


def _pieces(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    begin = size = 0
    for number, record in enumerate(records):
        if number > begin and (number - begin == _PIECE_RECORDS or size + len(record.value) > _PIECE_BYTES):
            yield records[begin:number]
            begin, size = number, 0
        size += len(record.value)
    yield records[begin:]


def _fold(records: Sequence[Record]) -> None:
    """What the worker does with records, as if their keys were new."""
    import pyarrow as pa

    from runstream_processors.store.resume import Commit
    from runstream_processors.worker.feed import decode
    from runstream_processors.worker.folding import Folding

    batch = [decode(record) for record in records]
    first = {record.partition: record.offset for record in reversed(records)}
    folding = Folding({part: Commit(offset) for part, offset in first.items()}, {})
    numbers, texts = pa.array([], pa.int64()), pa.array([], pa.string())
    nothing = pa.table({"part": numbers, "offset": numbers, "run": texts})
    folding.load(folding.needs(batch), nothing, nothing, nothing)
    folding.fold(batch)
    folding.flush()


def _how_it_died(records: Sequence[Record], memory_bytes: int, cpu_s: int) -> str | None:
    """Fold these in a fork; None if it lived, or died of something that was not its own."""
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, 1)
            os.dup2(devnull, 2)
            _bound(memory_bytes, cpu_s)
            _fold(records)
        except MemoryError:
            code = _OUT_OF_MEMORY
        except BaseException:
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in _NOT_ITS_OWN:
            return None
        return f"more than {cpu_s} s of CPU time" if number == signal.SIGXCPU else signal.Signals(number).name
    return f"more than {memory_bytes} bytes of memory" if os.WEXITSTATUS(status) == _OUT_OF_MEMORY else None


def _bound(memory_bytes: int, cpu_s: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:
        now_bytes = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now_bytes + memory_bytes, now_bytes + memory_bytes))
    used_s = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used_s) + cpu_s, int(used_s) + cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(memory_bytes: int, cpu_s: int) -> None:
    """The child: records from the standard input, a line for each that brought a fork down."""
    records = list(unpack(sys.stdin.buffer.read()))
    # What a fork would import again and again.
    import pyarrow  # noqa: F401

    import runstream_processors.worker.folding  # noqa: F401

    for piece in _pieces(records):
        if _how_it_died(piece, memory_bytes, cpu_s) is None:
            continue
        for record in piece:
            if (how := _how_it_died([record], memory_bytes, cpu_s)) is not None and _how_it_died(
                [record], memory_bytes, cpu_s
            ):
                print(json.dumps({"part": record.partition, "offset": record.offset, "how": how}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
