"""The embedded log after what a machine can do to it: torn writes, flipped bytes, SIGKILL, a disk that fails.

A write that was cut was never acknowledged: it goes without a trace. What was acknowledged is there, value by value,
none twice, or the log refuses to open.
"""

import asyncio
import errno
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from runstream_ingest.log.disk import Disk
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_ingest.log.format import RECORD_FIXED_BYTES, SEGMENT_HEADER_BYTES, encode_group
from runstream_service.log import LogCorrupt, LogUnavailable, Record

#: `make faults KILLS=1000` runs it longer; the suite's default is part of at least 50 kills over all fault tests.
KILLS = int(os.environ.get("KILLS", "12"))


async def fill(directory: Path, groups: list[list[bytes]], segment_bytes: int = 1 << 20) -> Path:
    """A log with these groups of values, each appended alone; returns its newest segment."""
    log = EmbeddedLog.open(directory, segment_bytes=segment_bytes)
    for group in groups:
        await log.append([(b"run", value) for value in group])
    await log.close()
    return max((directory / "0").glob("*.segment"))


async def values(directory: Path, segment_bytes: int = 1 << 20) -> list[bytes]:
    """All values, after an open; the offsets are checked to be 0, 1, 2, ..."""
    log = EmbeddedLog.open(directory, segment_bytes=segment_bytes)
    try:
        found: list[Record] = []
        while len(found) < (await log.next_offsets())[0]:
            found += await log.read(0, len(found), 1 << 20, 1.0)
        assert [record.offset for record in found] == list(range(len(found)))
        return [record.value for record in found]
    finally:
        await log.close()


async def torn_write(directory: Path, durable: list[list[bytes]], group: list[bytes]) -> tuple[Path, bytes, int]:
    """The log's state when a crash comes inside of the write of `group`: the newest segment, its whole bytes as if
    the write had ended, and where the write began. The mark says what it says before the sync of `group`."""
    segment = await fill(directory, durable)
    mark = (directory / "0" / "durable").read_bytes()
    start = segment.stat().st_size
    await fill(directory, [group])
    (directory / "0" / "durable").write_bytes(mark)
    return segment, segment.read_bytes(), start


async def test_a_last_record_cut_at_every_byte_is_dropped_and_the_log_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    durable = [[b"one"], [b"two", b"three"]]
    segment, whole, start = await torn_write(tmp_path, durable, [b"never acknowledged"])
    mark = (tmp_path / "0" / "durable").read_bytes()
    for end in range(start, len(whole)):
        segment.write_bytes(whole[:end])
        (tmp_path / "0" / "durable").write_bytes(mark)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert await values(tmp_path) == [b"one", b"two", b"three"], f"cut at {end}"
        assert segment.stat().st_size == start
        cuts = [record.getMessage() for record in caplog.records if "cut a torn write" in record.getMessage()]
        assert len(cuts) == (end > start)
        assert all(f"{end - start} bytes from byte {start}" in cut for cut in cuts)
        await fill(tmp_path, [[b"next"]])
        assert await values(tmp_path) == [b"one", b"two", b"three", b"next"]


