"""The writing side of the spool, read back by the reader in conftest.py, which shares no code with it."""

import errno
import fcntl
import itertools
import json
import math
import mmap
import os
import signal
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runstream.errors import Unusable
from runstream.spool import appender, segment
from runstream.spool.writer import SpoolWriter

Make = Callable[..., SpoolWriter]
Read = Callable[[Path], Any]


def test_a_row_is_the_bytes_that_the_design_says(make_writer: Make, step_clock: Any) -> None:
    spool = make_writer()
    spool.log_row({"loss": 0.5, "acc": -0.0}, 7)
    spool.log_row({"loss": math.inf, "acc": 1}, 8)
    spool.write_event(b'{"type":"x"}')
    data = (spool.folder / "00000000.rows").read_bytes()
    names = b"loss\nacc"
    schema = struct.pack("<III", 1, 4 + len(names), 0) + names + struct.pack("<I", 0x5AC0FFEE)
    assert data[64 : 64 + len(schema)] == schema
    at = 64 + len(schema)
    kind, step, at_ns, loss, acc, mark = struct.unpack_from("<IqqddI", data, at)
    assert (kind, step, loss, mark) == (0x10000, 7, 0.5, 0x5AC0FFEE)
    assert math.copysign(1, acc) == -1
    assert 1_700_000_000_000_000_000 < at_ns <= step_clock.ns
    at += 40
    assert struct.unpack_from("<Iq", data, at) == (0x10000, 8)
    event = struct.pack("<II", 2, 12) + b'{"type":"x"}' + struct.pack("<I", 0x5AC0FFEE)
    assert data[at + 40 :].rstrip(b"\0") == event
    assert len(data) == 256 * 1024


def test_a_new_writer_is_complete_when_its_json_is_there(make_writer: Make) -> None:
    spool = make_writer()
    fields = json.loads((spool.folder / "writer.json").read_text())
    assert fields["run_id"] == "0190aaaa"
    assert fields["api_key"] == "secret"
    assert (spool.folder / "writer.json").stat().st_mode & 0o777 == 0o600
    assert spool.folder.stat().st_mode & 0o777 == 0o700
    assert (spool.folder / "assets").is_dir()


def test_the_lock_is_held_until_close(make_writer: Make) -> None:
    spool = make_writer()
    with (spool.folder / "lock").open() as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert spool.close()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_blocks_are_allocated_not_holes(make_writer: Make) -> None:
    spool = make_writer()
    assert (spool.folder / "00000000.rows").stat().st_blocks * 512 >= 256 * 1024


def test_without_a_step_it_is_one_above_the_highest(make_writer: Make, read: Read) -> None:
    spool = make_writer(first_step=40)
    spool.log_row({"a": 1})
    spool.log_row({"a": 2}, 100)
    spool.log_row({"a": 3})
    spool.log_sample({"system/x": 1}, 0)
    spool.log_row({"b": 4})
    spool.log_row({"a": 5}, 3)
    spool.log_row({"a": 6}, np.int32(9))
    spool.log_row({"a": 7})
    assert [row[2] for row in read(spool.folder).rows] == [40, 100, 101, 0, 102, 3, 9, 103]
    assert spool.last_step == 103


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (True, 1.0),
        (2.5, 2.5),
        (np.float32(0.5), 0.5),
        (np.float16(0.25), 0.25),
        (np.int64(-3), -3.0),
        (np.bool_(True), 1.0),
        (np.array(4.0), 4.0),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
    ],
)
def test_kinds_of_numbers(value: object, number: float, make_writer: Make, read: Read, notices: Any) -> None:
    spool = make_writer()
    for _ in range(2):  # the first takes the slow path, the second the fast one
        spool.log_row({"v": value}, 1)
    assert read(spool.folder).values("v") == [number, number]
    assert notices.warnings == []


def test_nan_is_a_value(make_writer: Make, read: Read) -> None:
    spool = make_writer()
    spool.log_row({"v": math.nan})
    assert math.isnan(read(spool.folder).values("v")[0])


class _Unfloatable:
    def __float__(self) -> float:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        raise RuntimeError("no repr either")


