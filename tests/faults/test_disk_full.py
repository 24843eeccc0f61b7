"""A disk that runs full under the server, and one that runs full under the spool: nothing is lost, and it goes on."""

import errno
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.servers.embedded import Server, Trainers, check, rebuild_is_equal, wait_until_visible
from runstream_processors.store.chdb import ChdbStore
from runstream_processors.store.migrate import migrate
from runstream_processors.store.tables import column_names, encode_rows
from runstream_service.store import StoreUnavailable

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")

#: The server's disk runs full. `make faults KILLS=1000` fills it more often.
TIMES = max(2, int(os.environ.get("RUNSTREAM_KILLS", "0")) // 20)


class SmallDisk:
    """A file system of its own that can grow."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.folder = folder
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine mounts no file system for us: {done.stderr.strip()}")

    def free_bytes(self) -> int:
        figures = os.statvfs(self.folder)
        return figures.f_bavail * figures.f_frsize

    def grow(self, megabytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={megabytes}m", str(self.folder)], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


def fill(path: Path) -> None:
    """Write until there is no room at all."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(descriptor, b"\0" * 4096):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(descriptor)


async def test_an_insert_that_found_no_room_says_so(disk: SmallDisk) -> None:
    store = await ChdbStore.open(disk.folder / "store")
    await migrate(store)
    row = {"key": "k", "part": 0, "offset": 1, "writer": "w", "seq": 1, "at": 1, "type": "t", "body": "x" * 50}
    block = encode_rows("events", [row])
    filler = disk.folder / "filler"
    for _ in range(2):
        fill(filler)
        with pytest.raises(StoreUnavailable, match="NOT_ENOUGH_SPACE"):
            await store.insert("events", column_names("events"), block, 1)
        filler.unlink()
        await store.insert("events", column_names("events"), block, 1)
    found = (await store.query("SELECT count() AS n FROM events")).to_pylist()
    await store.close()
    assert found == [{"n": 2}]


@pytest.fixture(params=[60])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    small = SmallDisk(tmp_path / "disk", megabytes=request.param)
    yield small
    small.unmount()


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def set_aside(data: Path) -> list[Path]:
    """The stores that the server found damaged."""
    return sorted(data.glob("store.damaged-*"))


def test_the_servers_disk_runs_full_and_is_freed(tmp_path: Path, disk: SmallDisk) -> None:
    data = disk.folder / "data"
    data.mkdir()
    filler = disk.folder / "filler"
    with Server(data) as server, Trainers(tmp_path, server.url, count=2) as trainers:
        time.sleep(1)
        for _ in range(TIMES):
            # Somebody else takes all that is left; then it is given back.
            fill(filler)
            time.sleep(1.5)
            with urllib.request.urlopen(f"{server.url}/healthz", timeout=120) as response:
                assert response.status == 200
            filler.unlink()
            time.sleep(1)
        trainers.finish()
        wait_until_visible(server.url, trainers.runs(), timeout_s=120)
        server.stop()
    points = check(data, trainers)
    mended = len(set_aside(data))
    print(f"\nfull disk under the server: {TIMES} times; {points} points, 0 lost, 0 doubled, tables new: {mended}")
    for damaged in set_aside(data):
        shutil.rmtree(damaged)  # the comparison needs the room
    rebuild_is_equal(data)


def test_a_server_whose_store_is_damaged_makes_its_tables_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with Server(data) as server:
        with Trainers(tmp_path, server.url, count=1, burst=100) as trainers:
            time.sleep(1)
            trainers.finish()
            wait_until_visible(server.url, trainers.runs())
        server.stop()
        # What a write that failed leaves behind: a part with an empty file. All of them, because one alone may be of
        # those that were merged and that nobody reads any more, or of the list of migrations, which are applied again.
        for content in (data / "store" / "engine" / "store").glob("*/*/all_*/data.bin"):
            os.truncate(content, 0)
        server.start()
        wait_until_visible(server.url, trainers.runs())
        server.stop()
    assert len(set_aside(data)) == 1
    check(data, trainers)


@pytest.mark.parametrize("disk", [24], indirect=True)
def test_the_spools_disk_runs_full_and_is_freed(tmp_path: Path, disk: SmallDisk) -> None:
    data = tmp_path / "data"
    data.mkdir()
    spool = disk.folder / "spool"
    with Server(data) as server:
        server.kill()  # nothing is sent, so the spool grows until the disk is full
        with Trainers(tmp_path, server.url, count=2, spool=spool, burst=20_000) as trainers:
            # A writer's largest segment has 8 MiB, and each holds one in reserve.
            wait_until(lambda: disk.free_bytes() < 9_000_000, 60, "the disk did not run full")
            time.sleep(1)  # the reserves are used up, and rows go into memory
            disk.grow(2000)
            server.start()
            trainers.finish()
            wait_until_visible(server.url, trainers.runs())
            server.stop()
    points = check(data, trainers)
    print(f"\nfull disk under the spool: {points} points, 0 lost, 0 doubled")