async def test_a_flip_of_any_byte_of_a_write_that_was_never_synced_drops_it(tmp_path: Path) -> None:
    segment, whole, start = await torn_write(tmp_path, [[b"one"], [b"two"]], [b"torn"])
    mark = (tmp_path / "0" / "durable").read_bytes()
    for at in range(start, len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x40
        segment.write_bytes(damaged)
        (tmp_path / "0" / "durable").write_bytes(mark)
        assert await values(tmp_path) == [b"one", b"two"], f"flip at {at}"


async def test_pages_of_an_unsynced_write_may_arrive_in_any_order(tmp_path: Path) -> None:
    """After a power failure the end of a write may be on disk and its beginning not: nothing of it was acknowledged."""
    group = [b"%d" % i + b"x" * 3000 for i in range(5)]
    segment, whole, start = await torn_write(tmp_path, [[b"one"]], group)
    damaged = bytearray(whole)
    damaged[start + 3500 : start + 7000] = bytes(3500)
    segment.write_bytes(damaged)
    assert await values(tmp_path) == [b"one", group[0]]


@pytest.mark.parametrize(
    ("offset", "group_start", "torn"),
    [
        (3, 200, False),  # as a later write would look
        (3, 2**31, False),
        (3, 2**31, True),
        (2**40, 200, True),
        (0, 200, True),
    ],
)
async def test_what_a_client_sent_is_no_witness(tmp_path: Path, offset: int, group_start: int, torn: bool) -> None:
    """A value may look like a record of a later write, in a record that is whole or itself torn."""
    forged, _ = encode_group([(b"run", b"forged")], offset, 1, group_start)
    segment, whole, start = await torn_write(tmp_path, [[b"one"]], [b"x" * 3000, forged + b"y" * 100])
    assert start < 200
    damaged = bytearray(whole)
    damaged[start + 100 : start + 200] = bytes(100)
    if torn:
        damaged[-50:] = bytes(50)
    segment.write_bytes(damaged)
    assert await values(tmp_path) == [b"one"]


async def test_a_flip_of_any_durable_byte_is_refused_with_file_and_place(tmp_path: Path) -> None:
    groups = [[b"one"], [b"two", b"three"], [b"four"]]
    segment = await fill(tmp_path, groups)
    whole = segment.read_bytes()
    for at in range(len(whole)):
        if 28 <= at < SEGMENT_HEADER_BYTES:
            continue  # the header's padding says nothing
        damaged = bytearray(whole)
        damaged[at] ^= 0x01
        segment.write_bytes(damaged)
        with pytest.raises(LogCorrupt, match=r"is damaged at byte \d+") as caught:
            await values(tmp_path)
        assert str(segment) in str(caught.value)
        assert segment.read_bytes() == damaged, "a refused file is left as it is"
    segment.write_bytes(whole)
    assert await values(tmp_path) == [b"one", b"two", b"three", b"four"]


async def test_without_its_mark_damage_before_a_later_write_is_refused_all_the_same(tmp_path: Path) -> None:
    """A power failure can lose the mark. A later write proves that what is before it was synced."""
    segment = await fill(tmp_path, [[b"one"], [b"two"], [b"three"]])
    whole = segment.read_bytes()
    last = len(whole) - RECORD_FIXED_BYTES - len(b"run") - len(b"three")
    for at in range(last):
        if 28 <= at < SEGMENT_HEADER_BYTES:
            continue
        (tmp_path / "0" / "durable").unlink(missing_ok=True)
        damaged = bytearray(whole)
        damaged[at] ^= 0x01
        segment.write_bytes(damaged)
        with pytest.raises(LogCorrupt):
            await values(tmp_path)


async def test_acknowledged_records_that_are_missing_at_the_end_are_refused(tmp_path: Path) -> None:
    segment = await fill(tmp_path, [[b"one"], [b"two"]])
    whole = segment.read_bytes()
    for end in range(len(whole)):
        segment.write_bytes(whole[:end])
        with pytest.raises(LogCorrupt):
            await values(tmp_path)
    segment.unlink()
    with pytest.raises(LogCorrupt, match="records 0 to 1 were durable and are missing"):
        await values(tmp_path)


async def test_damage_in_an_older_segment_is_refused_by_open_or_read(tmp_path: Path) -> None:
    groups = [[b"%d" % i * 400] for i in range(40)]
    await fill(tmp_path, groups, 4096)
    segments = sorted((tmp_path / "0").glob("*.segment"))
    assert len(segments) > 5
    victim = segments[2]
    damaged = bytearray(victim.read_bytes())
    damaged[200] ^= 1
    victim.write_bytes(damaged)
    with pytest.raises(LogCorrupt, match=victim.name):  # its index is there: open does not read it, reading does
        await values(tmp_path, 4096)
    victim.with_suffix(".index").unlink()
    with pytest.raises(LogCorrupt, match=victim.name):  # it has to be scanned: open refuses
        EmbeddedLog.open(tmp_path, segment_bytes=4096)
    victim.unlink()
    with pytest.raises(LogCorrupt, match="are missing"):
        EmbeddedLog.open(tmp_path, segment_bytes=4096)


async def test_a_new_segment_that_was_torn_at_its_first_write_goes_again(tmp_path: Path) -> None:
    segment = await fill(tmp_path, [[b"one" * 300], [b"two" * 300]], 4096)
    following = segment.with_name(f"{2:020d}.segment")
    for torn in (b"", b"RSLG", bytes(SEGMENT_HEADER_BYTES), bytes(5000)):
        following.write_bytes(torn)
        assert await values(tmp_path, 4096) == [b"one" * 300, b"two" * 300]
        assert not following.exists()
    await fill(tmp_path, [[b"three" * 800]], 4096)
    assert (await values(tmp_path, 4096))[2] == b"three" * 800


async def test_a_damaged_newest_segment_can_be_given_up_from_the_named_byte_on(tmp_path: Path) -> None:
    """The way out that docs/design/log.md gives to who has no copy."""
    segment = await fill(tmp_path, [[b"one"], [b"two"], [b"three"]])
    damaged = bytearray(segment.read_bytes())
    damaged[damaged.index(b"two")] ^= 1
    segment.write_bytes(damaged)
    with pytest.raises(LogCorrupt) as caught:
        EmbeddedLog.open(tmp_path)
    named = re.search(r"damaged at byte (\d+)", str(caught.value))
    assert named is not None
    os.truncate(segment, int(named[1]))
    (tmp_path / "0" / "durable").unlink()
    assert await values(tmp_path) == [b"one"]
    await fill(tmp_path, [[b"again"]])
    assert await values(tmp_path) == [b"one", b"again"]


APPENDER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from runstream_ingest.log.embedded import EmbeddedLog

    async def main(directory, start, seed):
        log = EmbeddedLog.open(Path(directory), partitions=2, segment_bytes=200_000)
        async def writer(name):
            i = 0
            while True:
                size = (seed * 7919 + i * 104729 + name * 31) % 9000
                value = b"%d:%d:%d:" % (start, name, i) + b"v" * size
                await log.append([(b"run-%d" % name, value)])
                sys.stdout.buffer.write(b"%d:%d:%d:%d\\n" % (start, name, i, size))
                sys.stdout.buffer.flush()
                i += 1
        await asyncio.gather(*(writer(name) for name in range(6)))

    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    """
)


def append_until_killed(directory: Path, kill: int, chance: random.Random) -> list[tuple[int, int, int, int]]:
    """Run six writers in a process, SIGKILL it at a random moment: what it said was acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(directory), str(kill), str(chance.randrange(1000))],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(chance.randrange(1, 200))]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.readlines()
    process.wait()
    process.stdout.close()
    fields = [line.strip().split(b":") for line in told if line.endswith(b"\n")]
    return [(int(start), int(name), int(i), int(size)) for start, name, i, size in fields]