@pytest.mark.parametrize(
    ("value", "kind", "fix"),
    [
        ("0.5", "str", "log_other() or log_text()"),
        (None, "NoneType", "float('nan')"),
        ([1.0, 2.0], "list", "its mean"),
        (np.array([1.0, 2.0]), "numpy.ndarray", "its mean"),
        (1j, "complex", "give a number"),
        (10**400, "int", "give a number"),
        (_Unfloatable(), "_Unfloatable", "give a number"),
    ],
)
def test_a_bad_value_costs_only_itself(
    value: object, kind: str, fix: str, make_writer: Make, read: Read, notices: Any
) -> None:
    spool = make_writer()
    spool.log_row({"good": 0.0, "bad": 0.0, "last": 0.0}, 0)
    for step in (1, 2, 3):
        spool.log_row({"good": step, "bad": value, "last": step}, step)
    spool.log_row({"good": 4, "bad": 4, "last": 4}, 4)
    written = read(spool.folder)
    assert written.values("good") == written.values("last") == [0, 1, 2, 3, 4]
    assert written.values("bad") == [0, 4]
    assert len(notices.warnings) == 1, "once a metric"
    for part in ("0190aaaa", "'bad'", kind, fix):
        assert part in notices.warnings[0]


@pytest.mark.parametrize("name", ["", " x", "a\nb", "x" * 501, 3, None, ("a",), "\ud800"])
def test_a_bad_name_costs_only_itself(name: object, make_writer: Make, read: Read, notices: Any) -> None:
    spool = make_writer()
    for step in range(3):
        spool.log_row({"good": step, name: 1.0}, step)
    written = read(spool.folder)
    assert written.values("good") == [0, 1, 2]
    assert all(set(values) == {"good"} for _, values, _, _ in written.rows)
    assert len(notices.warnings) == 1


@pytest.mark.parametrize("step", ["7", 1.5, math.nan, object(), 2**63, [1]])
def test_a_bad_step_keeps_the_values(step: object, make_writer: Make, read: Read, notices: Any) -> None:
    spool = make_writer()
    spool.log_row({"a": 1}, 5)
    spool.log_row({"a": 2}, step)
    assert [(row[2], row[1]["a"]) for row in read(spool.folder).rows] == [(5, 1), (6, 2)]
    assert "step" in notices.warnings[0]


def test_a_whole_float_is_a_step(make_writer: Make, read: Read, notices: Any) -> None:
    spool = make_writer()
    spool.log_row({"a": 1}, 5.0)
    assert [row[2] for row in read(spool.folder).rows] == [5]
    assert notices.warnings == []


@pytest.mark.parametrize("data", [[1.0], 3, None, "loss", {("a", "b"): 1}])
def test_what_is_no_dict_of_names_is_left_out(data: object, make_writer: Make, read: Read, notices: Any) -> None:
    spool = make_writer()
    spool.log_row(data)
    assert read(spool.folder).rows == []
    assert len(notices.warnings) == 1


def test_nested_dicts_are_flattened(make_writer: Make, read: Read) -> None:
    spool = make_writer()
    spool.log_row({"train": {"loss": 1, "acc": {"top1": 2}}, "lr": 3, "empty": {}}, 0)
    assert read(spool.folder).rows[0][1] == {"train/loss": 1, "train/acc/top1": 2, "lr": 3}


def test_a_dict_in_itself_ends(make_writer: Make, read: Read, notices: Any) -> None:
    data: dict[str, Any] = {"a": 1}
    data["me"] = data
    spool = make_writer()
    spool.log_row(data, 0)
    assert read(spool.folder).rows[0][1]["a"] == 1
    assert any("deeper" in warning for warning in notices.warnings)


def test_wide_rows_are_split(make_writer: Make, read: Read) -> None:
    spool = make_writer()
    data = {f"m{i}": float(i) for i in range(45_000)}
    spool.log_row(data, 3)
    written = read(spool.folder)
    assert len(written.rows) >= 3
    assert max(len(values) for _, values, _, _ in written.rows) <= 20_000
    merged: dict[str, float] = {}
    for _, values, step, at_ns in written.rows:
        assert (step, at_ns) == (3, written.rows[0][3])
        merged |= values
    assert merged == data


def test_long_names_are_split_before_they_fill_a_frame(make_writer: Make, read: Read) -> None:
    spool = make_writer()
    data = {f"{i:04d}" + "n" * 480: 1.0 for i in range(1500)}
    spool.log_row(data, 0)
    written = read(spool.folder)
    assert sum(len(values) for _, values, _, _ in written.rows) == 1500
    assert max(sum(map(len, values)) for _, values, _, _ in written.rows) <= 200_000


