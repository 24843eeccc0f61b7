"""An offline run goes to the server that is set when it is sent, whatever was set when it was started."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from kit.servers.embedded import Server
from runstream.sender.retarget import retarget_offline
from runstream.spool.format import Acked, WriterInfo

TRAIN = """
import runstream as rs, sys
with rs.init(project="p", run_id="off-1", mode="offline", dir=sys.argv[1], system_metrics_s=0) as run:
    for step in range(10):
        run.log({"loss": step}, step=step)
"""


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    subprocess.run([sys.executable, "-c", TRAIN, str(folder)], check=True, capture_output=True)
    return folder


def test_sync_sends_an_offline_run_to_the_server_that_is_set_now(tmp_path: Path, spool: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with Server(data) as server:
        command = [
            sys.executable,
            "-m",
            "runstream_infra.cli",
            "sync",
            "--dir",
            str(spool),
            "--url",
            server.url,
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["complete"] is True
        with urllib.request.urlopen(f"{server.url}/api/v1/runs/off-1/summaries?wait_for=0:0", timeout=120) as response:
            assert '"count":10' in response.read().decode()


def test_a_spool_that_does_not_exist_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runstream_infra.cli", "sync", "--dir", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nowhere does not exist, so nothing was ever logged there" in done.stderr


def test_where_a_server_moved_to_has_to_be_given(spool: Path) -> None:
    command = [sys.executable, "-m", "runstream_infra.cli", "sync", "--dir", str(spool)]
    done = subprocess.run([*command, "--moved-from", "http://old:7070"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--moved-from needs the new address: give --url or RUNSTREAM_URL" in done.stderr


def test_a_writer_that_a_server_began_to_acknowledge_stays_with_it(spool: Path) -> None:
    [folder] = (spool / "writers").iterdir()
    before = WriterInfo.read(folder)
    (folder / "acked").write_bytes(Acked(next_seq=1, offset=100).pack())
    assert retarget_offline(spool, "http://other:7070", "key-of-sixteen-chars") == 0
    assert WriterInfo.read(folder) == before
    (folder / "acked").unlink()
    assert retarget_offline(spool, "http://other:7070", "key-of-sixteen-chars") == 1
    after = WriterInfo.read(folder)
    assert (after.url, after.api_key) == ("http://other:7070", "key-of-sixteen-chars")
    assert retarget_offline(spool, "http://other:7070", "key-of-sixteen-chars") == 0
