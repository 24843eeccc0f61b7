"""Giving up what a spool has of a writer, and naming where online runs go."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.sending.spool_maker import SpoolMaker, writer_info
from runstream.errors import Invalid
from runstream.sender.discarding import discardable
from runstream.sender.lock import sender_lives

#: An address at which nobody listens.
NOBODY = "http://127.0.0.1:1"


def stuck(spool: Path, number: int = 1, rows: int = 10, url: str = NOBODY) -> SpoolMaker:
    """A writer that lives, with an event and rows that nobody acknowledged."""
    maker = SpoolMaker(spool, writer_info(f"{number:032x}", url))
    maker.event(type="run_started.v1", at_us=1, workspace="w", project="p")
    for step in range(rows):
        maker.row(["a"], step, [float(step)])
    return maker


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    """A spool whose sender, which `sync` starts for a writer that lives, is ended."""
    yield tmp_path
    if sender_lives(tmp_path):
        os.kill(int((tmp_path / "sender.lock").read_text()), signal.SIGTERM)


def cli(spool: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runstream_infra.cli", "sync", "--dir", str(spool), *options]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)


def test_a_dead_writer_is_discarded_and_a_sender_lets_go_of_it(tmp_path: Path) -> None:
    maker, other = stuck(tmp_path), stuck(tmp_path, 2)
    maker.die()
    other.die()
    with subprocess.Popen(
        [sys.executable, "-m", "runstream.sender", "--dir", str(tmp_path), "--idle-exit-s", "0.5"]
    ) as sender:
        for wanted in (maker.info.run_id, other.info.writer_id):
            (found,) = discardable(tmp_path, wanted)
            assert found.records == 11
            found.discard()
        assert sender.wait(120) == 0, "nobody needs it any more"
    assert not list((tmp_path / "writers").iterdir())


def test_a_writer_whose_process_lives_is_not_discarded(tmp_path: Path) -> None:
    maker = stuck(tmp_path)
    with pytest.raises(Invalid, match=r"process \d+ still writes to run run-000001: end it before"):
        discardable(tmp_path, maker.info.run_id)
    maker.die()


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    for spool in (tmp_path, tmp_path / "none"):
        with pytest.raises(Invalid, match="has nothing of a run or writer 'nope'"):
            discardable(spool, "nope")


def test_a_damaged_folder_goes_by_its_name(tmp_path: Path) -> None:
    maker = stuck(tmp_path)
    (maker.folder / "writer.json").write_text("{")
    with pytest.raises(Invalid, match="is damaged, and a process holds its lock: end the program"):
        discardable(tmp_path, maker.folder.name)
    maker.die()
    (found,) = discardable(tmp_path, maker.folder.name)
    found.discard()
    assert not maker.folder.exists()


def test_the_command_asks_first(tmp_path: Path) -> None:
    maker = stuck(tmp_path)
    maker.die()
    refused = cli(tmp_path, "--discard", maker.info.run_id)
    assert refused.returncode == 2
    assert "discard 11 records of 1 writers that were not sent? Nobody can be asked here: give --yes" in refused.stderr
    assert maker.folder.exists()
    done = cli(tmp_path, "--discard", maker.info.run_id, "--yes")
    assert (done.returncode, maker.folder.exists()) == (0, False), done.stderr


def test_sync_to_another_server_names_the_way_for_online_runs(spool: Path) -> None:
    maker = stuck(spool)
    done = cli(spool, "--url", "http://127.0.0.1:2", "--timeout", "0")
    assert f"runstream sync --moved-from {NOBODY} --url http://127.0.0.1:2" in " ".join(done.stderr.split())
    same = cli(spool, "--url", NOBODY, "--timeout", "0")
    assert "--moved-from" not in same.stderr
    maker.die()