def test_segments_follow_and_grow(make_writer: Make, read: Read) -> None:
    spool = make_writer(segment_bytes=4096, max_segment_bytes=16384)
    for i in range(3000):
        spool.log_row({"a": i, "b": -i} if i % 3 else {"c": i}, i)
        if i % 100 == 0:
            spool.write_event(json.dumps({"type": "x", "i": i}).encode())
    written = read(spool.folder)
    assert written.seqs == list(range(3030))
    assert spool.next_seq == 3030
    assert [row[2] for row in written.rows] == list(range(3000))
    sizes = [path.stat().st_size for path in sorted(spool.folder.glob("*.rows"))]
    assert sizes[0] == 4096
    assert sizes[1] == 8192
    assert set(sizes[2:]) == {16384}


def test_threads_lose_and_double_nothing(make_writer: Make, read: Read) -> None:
    spool = make_writer(segment_bytes=4096)
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for i in range(1500):
            match i % 50:
                case 7:
                    spool.write_event(json.dumps({"type": "x", "from": [thread, i]}).encode())
                case 9:
                    spool.log_row({f"t{thread}": i, "bad": "x"}, i)
                case _:
                    spool.log_row({f"t{thread}": i, "thread": thread}, i)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = read(spool.folder)
    assert written.seqs == list(range(8 * 1500))
    for n in range(8):
        assert written.values(f"t{n}") == [i for i in range(1500) if i % 50 != 7]
    assert [tuple(event["from"]) for _, event in written.events if event["from"][0] == 3] == [
        (3, i) for i in range(7, 1500, 50)
    ]


def test_a_call_inside_a_call_is_written_after_it(make_writer: Make, read: Read) -> None:
    spool = make_writer()

    class Logging:
        def __float__(self) -> float:
            spool.log_row({"inner": 1.0}, 5)
            spool.write_event(b'{"type":"inner"}')
            return 2.0

    spool.log_row({"outer": 0.0}, 0)
    spool.log_row({"outer": Logging()}, 1)  # on the fast path, with the lock held
    spool.log_row({"other": Logging()}, 2)  # on the slow path, without it
    written = read(spool.folder)
    assert written.values("outer") == [0, 2]
    assert written.values("other") == [2]
    assert written.values("inner") == [1, 1]
    assert len(written.events) == 2
    assert written.seqs == list(range(spool.next_seq))


def test_a_signal_handler_may_log(make_writer: Make, read: Read) -> None:
    spool = make_writer(segment_bytes=4096)
    numbers = itertools.count()
    handled: list[int] = []

    def handler(*_: object) -> None:
        number = next(numbers)  # the next signal may come before this one is done
        spool.log_row({"signal": number}, number)
        handled.append(number)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    count = 0
    try:
        while len(handled) < 300:
            spool.log_row({"main": count}, count)
            count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    spool.tick()
    written = read(spool.folder)
    assert written.values("main") == list(range(count))
    assert sorted(written.values("signal")) == list(range(len(handled)))
    assert written.seqs == list(range(spool.next_seq))


def test_what_was_half_written_is_zeroed(make_writer: Make, read: Read) -> None:
    spool = make_writer()
    spool.log_row({"a": 1.0, "b": 1.0, "c": 1.0}, 0)
    end = len((spool.folder / "00000000.rows").read_bytes().rstrip(b"\0"))
    seen: list[bytes] = []

    class Late:
        def __float__(self) -> float:
            seen.append((spool.folder / "00000000.rows").read_bytes()[end:].rstrip(b"\0"))
            raise ValueError

    spool.log_row({"a": 1e300, "b": Late(), "c": 1.0}, 1)
    assert seen[0].startswith(struct.pack("<Iq", 0x10000, 1)), "half a row stood there"
    assert seen[0].endswith(struct.pack("<d", 1e300))
    written = read(spool.folder)
    assert written.rows[1][1] == {"a": 1e300, "c": 1.0}
    assert written.dirt == b""


def test_settling_clears_an_unfinished_row(make_writer: Make, read: Read) -> None:
    spool = make_writer()
    spool.log_row({"a": 1.0, "b": 2.0}, 0)
    path = spool.folder / "00000000.rows"
    end = len(path.read_bytes().rstrip(b"\0"))
    with path.open("r+b") as file:  # as a pack that stopped after its first value leaves it
        file.seek(end)
        file.write(struct.pack("<Iqqd", 0x10000, 9, 9, 1e300))
    spool.log_row({"a": "bad"}, 1)
    spool.log_row({"z": 3.0}, 2)
    written = read(spool.folder)
    assert [row[1] for row in written.rows] == [{"a": 1.0, "b": 2.0}, {"z": 3.0}]
    assert written.dirt == b""


