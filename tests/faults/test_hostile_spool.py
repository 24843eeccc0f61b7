"""A spool in which somebody else put something: nothing of it is sent, nothing of it hangs or ends the sender."""

import hashlib
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from kit.sending.collector import Collector
from kit.sending.spool_maker import SpoolMaker, writer_info
from runstream.errors import Unusable
from runstream.private import NotPrivate, make_root, open_own, read_own
from runstream.sender.retarget import retarget_moved
from runstream.sender.status import SenderStatus, read_status
from runstream.sender.sync import sync
from runstream.spool.format import Acked, SpoolCorrupt, WriterInfo
from runstream_infra.cli.spool_state import read_spool
from runstream_ingest.assets.local import LocalAssets
from runstream_ingest.log.embedded import EmbeddedLog

GOOD, ODD = "1" * 32, "2" * 32
OTHER_USER = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def wait(done: Callable[[], bool], timeout_s: float = 240.0) -> bool:
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        if done():
            return True
        time.sleep(0.02)
    return False


def writer(spool: Path, url: str, writer_id: str) -> SpoolMaker:
    maker = SpoolMaker(spool, writer_info(writer_id, url))
    (maker.folder / "assets").mkdir()
    maker.event(type="run_started.v1", at_us=1, workspace="w", project="p")
    maker.row(["a"], 0, [1.0])
    return maker


def log_asset(maker: SpoolMaker, sha256: str, size_bytes: int) -> None:
    asset: dict[str, Any] = {"asset_id": "x", "name": "m.bin", "kind": "model", "size_bytes": size_bytes}
    maker.event(type="asset_logged.v1", at_us=2, sha256=sha256, **asset)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def folder(path: Path) -> None:
    path.mkdir()


def link_to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def unreadable(path: Path) -> None:
    path.write_bytes(b"x")
    path.chmod(0)


def deep(path: Path) -> None:
    path.write_bytes(b"[" * 60_000)


def of_other_types(path: Path) -> None:
    fields = dict.fromkeys(WriterInfo.__slots__, 7)
    path.write_text(json.dumps({**fields, "writer_id": ODD, "mode": "online"}))


def of_another(path: Path) -> None:
    path.write_bytes(b"{}")
    os.chown(path, OTHER_USER, OTHER_USER)


ODDITIES = (fifo, a_socket, folder, link_to_zero, link_to_itself, huge, unreadable, deep, of_other_types, of_another)
#: Files of a writer's folder. What its own writer has open (the segment) is put there before anything is read.
FILES = ("writer.json", "acked", "lock", "corrupt", "00000000.rows", "00000001.rows", "assets", "²³.rows")


@pytest.mark.parametrize("odd", ODDITIES)
def test_whatever_stands_in_the_place_of_a_file_the_sender_goes_on_and_stops(
    tmp_path: Path, collector: Collector, odd: Callable[[Path], None]
) -> None:
    """One sender, a good writer, and beside it one writer for each of its files, in whose place something else is."""
    if odd is of_another and os.geteuid() != 0:
        pytest.skip("only root can give files to another user")
    spool = tmp_path / "spool"
    odd_ones = [writer(spool, collector.url, f"{number:032x}") for number in range(16, 16 + len(FILES))]
    for maker, name in zip(odd_ones, FILES, strict=True):
        path = maker.folder / name
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        odd(path)
    good = writer(spool, collector.url, GOOD)
    good.event(type="run_finished.v1", at_us=3)
    for name in ("sender.json", "sync.wanted", "removed", "rejected"):
        odd(spool / name)
    sender = subprocess.Popen([sys.executable, "-m", "runstream.sender", "--dir", str(spool)])
    try:
        assert wait(lambda: GOOD in collector.writers and collector.writers[GOOD].next_seq == 3)
        assert sender.poll() is None
        assert read_spool(spool).path == spool, "the doctor looks at it as well"
        sender.send_signal(signal.SIGTERM)
        assert sender.wait(120) == 0
    finally:
        sender.kill()
        sender.wait()
    assert collector.conflicts == []
    assert "Traceback" not in (spool / "sender.log").read_text()


