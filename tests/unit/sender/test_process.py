"""The sender's process, its lock, and sync: real processes and a real collector on a loopback port."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.sending.collector import Collector, event_at
from kit.sending.spool_maker import SpoolMaker, writer_info
from runstream.interpreter import NotAnInterpreter
from runstream.private import make_root
from runstream.sender.lock import SpoolLock, sender_lives
from runstream.sender.process import Sender
from runstream.sender.start import ensure_sender
from runstream.sender.status import read_status
from runstream.sender.sync import SyncProgress, sync
from runstream.spool.format import Acked

pytestmark = pytest.mark.sockets

#: Above the largest pid that Linux gives.
NO_PROCESS = 1 << 23


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    """A spool directory; a sender that is left there is ended."""
    folder = tmp_path / "spool"
    folder.mkdir()
    yield folder
    if sender_lives(folder):
        os.kill(int((folder / "sender.lock").read_text()), signal.SIGTERM)
        assert eventually(lambda: not sender_lives(folder))


def eventually(done: Callable[[], bool], timeout_s: float = 240.0) -> bool:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if done():
            return True
        time.sleep(0.02)
    return False


def writer(spool: Path, url: str, number: int = 1, rows: int = 10, **fields: object) -> SpoolMaker:
    maker = SpoolMaker(spool, writer_info(f"{number:032x}", url, **fields))
    maker.event(type="run_started.v1", at_us=1, workspace="w", project="p")
    for i in range(rows):
        maker.row(["a"], i, [float(i)])
    return maker


def sender_process(spool: Path, *options: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "runstream.sender", "--dir", str(spool), *options])


def refused_port() -> str:
    """An address at which nobody listens."""
    closed = Collector()
    closed.close()
    return closed.url


def test_a_started_sender_outlives_nothing_to_do_by_its_time_and_sends_before(
    spool: Path, collector: Collector
) -> None:
    maker = writer(spool, collector.url, api_key="k1")
    maker.event(type="run_finished.v1", at_us=2)
    maker.die()
    process = sender_process(spool, "--idle-exit-s", "0.5")
    assert process.wait(120) == 0
    assert len(collector.writers[maker.info.writer_id].records) == 12
    assert collector.authorizations == {"Bearer k1"}
    assert not maker.folder.exists()
    assert not sender_lives(spool)
    status = read_status(spool)
    assert status is not None
    assert status.state == "stopped"
    assert "k1" not in (spool / "sender.json").read_text()


def test_a_second_sender_leaves_at_once(spool: Path) -> None:
    lock = SpoolLock(spool)
    assert lock.take()
    assert not SpoolLock(spool).take()
    assert sender_process(spool).wait(120) == 0
    assert not (spool / "sender.json").exists()
    lock.release()
    assert not sender_lives(spool)


def test_ensure_starts_one_detached_sender_and_replaces_a_killed_one(spool: Path, collector: Collector) -> None:
    maker = writer(spool, collector.url)
    for _ in range(5):
        ensure_sender(spool)
    assert collector.wait_for(lambda: collector.writers[maker.info.writer_id].next_seq == 11
                              if maker.info.writer_id in collector.writers else False)  # fmt: skip
    pid = int((spool / "sender.lock").read_text())
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not sender_lives(spool))
    maker.row(["a"], 10, [1.0])
    ensure_sender(spool)
    assert collector.wait_for(lambda: collector.writers[maker.info.writer_id].next_seq == 12)
    assert int((spool / "sender.lock").read_text()) != pid
    assert collector.gaps == []
    assert collector.conflicts == []
    maker.die()


@pytest.mark.parametrize("torn", ["nothing", "half of the row", "the row without its mark"])
def test_a_writer_that_died_behind_a_new_set_of_metrics_is_lost_and_removed(
    torn: str, spool: Path, collector: Collector
) -> None:
    """The set of metrics is committed and has no number of its own: it is behind all that can be acknowledged."""
    maker = writer(spool, collector.url)
    before = maker.at
    maker.row(["new", "set"], 11, [1.0, 2.0], commit=False)
    row_bytes = 4 + 16 + 2 * 8
    if torn != "the row without its mark":
        end = maker.at - row_bytes
        os.pwrite(maker._file.fileno(), bytes(row_bytes if torn == "nothing" else 8), end)
    assert maker.at > before + row_bytes
    maker.die()
    process = sender_process(spool, "--idle-exit-s", "0.5")
    assert process.wait(120) == 0
    assert not list((spool / "writers").iterdir())
    assert event_at(collector.writers[maker.info.writer_id].records, 11)["type"] == "writer_lost.v1"


def test_modules_of_the_trainer_are_not_taken_for_others(spool: Path, collector: Collector, tmp_path: Path) -> None:
    """A trainer's folder with files named as modules of the standard library and as packages that the sender needs."""
    folder = tmp_path / "training"
    folder.mkdir()
    for name in ("logging", "json", "threading", "random", "zlib", "psutil", "pydantic", "runstream_ids"):
        (folder / f"{name}.py").write_text("raise SystemExit('the module of the trainer was imported')\n")
    maker = writer(spool, collector.url)
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from runstream.sender.start import ensure_sender\n"
        "sys.path.insert(0, os.getcwd())\n"
        "os.environ['PYTHONPATH'] = os.getcwd()\n"
        "ensure_sender(Path(sys.argv[1]))\n"
    )
    subprocess.run([sys.executable, "-P", "-c", program, str(spool)], cwd=folder, check=True, timeout=120)
    assert collector.wait_for(lambda: maker.info.writer_id in collector.writers)
    maker.die()