async def test_sigkill_at_random_moments_loses_nothing_acknowledged_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(20260801)
    acknowledged: list[tuple[int, int, int, int]] = []
    for kill in range(KILLS):
        acknowledged += append_until_killed(tmp_path / "log", kill, chance)
    log = EmbeddedLog.open(tmp_path / "log", partitions=2, segment_bytes=200_000)
    held: list[bytes] = []
    for partition, end in (await log.next_offsets()).items():
        next_offset = 0
        while next_offset < end:
            records = await log.read(partition, next_offset, 1 << 20, 1.0)
            assert [r.offset for r in records] == list(range(next_offset, next_offset + len(records)))
            held += [record.value for record in records]
            next_offset += len(records)
    await log.close()
    assert len(held) == len(set(held)), "a record is there twice"
    expected = {b"%d:%d:%d:" % (start, name, i) + b"v" * size for start, name, i, size in acknowledged}
    assert len(expected) == len(acknowledged) > KILLS
    assert expected <= set(held)
    # What was never acknowledged may be there, but at most one append of each of six writers a kill.
    assert len(held) - len(acknowledged) <= 6 * KILLS
    print(f"{KILLS} kills, {len(acknowledged)} acknowledged, {len(held)} held")


class FailingDisk:
    """A disk that does as it is told: `budget_bytes` more can be written, and syncs may fail."""

    def __init__(self) -> None:
        self.budget_bytes = 1 << 40
        self.sync_error: int | None = None
        self.on_sync: Callable[[], object] = lambda: None

    def disk(self) -> Disk:
        return Disk(self.pwrite, self.fdatasync)

    def pwrite(self, descriptor: int, data: bytes | memoryview, position: int) -> int:
        if self.budget_bytes == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.pwrite(descriptor, memoryview(data)[: self.budget_bytes], position)
        self.budget_bytes -= written
        return written

    def fdatasync(self, descriptor: int) -> None:
        self.on_sync()
        if self.sync_error is not None:
            raise OSError(self.sync_error, os.strerror(self.sync_error))
        os.fdatasync(descriptor)