class Disk:
    """A disk that can be filled: preallocation fails then, as it does on a real one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = False
        self.refusals = 0
        real = segment.preallocate

        def preallocate(descriptor: int, size_bytes: int) -> None:
            if self.full:
                self.refusals += 1
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor, size_bytes)

        monkeypatch.setattr(segment, "preallocate", preallocate)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_full_disk_is_waited_out_in_memory(
    disk: Disk, make_writer: Make, read: Read, notices: Any, step_clock: Any
) -> None:
    spool = make_writer(segment_bytes=4096)
    disk.full = True
    for i in range(500):
        spool.log_row({"a": i, "b": 0.5}, i)
        if i == 300:
            spool.write_event(b'{"type":"x"}')
    on_disk = read(spool.folder)
    assert 0 < len(on_disk.rows) < 500
    assert spool.waiting_bytes > 0
    assert len([w for w in notices.warnings if "cannot grow" in w]) == 1
    assert disk.refusals < 10, "a full disk is not asked at every call"
    disk.full = False
    step_clock.s += 1
    spool.tick()
    written = read(spool.folder)
    assert written.values("a") == list(range(500))
    assert written.seqs == list(range(501))
    assert written.events[0][0] == 301, "in order"
    assert spool.waiting_bytes == 0
    spool.log_row({"a": 500, "b": 1}, 500)
    assert read(spool.folder).values("a")[-1] == 500
    assert not written.of_type("points_dropped.v1")


def test_beyond_the_bound_points_are_dropped_and_counted(
    disk: Disk, make_writer: Make, read: Read, notices: Any, step_clock: Any
) -> None:
    spool = make_writer(segment_bytes=4096, backlog_bytes=50_000)
    disk.full = True
    for i in range(2000):
        spool.log_row({"a": i, "b": 0.5}, i)
    assert spool.waiting_bytes <= 50_000
    disk.full = False
    step_clock.s += 1
    spool.log_row({"a": 5000, "b": 0.5}, 5000)
    written = read(spool.folder)
    (dropped,) = written.of_type("points_dropped.v1")
    kept = written.values("a")
    assert kept == [*range(len(kept) - 1), 5000] or kept == list(range(len(kept)))
    assert dropped["count"] == 2 * (2001 - len(kept))
    from runstream.events.control import decode_event

    assert decode_event(json.dumps(dropped))
    assert any("dropped" in warning for warning in notices.warnings)


def test_the_reserve_is_used_when_the_disk_is_full(disk: Disk, make_writer: Make, read: Read) -> None:
    spool = make_writer(segment_bytes=4096)
    i = 0
    while not (spool.folder / "reserve.tmp").exists():
        spool.log_row({"a": i}, i)
        i += 1
    assert i < 150, "it is there when the segment is half full"
    disk.full = True
    while (spool.folder / "reserve.tmp").exists():
        spool.log_row({"a": i}, i)
        i += 1
    written = read(spool.folder)
    assert written.values("a") == list(range(i))
    assert written.segments == 2


def test_somebody_else_allocates_the_reserve(make_writer: Make) -> None:
    wanted: list[int] = []
    spool = make_writer(segment_bytes=4096, want_reserve=lambda: wanted.append(1))
    for i in range(80):
        spool.log_row({"a": i}, i)
    assert wanted == [1]
    assert not (spool.folder / "reserve.tmp").exists()
    spool.tick()
    assert (spool.folder / "reserve.tmp").exists()
    spool.close()
    assert not (spool.folder / "reserve.tmp").exists()


@pytest.mark.parametrize(
    ("steps", "written"),
    [
        ([None, 3, None, 1, None], [0, 3, 4, 1, 5]),
        ([0, None, 0, None, 1, None], [0, 1, 0, 2, 1, 3]),
        ([-5, None, None], [-5, 0, 1]),
        ([2**63 - 1, None, None], [2**63 - 1] * 3),
        ([np.int32(2**31 - 1), None], [2**31 - 1, 2**31]),
        ([np.uint8(255), None, np.uint8(7), None], [255, 256, 7, 257]),
        ([np.int64(5), None], [5, 6]),
        ([True, None], [1, 2]),
        ([4.0, None], [4, 5]),
        ([2**63, None], [0, 1]),
        (["x", None], [0, 1]),
    ],
)
def test_a_step_without_a_number_is_above_the_highest(
    steps: list[Any], written: list[int], make_writer: Make, read: Read
) -> None:
    spool = make_writer()
    for step in steps:
        spool.log_row({"a": 1.0}, step)
    assert [step for _, values, step, _ in read(spool.folder).rows if "a" in values] == written
    assert type(spool.last_step) is int
    assert spool.last_step == max(written)


def test_a_step_that_changes_in_place_counts_as_it_was(make_writer: Make, read: Read) -> None:
    spool = make_writer()
    step = np.array(5)
    spool.log_row({"a": 1.0}, step)
    step += 100
    spool.log_row({"a": 1.0})
    assert [step for _, _, step, _ in read(spool.folder).rows] == [5, 6]


def test_batches_and_epochs_in_turn_have_a_step_each(make_writer: Make, read: Read) -> None:
    spool = make_writer()
    for epoch in range(5):
        for _ in range(45):
            spool.log_row({"batch/loss": 1.0})
        spool.log_row({"val": 1.0}, epoch)
    batches = [step for _, values, step, _ in read(spool.folder).rows if "batch/loss" in values]
    assert batches == list(range(225))


def test_closing_on_a_full_disk_says_what_is_lost(disk: Disk, make_writer: Make, notices: Any) -> None:
    spool = make_writer(segment_bytes=4096)
    disk.full = True
    for i in range(300):
        spool.log_row({"a": i}, i)
    assert spool.seal()
    assert spool.next_seq + spool.lost.points == 300
    assert "are lost" in notices.warnings[-1]
    spool.release()


def test_calls_after_close_say_so_once(make_writer: Make, read: Read, notices: Any) -> None:
    spool = make_writer()
    spool.log_row({"a": 1}, 0)
    assert spool.close()
    assert spool.close()
    for _ in range(3):
        spool.log_row({"a": 2}, 1)
        assert not spool.write_event(b"{}")
    spool.tick()
    assert read(spool.folder).values("a") == [1]
    assert len(notices.warnings) == 1
    assert "finished" in notices.warnings[0]


def test_an_event_that_is_too_large_is_left_out(make_writer: Make, read: Read, notices: Any) -> None:
    spool = make_writer()
    assert not spool.write_event(b"x" * 256_001)
    assert spool.write_event(b'"' + b"x" * 255_000 + b'"')
    assert len(read(spool.folder).events) == 1
    assert "256000" in notices.warnings[0]


def test_a_fault_of_the_file_system_does_not_raise(
    make_writer: Make, monkeypatch: pytest.MonkeyPatch, notices: Any
) -> None:
    spool = make_writer()

    def broken(*_: object) -> int:
        raise RuntimeError("broken")

    monkeypatch.setattr(appender, "write_row", broken)
    spool.log_row({"a": 1}, 0)
    assert "broken" in notices.warnings[0]
    monkeypatch.undo()
    spool.log_row({"a": 2}, 1)
    assert spool.next_seq == 2, "what waited was written too"


def test_a_directory_that_cannot_be_written(tmp_path: Path, make_writer: Make) -> None:
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(Unusable, match=r"spool .* cannot be written.*RUNSTREAM_DIR"):
        make_writer()


def test_a_disk_that_is_full_from_the_start(disk: Disk, make_writer: Make) -> None:
    disk.full = True
    with pytest.raises(Unusable, match="No space left"):
        make_writer()


def test_preallocation_where_the_file_system_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", cannot)
    buffer = segment.allocate(tmp_path / "x", 3_000_000)
    assert isinstance(buffer, mmap.mmap)
    assert (tmp_path / "x").stat().st_size == 3_000_000
    assert (tmp_path / "x").stat().st_blocks * 512 >= 3_000_000


def test_a_forked_child_gives_up_the_lock_and_the_segment(make_writer: Make, read: Read) -> None:
    spool = make_writer()
    spool.log_row({"a": 1}, 0)
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            spool.abandon()
            spool.log_row({"a": 2}, 1)
            os.write(done, b"x")
            signal.pause()
        finally:
            os._exit(1)
    assert os.read(ready, 1) == b"x"
    spool.close()
    with (spool.folder / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the living child does not hold it
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready)
    os.close(done)
    assert read(spool.folder).values("a") == [1]