@pytest.mark.parametrize("name", ["sender.lock", "sender.log"])
@pytest.mark.parametrize("odd", [fifo, a_socket, folder, link_to_zero, link_to_itself])
def test_a_sender_that_cannot_have_its_own_files_says_so_and_ends(
    tmp_path: Path, name: str, odd: Callable[[Path], None]
) -> None:
    spool = tmp_path / "spool"
    writer(spool, "http://127.0.0.1:9", GOOD)
    odd(spool / name)
    run = subprocess.run(
        [sys.executable, "-m", "runstream.sender", "--dir", str(spool), "--idle-exit-s", "0"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 1
    assert str(spool / name) in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("kind", ["symlink", "other content", "fifo", "device", "directory"])
def test_an_asset_that_is_not_what_was_logged_is_not_sent(tmp_path: Path, collector: Collector, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"a private key")
    spool = tmp_path / "spool"
    maker = writer(spool, collector.url, GOOD)
    sha256 = hashlib.sha256(b"a private key" if kind == "symlink" else b"weights").hexdigest()
    path = maker.folder / "assets" / sha256
    match kind:
        case "symlink":
            path.symlink_to(secret)
        case "other content":
            path.write_bytes(b"a private key")
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case _:
            path.mkdir()
    log_asset(maker, sha256, 13)
    maker.event(type="run_finished.v1", at_us=3)
    maker.die()
    result = sync(spool, timeout_s=240)
    assert collector.assets == {}
    [left] = result.left
    assert "is not sent" in left.reason
    assert collector.writers[GOOD].next_seq == 4, "what comes behind it is there"
    assert len(list((spool / "rejected").glob("*.json"))) == 1


@needs_root
def test_a_writer_of_another_user_in_a_shared_spool_is_passed_over(tmp_path: Path, collector: Collector) -> None:
    spool = tmp_path / "spool"
    secret = tmp_path / "secret"
    secret.write_bytes(b"root's own")
    secret.chmod(0o600)
    foreign = writer(spool, collector.url, ODD)
    sha256 = hashlib.sha256(b"root's own").hexdigest()
    (foreign.folder / "assets" / sha256).symlink_to(secret)
    log_asset(foreign, sha256, 10)
    foreign.die()
    for path in (foreign.folder, *foreign.folder.rglob("*")):
        os.chown(path, OTHER_USER, OTHER_USER, follow_symlinks=False)
    good = writer(spool, collector.url, GOOD)
    good.event(type="run_finished.v1", at_us=3)
    good.die()
    result = sync(spool, timeout_s=240)
    assert GOOD in collector.writers
    assert ODD not in collector.writers
    assert collector.assets == {}
    [left] = result.left
    assert f"belongs to user {OTHER_USER}" in left.reason
    before = (foreign.folder / "writer.json").read_bytes()
    retarget_moved(spool, collector.url, "http://127.0.0.1:9", "a-key-of-mine-a-key")
    assert (foreign.folder / "writer.json").read_bytes() == before, "no key is written where another user reads it"


@needs_root
def test_a_spool_of_another_user_is_refused_and_that_of_nobody_else_is_tightened() -> None:
    """In a child that is not root: root may use every directory."""
    folder = Path(tempfile.mkdtemp())  # pytest's own is closed to others
    theirs, ours = folder / "theirs", folder / "ours"
    folder.chmod(0o755)
    for each, owner in ((theirs, OTHER_USER + 1), (ours, OTHER_USER)):
        each.mkdir()
        each.chmod(0o777)
        os.chown(each, owner, owner)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(OTHER_USER)
            os.setuid(OTHER_USER)
            try:
                make_root(theirs)
                told = "accepted"
            except NotPrivate as error:
                told = str(error)
            make_root(ours)
            os.write(write, told.encode())
        finally:
            os._exit(0)
    os.close(write)
    told = os.read(read, 10_000).decode()
    os.close(read)
    os.waitpid(child, 0)
    assert f"belongs to user {OTHER_USER + 1}, not to {OTHER_USER}" in told
    assert "directory of your own" in told
    assert stat.S_IMODE(ours.stat().st_mode) == 0o700
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o777
    shutil.rmtree(folder)


def modes(folder: Path) -> dict[str, str]:
    """What others could do to what lies in there."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & 0o077:
            found[str(path.relative_to(folder))] = oct(mode)
    return found


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_nothing_of_a_spool_is_for_others_whatever_the_umask(tmp_path: Path, collector: Collector, umask: int) -> None:
    before = os.umask(umask)
    try:
        spool = tmp_path / "spool"
        run = rs.init(mode="offline", url=collector.url, dir=spool, system_metrics_s=0, capture_code=False)
        run.log({"loss": 1.0})
        run.log_asset(b"weights", name="m.bin")
        run.finish()
        assert modes(spool) == {}
        kept = spool / "rejected"

        def refuse(_writer: str, first: int, end: int) -> tuple[int, dict[str, object]] | None:
            # The record, not what the sender puts in its place.
            return (422, {"title": "no"}) if first <= 1 < end and not list(kept.glob("*.json")) else None

        collector.refusal = refuse
        sync(spool, timeout_s=240)
        assert list((spool / "rejected").iterdir())
        assert {path.name for path in spool.iterdir()} >= {"rejected", "sender.json", "sender.lock"}
        assert modes(spool) == {}
        online = writer(spool, collector.url, GOOD)
        online.event(type="run_finished.v1", at_us=3)
        online.die()
        subprocess.run(
            [sys.executable, "-m", "runstream.sender", "--dir", str(spool), "--idle-exit-s", "0.5"], timeout=120
        )
        assert modes(spool) == {}
    finally:
        os.umask(before)


def test_a_spool_of_an_earlier_version_is_tightened(tmp_path: Path, collector: Collector) -> None:
    spool = tmp_path / "spool"
    maker = writer(spool, collector.url, GOOD)
    for path in (spool, *spool.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    maker.event(type="run_finished.v1", at_us=3)
    maker.die()
    # What the doctor opens is tightened by that alone.
    read_spool(spool)
    assert stat.S_IMODE((maker.folder / "writer.json").stat().st_mode) == 0o600
    assert sync(spool, timeout_s=240).complete
    assert modes(spool) == {}


async def test_the_directories_of_a_server_are_for_its_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        loose = tmp_path / "log"
        loose.mkdir(mode=0o755)
        log = EmbeddedLog.open(loose)
        await log.append([(b"k", b"v")])
        await log.close()
        assets = LocalAssets(tmp_path / "assets")

        async def chunks() -> "object":
            yield b"weights"

        await assets.write(hashlib.sha256(b"weights").hexdigest(), chunks(), 100)  # type: ignore[arg-type]
    finally:
        os.umask(before)
    assert modes(loose) == {}
    assert modes(tmp_path / "assets") == {}


# Parts.


def test_a_file_is_read_within_a_bound_and_only_if_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    assert read_own(path, 5) == b"12345"
    with pytest.raises(NotPrivate, match="5 bytes, at most 4"):
        read_own(path, 4)
    for odd in (fifo, a_socket, link_to_zero):
        other = tmp_path / odd.__name__
        odd(other)
        for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT):
            with pytest.raises(NotPrivate, match="not a plain file"):
                open_own(other, flags)


@pytest.mark.parametrize("pid", [-1, 0, True, "1", None, 1.5])
def test_a_status_that_names_no_process_is_none(tmp_path: Path, pid: object) -> None:
    """Whoever sends a signal to process -1 ends everything of its user."""
    SenderStatus(os.getpid(), "0", "running", 0, 0).write(tmp_path)
    path = tmp_path / "sender.json"
    assert read_status(tmp_path) is not None
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": pid}))
    assert read_status(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"url": 7},
        {"url": None},
        {"pid": "x"},
        {"pid": True},
        {"rank": "0"},
        {"api_key": 7},
        {"mode": []},
        {"run_id": {}},
    ]
    + [{"writer_id": each} for each in ("", "../../x", "1" * 31, "A" * 32, 7)],
)
def test_a_writer_json_with_other_types_is_damaged(tmp_path: Path, change: dict[str, object]) -> None:
    writer_info(GOOD, "http://x").write(tmp_path)
    path = tmp_path / "writer.json"
    assert WriterInfo.read(tmp_path).writer_id == GOOD
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(SpoolCorrupt, match=next(iter(change))):
        WriterInfo.read(tmp_path)


def test_init_into_something_that_is_no_directory_of_ours_says_so(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "writers").symlink_to(tmp_path)
    with pytest.raises(Unusable, match="symbolic link"):
        rs.init(mode="offline", dir=tmp_path / "spool")
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unusable, match="not a directory"):
        rs.init(mode="offline", dir=tmp_path / "file")
    assert Acked.read(tmp_path) == Acked()