@pytest.mark.parametrize("left_bytes", [0, 1, 31, 32, 40, 100])
@pytest.mark.parametrize("held_before", [0, 3])
async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(
    tmp_path: Path, left_bytes: int, held_before: int
) -> None:
    failing = FailingDisk()
    log = EmbeddedLog.open(tmp_path, disk=failing.disk())
    for i in range(held_before):
        await log.append([(b"run", b"%d" % i)])
    failing.budget_bytes = left_bytes
    for _ in range(3):
        with pytest.raises(LogUnavailable, match="No space left"):
            await log.append([(b"run", b"refused" * 20)])
        assert await log.next_offsets() == {0: held_before}
        assert await log.read(0, held_before, 100, 0.0) == []
    failing.budget_bytes = 1 << 40
    await log.append([(b"run", b"after")])
    await log.close()
    assert await values(tmp_path) == [b"%d" % i for i in range(held_before)] + [b"after"]


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_after_a_failed_sync_nothing_of_it_is_trusted(tmp_path: Path, error: int) -> None:
    """The group is cut off and the next one goes into a new file, because the kernel may hold the old one's pages as
    clean without having written them."""
    failing = FailingDisk()
    log = EmbeddedLog.open(tmp_path, disk=failing.disk())
    await log.append([(b"run", b"before")])
    durable_bytes = (tmp_path / "0" / f"{0:020d}.segment").stat().st_size
    failing.sync_error = error
    appends = await asyncio.gather(*(log.append([(b"run", b"lost")]) for _ in range(4)), return_exceptions=True)
    assert all(isinstance(response, LogUnavailable) for response in appends)
    failing.sync_error = None
    await log.append([(b"run", b"after")])
    assert (tmp_path / "0" / f"{0:020d}.segment").stat().st_size == durable_bytes
    assert (tmp_path / "0" / f"{1:020d}.segment").exists()
    assert [record.value for record in await log.read(0, 0, 1000, 0.0)] == [b"before"]
    assert [record.value for record in await log.read(0, 1, 1000, 0.0)] == [b"after"]
    await log.close()
    assert await values(tmp_path) == [b"before", b"after"]


