"""What only the embedded log does: files, lock, retention, group commit, bounds."""

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runstream.events.positions import Positions
from runstream_ingest.log.disk import Disk
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_ingest.log.errors import LogBusy, LogMismatch
from runstream_service.log import LogCorrupt, LogUnavailable


class HeldDisk:
    """A disk whose syncs wait for permission, and are counted."""

    def __init__(self) -> None:
        self.allowed = threading.Event()
        self.allowed.set()
        self.syncs = 0
        self.begun = threading.Event()

    def fdatasync(self, descriptor: int) -> None:
        self.syncs += 1
        self.begun.set()
        assert self.allowed.wait(120)
        os.fdatasync(descriptor)

    def disk(self) -> Disk:
        return Disk(fdatasync=self.fdatasync)


async def test_what_arrives_during_a_sync_shares_the_next_one(tmp_path: Path) -> None:
    held = HeldDisk()
    log = EmbeddedLog.open(tmp_path, disk=held.disk())
    held.allowed.clear()
    first = asyncio.create_task(log.append([(b"run", b"first")]))
    await asyncio.to_thread(held.begun.wait)
    others = [asyncio.create_task(log.append([(b"run", b"%d" % i)])) for i in range(100)]
    await asyncio.sleep(0.02)
    assert not first.done()
    assert await log.read(0, 0, 100, 0.0) == [], "a reader sees nothing that is not synced"
    held.allowed.set()
    responses = await asyncio.gather(first, *others)
    assert responses == [Positions.after(0, i) for i in range(101)]
    assert held.syncs == 2
    await log.close()


async def test_too_much_pending_is_refused_until_some_is_durable(tmp_path: Path) -> None:
    held = HeldDisk()
    log = EmbeddedLog.open(tmp_path, disk=held.disk(), max_pending_bytes=1000)
    held.allowed.clear()
    first = asyncio.create_task(log.append([(b"run", b"x" * 5000)]))
    await asyncio.to_thread(held.begun.wait)
    assert log.pending_bytes == 5003
    with pytest.raises(LogUnavailable, match="5003 bytes already wait"):
        await log.append([(b"run", b"more")])
    held.allowed.set()
    await first
    await log.append([(b"run", b"more")])
    assert log.pending_bytes == 0
    await log.close()


