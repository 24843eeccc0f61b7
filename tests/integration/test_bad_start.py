"""`runstream up` where something is in the way of it: one sentence that names it and says what to do, exit code 1."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kit.children.forked import ForkedChild, run_forked
from runstream.events.encoding import encode_frame
from runstream.events.positions import Positions
from runstream_infra.embedded import open_parts
from runstream_infra.rebuilding import rebuild_and_compare
from runstream_infra.settings import ServerSettings

RECORDS = 30
WRITER = "ab" * 16


def note(seq: int) -> tuple[bytes, bytes]:
    event = b'[[%d,{"type":"run_notes_set.v1","at_us":1,"notes":"%s"}]]' % (seq, b"x" * 100)
    return b"run-1", encode_frame(WRITER, "run-1", seq, seq + 1, event)


async def fold(directory: Path, partitions: int) -> None:
    async with open_parts(ServerSettings(data_dir=directory, partitions=partitions)) as parts:
        await parts.log.append([note(seq) for seq in range(RECORDS)])
        ends = await parts.log.next_offsets()
        await parts.worker.catch_up(Positions(ends))


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with everything of a short log in its tables."""
    directory = tmp_path_factory.mktemp("start") / "data"
    asyncio.run(fold(directory, partitions=1))
    return directory


@pytest.fixture
def data(folded: Path, tmp_path: Path) -> Path:
    """A copy of it. Its links are relative, so that a data directory can be copied and moved."""
    return shutil.copytree(folded, tmp_path / "data", symlinks=True)


def up(data: Path, *options: str) -> str:
    """Start a server that must not come up; what it said last."""
    done = run_forked("runstream_infra.cli", "up", "--port", "0", "--data-dir", data, *options)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout
    return done.stderr


def starts(data: Path) -> None:
    """A server comes up and ends in order."""
    errors = data.parent / "server.log"
    arguments = ("up", "--port", "0", "--data-dir", data)
    server = ForkedChild("runstream_infra.cli", *arguments, environment=os.environ, errors=errors)
    with server.stdout:
        ready = server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) == 0, errors.read_text()
    assert "ready at" in ready


def test_a_copy_of_a_data_directory_works(data: Path) -> None:
    starts(data)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0"], "has no API key: give one"),
        (["--host", "no-such-host.invalid", "--api-key", "k" * 20], "no address has that name"),
        (["--api-key", "short"], "give at least 16"),
        (["--partitions", "4"], "has 1 partitions, asked for were 4: open it with 1"),
    ],
)
def test_options_that_cannot_be(data: Path, options: Sequence[str], words: str) -> None:
    assert words in up(data, *options)


def test_a_port_that_is_taken(data: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        output = up(data, "--port", str(port))
    assert f"cannot listen on 127.0.0.1:{port} (" in output
    assert "give another --port" in output


def segment(data: Path) -> Path:
    return next((data / "log").rglob("*.segment"))


def overwrite(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * 8)


def in_the_way(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("no directory")


def damage_columns(data: Path) -> None:
    columns = [path for path in (data / "store").rglob("*.bin") if path.stat().st_size > 30]
    assert columns
    for path in columns:
        overwrite(path, 20)


def empty_checksums(data: Path) -> None:
    for path in (data / "store").rglob("checksums.txt"):
        path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: overwrite(segment(data), 3000), "segment is damaged at byte"),
        (lambda data: overwrite(segment(data), 0), "the segment's header is damaged"),
        (lambda data: (data / "log" / "log.json").write_text("[]"), "log.json cannot be read"),
        (lambda data: shutil.rmtree(data / "log"), "it is another log, or an older copy. Put the right one back"),
        (lambda data: in_the_way(data / "log"), "cannot be used"),
        (lambda data: in_the_way(data / "store"), "cannot be used"),
        (lambda data: in_the_way(data / "assets"), "cannot be used"),
    ],
    ids=["record", "header", "shape", "no-log", "log-file", "store-file", "assets-file"],
)
def test_a_damaged_directory(data: Path, damage: Callable[[Path], object], words: str) -> None:
    damage(data)
    assert words in up(data)


@pytest.mark.parametrize("damage", [damage_columns, empty_checksums])
def test_damaged_tables_are_set_aside_and_made_again(data: Path, damage: Callable[[Path], object]) -> None:
    damage(data)
    starts(data)
    assert len(list(data.glob("store.damaged-*"))) == 1
    check_tables(data)


def test_tables_are_made_again_where_they_were_moved_away(data: Path) -> None:
    (data / "store").rename(data.parent / "damaged")
    starts(data)
    check_tables(data)


def check_tables(data: Path) -> None:
    """They hold what the log holds."""
    result = asyncio.run(rebuild_and_compare(ServerSettings(data_dir=data)))
    assert result.equal
    assert {table.table: table.live.rows for table in result.tables}["events"] == RECORDS


def test_a_log_of_several_partitions_is_rebuilt_as_it_is(tmp_path: Path) -> None:
    asyncio.run(fold(tmp_path / "data", partitions=3))
    result = asyncio.run(rebuild_and_compare(ServerSettings(data_dir=tmp_path / "data")))
    assert result.equal