@pytest.mark.parametrize("name", ["train", "train.exe", "blender", "", "my-python-app"])
def test_what_is_no_python_is_not_started(name: str, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_root(spool)
    monkeypatch.setattr(sys, "executable", f"/opt/{name}" if name else "")
    with pytest.raises(NotAnInterpreter, match="is no Python interpreter"):
        ensure_sender(spool)


def test_a_frozen_program_is_not_started_again(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_root(spool)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(NotAnInterpreter, match="start itself again"):
        ensure_sender(spool)


def test_sigterm_finishes_the_request_that_is_under_way(spool: Path, collector: Collector) -> None:
    collector.faults.delay_s = 1.0
    maker = writer(spool, collector.url)
    process = sender_process(spool)
    assert collector.wait_for(lambda: bool(collector.bodies))  # it is taken, its response is on the way
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    assert Acked.read(maker.folder).next_seq == 11
    assert not sender_lives(spool)
    maker.die()


def test_a_writer_that_comes_while_the_sender_leaves_is_not_left_alone(spool: Path, collector: Collector) -> None:
    """The sender has decided to leave and gives the lock back; at that moment a writer appears that saw it held."""
    made: list[SpoolMaker] = []

    class LateWriter(SpoolLock):
        def release(self) -> None:
            if not made:
                made.append(writer(spool, collector.url))
            super().release()

    lock = LateWriter(spool)
    assert lock.take()
    sender = Sender(spool)
    thread = threading.Thread(target=sender.run, args=(lock, 0.3))
    thread.start()
    assert collector.wait_for(lambda: any(taken.next_seq == 11 for taken in collector.writers.values()))
    assert lock.held
    sender.request_stop()
    thread.join()
    assert not sender_lives(spool)
    made[0].die()


def test_sync_sends_what_offline_writers_left_and_says_how_it_goes(spool: Path, collector: Collector) -> None:
    makers = [writer(spool, collector.url, number, rows=500, mode="offline") for number in range(1, 4)]
    for maker in makers:
        maker.event(type="run_finished.v1", at_us=3)
        maker.die()
    data = b"\0\1" * 100_000
    sha256 = hashlib.sha256(data).hexdigest()
    late = writer(spool, collector.url, 9, mode="offline", pid=NO_PROCESS)
    (late.folder / "assets").mkdir()
    (late.folder / "assets" / sha256).write_bytes(data)
    late.event(type="asset_logged.v1", at_us=1, asset_id="x", name="x", sha256=sha256, size_bytes=len(data))
    late.die()
    seen: list[SyncProgress] = []
    result = sync(spool, timeout_s=240, progress=seen.append)
    assert result.complete
    assert (result.records_sent, result.writers_done) == (3 * 502 + 12, 4)
    assert seen[-1].records_waiting == 0
    assert collector.assets == {sha256: data}
    assert event_at(collector.writers[late.info.writer_id].records, 12)["type"] == "writer_lost.v1"
    assert list((spool / "writers").iterdir()) == []
    assert not sender_lives(spool)
    assert sync(spool, timeout_s=120).complete


def test_a_living_sender_leaves_offline_writers_alone_until_it_is_asked(spool: Path, collector: Collector) -> None:
    living = writer(spool, collector.url, 1)
    offline = writer(spool, collector.url, 2, mode="offline")
    offline.event(type="run_finished.v1", at_us=3)
    offline.die()
    process = sender_process(spool)
    assert collector.wait_for(lambda: living.info.writer_id in collector.writers)
    assert sync(spool, timeout_s=120, include_offline=False).complete
    assert offline.info.writer_id not in collector.writers
    living.row(["a"], 99, [1.0])
    result = sync(spool, timeout_s=120)
    assert result.complete
    assert result.writers_done == 2
    assert collector.writers[offline.info.writer_id].next_seq == 12
    assert not offline.folder.exists()
    assert living.folder.exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    living.die()


def test_sync_says_what_is_left_and_why(spool: Path) -> None:
    url = refused_port()
    maker = writer(spool, url)
    maker.die()
    result = sync(spool, timeout_s=5)
    assert not result.complete
    (left,) = result.left
    assert (left.writer_id, left.run_id, left.records) == (maker.info.writer_id, maker.info.run_id, 11)
    assert url in left.reason
    assert "refused" in left.reason
    assert maker.folder.exists()


def test_sync_does_not_wait_for_what_only_a_person_can_change(spool: Path, collector: Collector) -> None:
    strict = Collector()
    strict.whole_refusal = (401, {}, {"title": "unknown key"})
    refused = writer(spool, strict.url, 1)
    damaged = writer(spool, collector.url, 2)
    damaged.raw(b"\x4d\0\0\0" + b"garbage" * 5)
    unreadable = writer(spool, collector.url, 3)
    (unreadable.folder / "writer.json").write_text("{")
    nowhere = writer(spool, "localhost-without-scheme", 4)
    for maker in (refused, damaged, unreadable, nowhere):
        maker.die()
    reasons = {left.writer_id: left.reason for left in sync(spool, timeout_s=240).left}
    assert "unknown key" in reasons[refused.info.writer_id]
    assert "unknown kind 77" in reasons[damaged.info.writer_id]
    assert "writer.json" in reasons[unreadable.info.writer_id]
    assert "no gateway's address" in reasons[nowhere.info.writer_id]
    strict.close()


def test_sync_counts_what_was_set_aside_as_left(spool: Path, collector: Collector) -> None:
    maker = writer(spool, collector.url)
    maker.event(type="run_finished.v1", at_us=3)
    maker.die()
    bad = (5, 6)
    collector.refusal = lambda writer_id, first, end: (
        (422, {"title": "bad", "writer_id": writer_id})
        if first <= bad[0] < end and not (spool / "rejected").exists()
        else None
    )
    result = sync(spool, timeout_s=240)
    (left,) = result.left
    assert left.records == 1
    assert "bad" in left.reason
    assert not maker.folder.exists()
    assert len(collector.writers[maker.info.writer_id].records) == 12


def test_hundreds_of_writers_on_one_host_share_requests(spool: Path, collector: Collector) -> None:
    makers = [writer(spool, collector.url, number, rows=2) for number in range(1, 301)]
    lock = SpoolLock(spool)
    assert lock.take()
    sender = Sender(spool, channels=2)
    thread = threading.Thread(target=sender.run, args=(lock,))
    thread.start()
    assert collector.wait_for(lambda: sum(taken.next_seq for taken in collector.writers.values()) == 900)
    assert len(collector.bodies) < 60
    sender.request_stop()
    thread.join()
    assert collector.gaps == []
    for maker in makers:
        maker.die()


def test_a_sender_whose_spool_is_removed_leaves(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    (spool / "writers").mkdir(parents=True)
    sender = subprocess.Popen([sys.executable, "-m", "runstream.sender", "--dir", str(spool), "--idle-exit-s", "600"])
    try:
        while not (spool / "sender.json").exists():
            time.sleep(0.01)
        shutil.rmtree(spool)
        assert sender.wait(120) == 0
    finally:
        sender.kill()


def test_many_open_runs_need_few_files(spool: Path, collector: Collector) -> None:
    """More writers than the sender may have files: each is sent for, while it lives and when it ends."""
    makers = [writer(spool, collector.url, number, rows=2) for number in range(1, 151)]

    def all_at(next_seq: int) -> bool:
        known = collector.writers
        return all(
            maker.info.writer_id in known and known[maker.info.writer_id].next_seq == next_seq for maker in makers
        )

    command = f"ulimit -n 140 && exec {sys.executable} -m runstream.sender --dir {spool} --idle-exit-s 0.5"
    process = subprocess.Popen(["sh", "-c", command])
    assert collector.wait_for(lambda: all_at(3), 120)
    for maker in makers:
        maker.row(["a"], 2, [2.0])
    assert collector.wait_for(lambda: all_at(4), 120)
    for maker in makers:
        maker.event(type="run_finished.v1", at_us=2)
        maker.die()
    assert process.wait(120) == 0
    assert all_at(5)
    assert not list((spool / "writers").iterdir())
    assert "Too many open files" not in (spool / "sender.log").read_text()


def test_no_proxy_of_the_environment_sees_what_a_sender_sends(
    spool: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames and files go to this machine directly, in a sender that a trainer starts and in `sync` alike."""
    data = b"a file" * 100
    sha256 = hashlib.sha256(data).hexdigest()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
        makers = []
        for number in (1, 2):
            maker = writer(spool, collector.url, number)
            makers.append(maker)
            (maker.folder / "assets").mkdir()
            (maker.folder / "assets" / sha256).write_bytes(data)
            maker.event(type="asset_logged.v1", at_us=1, asset_id="x", name="x", sha256=sha256, size_bytes=len(data))
            maker.event(type="run_finished.v1", at_us=2)
            maker.die()
            if number == 1:
                assert sender_process(spool, "--idle-exit-s", "0.5").wait(120) == 0
            else:
                assert sync(spool).complete
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()
    assert collector.assets == {sha256: data}
    assert all(len(collector.writers[maker.info.writer_id].records) == 13 for maker in makers)