async def test_a_second_opener_is_refused_with_pid_and_directory(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path)
    with pytest.raises(LogBusy) as caught:
        EmbeddedLog.open(tmp_path)
    assert str(os.getpid()) in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    script = (
        "import sys; from pathlib import Path; from runstream_ingest.log.embedded import EmbeddedLog\n"
        "EmbeddedLog.open(Path(sys.argv[1]))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(tmp_path), stderr=subprocess.PIPE)
    _, told = await process.communicate()
    assert process.returncode == 1
    assert f"held by process {os.getpid()}" in told.decode()
    await log.close()
    await EmbeddedLog.open(tmp_path).close()


async def test_a_log_keeps_its_number_of_partitions(tmp_path: Path) -> None:
    await EmbeddedLog.open(tmp_path, partitions=2).close()
    with pytest.raises(LogMismatch, match=r"2 partitions, asked for were 3"):
        EmbeddedLog.open(tmp_path, partitions=3)
    log = EmbeddedLog.open(tmp_path, partitions=None)
    assert log.partitions == 2
    await log.close()


@pytest.mark.parametrize("kept", ["", "{", "[]", "{}", '{"version": 1, "partitions": null}'])
async def test_a_log_that_does_not_say_what_it_is_is_refused(tmp_path: Path, kept: str) -> None:
    await EmbeddedLog.open(tmp_path).close()
    (tmp_path / "log.json").write_text(kept)
    with pytest.raises(LogCorrupt, match=r"log\.json cannot be read"):
        EmbeddedLog.open(tmp_path)


async def test_retention_by_size_removes_whole_old_segments(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path, segment_bytes=4096, retention_bytes=20_000)
    for i in range(60):
        await log.append([(b"run", b"%03d" % i + b"x" * 1000)])
    begin = (await log.begin_offsets())[0]
    kept = sum(path.stat().st_size for path in (tmp_path / "0").glob("*.segment"))
    assert 0 < begin < 60
    assert 12_000 < kept <= 20_000 + 4096
    with pytest.raises(LogCorrupt, match=f"keeps records from {begin} on"):
        await log.read(0, begin - 1, 100, 0.0)
    assert (await log.read(0, begin, 1, 0.0))[0].value[:3] == b"%03d" % begin
    await log.close()
    log = EmbeddedLog.open(tmp_path, segment_bytes=4096)
    assert await log.begin_offsets() == {0: begin}
    assert await log.next_offsets() == {0: 60}
    await log.close()


async def test_retention_by_age_removes_what_is_older_as_a_whole(tmp_path: Path) -> None:
    now_us = 1_000_000_000
    log = EmbeddedLog.open(tmp_path, segment_bytes=4096, retention_s=100.0, clock_us=lambda: now_us)
    for i in range(20):
        await log.append([(b"run", b"%03d" % i + b"x" * 1000)])
    assert await log.begin_offsets() == {0: 0}
    now_us += 101_000_000
    await log.append([(b"run", b"new" + b"x" * 4000)])
    begin = (await log.begin_offsets())[0]
    assert begin == 20, "only the segment with the newest record is left"
    assert [record.value[:3] for record in await log.read(0, begin, 1 << 20, 0.0)] == [b"new"]
    await log.close()


async def test_by_default_everything_is_kept(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path, segment_bytes=4096)
    for _ in range(30):
        await log.append([(b"run", b"x" * 1900)])
    assert await log.begin_offsets() == {0: 0}
    assert len(list((tmp_path / "0").glob("*.segment"))) == 15, "two records fit into 4,096 bytes"
    await log.close()


async def test_position_at_over_many_segments(tmp_path: Path) -> None:
    now_us = 0
    log = EmbeddedLog.open(tmp_path, segment_bytes=4096, clock_us=lambda: now_us)
    for i in range(100):
        now_us = i * 10
        await log.append([(b"run", b"x" * 700)])
    for reopened in (False, True):
        if reopened:
            await log.close()
            log = EmbeddedLog.open(tmp_path, segment_bytes=4096)
        assert await log.position_at(-1) == Positions()
        for i in range(100):
            assert await log.position_at(i * 10) == Positions.after(0, i)
            assert await log.position_at(i * 10 + 9) == Positions.after(0, i)
    await log.close()


async def test_reading_a_closed_log_is_unavailable_also_for_those_who_wait(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path)
    waiting = asyncio.create_task(log.read(0, 0, 100, 60.0))
    await asyncio.sleep(0.01)
    await log.close()
    with pytest.raises(LogUnavailable):
        await waiting
    with pytest.raises(LogUnavailable):
        await log.position_at(0)


async def test_what_no_log_can_hold_is_refused(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path)
    with pytest.raises(ValueError, match="a key of 65536 bytes"):
        await log.append([(b"k" * 65536, b"")])
    with pytest.raises(ValueError, match="there is no partition 1"):
        await log.read(1, 0, 100, 0.0)
    await log.close()
    with pytest.raises(ValueError, match="a log needs"):
        EmbeddedLog.open(tmp_path, partitions=0)
    with pytest.raises(ValueError, match="a log needs"):
        EmbeddedLog.open(tmp_path, segment_bytes=100)


async def test_a_segment_of_a_later_version_or_another_place_is_refused_not_cut(tmp_path: Path) -> None:
    log = EmbeddedLog.open(tmp_path)
    await log.append([(b"run", b"one")])
    await log.close()
    segment = tmp_path / "0" / f"{0:020d}.segment"
    (tmp_path / "0" / "durable").unlink()
    segment.rename(segment.with_name(f"{7:020d}.segment"))
    with pytest.raises(LogCorrupt, match="renamed or moved here"):
        EmbeddedLog.open(tmp_path)
    assert segment.with_name(f"{7:020d}.segment").stat().st_size > 32


async def test_a_directory_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(LogUnavailable, match="cannot be used"):
        EmbeddedLog.open(tmp_path / "file" / "log")