async def test_what_a_failed_sync_left_behind_is_not_read_even_if_it_could_not_be_cut(tmp_path: Path) -> None:
    """The cut itself may be lost in a power failure: the base of the next segment says where the older one ends."""
    failing = FailingDisk()
    log = EmbeddedLog.open(tmp_path, disk=failing.disk())
    await log.append([(b"run", b"before")])
    old = tmp_path / "0" / f"{0:020d}.segment"
    uncut: list[bytes] = []
    failing.sync_error = errno.EIO
    failing.on_sync = lambda: uncut.append(old.read_bytes())
    with pytest.raises(LogUnavailable):
        await log.append([(b"run", b"lost")])
    failing.sync_error, failing.on_sync = None, lambda: None
    await log.append([(b"run", b"after")])
    await log.close()
    assert b"lost" in uncut[0]
    old.write_bytes(uncut[0])
    old.with_suffix(".index").unlink()
    assert await values(tmp_path) == [b"before", b"after"]


async def test_unsynced_records_that_survive_are_synced_before_anyone_reads_them(tmp_path: Path) -> None:
    """After a SIGKILL the page cache holds whole records that no sync returned for. They are written and synced
    again at open, so that no reader sees what a power failure could still take."""
    _, whole, start = await torn_write(tmp_path, [[b"one"]], [b"two"])
    calls: list[tuple[str, int, int]] = []

    def pwrite(descriptor: int, data: bytes | memoryview, position: int) -> int:
        calls.append(("pwrite", position, len(data)))
        return os.pwrite(descriptor, data, position)

    def fdatasync(descriptor: int) -> None:
        calls.append(("fdatasync", 0, 0))
        os.fdatasync(descriptor)

    log = EmbeddedLog.open(tmp_path, disk=Disk(pwrite, fdatasync))
    assert calls == [("pwrite", start, len(whole) - start), ("fdatasync", 0, 0)]
    assert [record.value for record in await log.read(0, 0, 1000, 0.0)] == [b"one", b"two"]
    await log.close()


def cut_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [Path.unlink, cut_half, flip_middle])
async def test_a_lost_or_damaged_index_is_made_again(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    groups = [[b"%d" % i * 400] for i in range(40)]
    await fill(tmp_path, groups, 4096)
    indexes = sorted((tmp_path / "0").glob("*.index"))
    kept = [path.read_bytes() for path in indexes]
    for path in indexes:
        harm(path)
    assert await values(tmp_path, 4096) == [group[0] for group in groups]
    assert [path.read_bytes() for path in indexes] == kept


@pytest.mark.parametrize(
    "text",
    [
        '{"version": 1, "partitions": 1796027340454125}',
        '{"version": 1, "partitions": 0}',
        '{"version": 1, "partitions": 2}',
        '{"version": 1, "partitions": -1}',
        '{"version": 1, "partitions": Infinity}',
        '{"version": 1, "partitions": [1]}',
        '{"version": 1, "partitions": ' + "[" * 100_000,
        "",
    ],
    ids=lambda text: text[:40],
)
async def test_a_damaged_number_of_partitions_is_refused_and_makes_no_folder(tmp_path: Path, text: str) -> None:
    await fill(tmp_path, [[b"one"]])
    before = sorted(tmp_path.iterdir())
    (tmp_path / "log.json").write_text(text)
    with pytest.raises(LogCorrupt, match=r"log\.json"):
        EmbeddedLog.open(tmp_path, partitions=None)
    assert sorted(tmp_path.iterdir()) == before


async def test_a_partition_that_is_gone_is_refused_but_in_a_log_without_a_record(tmp_path: Path) -> None:
    await EmbeddedLog.open(tmp_path, partitions=3).close()
    shutil.rmtree(tmp_path / "1")
    log = EmbeddedLog.open(tmp_path, partitions=None)  # a first opening that a crash cut short looks like this
    await log.append([(b"run", b"one")])
    await log.close()
    (empty,) = [name for name in "012" if not any((tmp_path / name).glob("*.segment"))][:1]
    shutil.rmtree(tmp_path / empty)
    with pytest.raises(LogCorrupt, match=f"{empty} is not there"):
        EmbeddedLog.open(tmp_path, partitions=None)
