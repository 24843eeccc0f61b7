"""The setting that sends frames straight into Kafka, up to the sender's door."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import runstream as rs
from runstream.client import starting
from runstream.clock import SYSTEM_CLOCK
from runstream.errors import InvalidSetting
from runstream.sender.process import connected_to_kafka
from runstream.sender.retarget import retarget_moved, retarget_offline
from runstream.sender.transport import InvalidTarget
from runstream.spool.format import Acked, WriterInfo

INGEST = "kafka://broker-1:9092,broker-2:9092/frames"


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spool that nobody sends."""
    monkeypatch.setattr("runstream.client.living.keep_sender", lambda *_: None)
    monkeypatch.setenv("RUNSTREAM_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("RUNSTREAM_SYSTEM_METRICS_S", "0")
    monkeypatch.setenv("RUNSTREAM_CAPTURE_CODE", "0")
    return tmp_path / "spool"


def infos(spool: Path) -> list[WriterInfo]:
    return [WriterInfo.read(folder) for folder in sorted((spool / "writers").iterdir())]


@pytest.mark.sockets  # a run id makes `init` ask whether the run was deleted
def test_a_writer_says_where_its_frames_go(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_INGEST", INGEST)
    rs.init(run_id="direct").finish(timeout_s=0)
    monkeypatch.delenv("RUNSTREAM_INGEST")
    rs.init(run_id="through").finish(timeout_s=0)
    assert {info.run_id: info.ingest for info in infos(spool)} == {"direct": INGEST, "through": ""}


def test_a_folder_of_an_older_version_goes_to_its_gateway(spool: Path) -> None:
    rs.init().finish(timeout_s=0)
    [folder] = (spool / "writers").iterdir()
    fields = json.loads((folder / "writer.json").read_text())
    del fields["ingest"]
    (folder / "writer.json").write_text(json.dumps(fields))
    assert WriterInfo.read(folder).ingest == ""


def test_an_address_that_is_none_is_refused_by_init(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSTREAM_INGEST", "kafka://broker:9092")
    with pytest.raises(InvalidSetting, match=r"environment RUNSTREAM_INGEST.*give kafka://HOST:PORT"):
        rs.init()
    assert not spool.exists()


def test_without_the_extra_init_says_what_to_install(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_installed(name: str) -> bool:
        assert name == "aiokafka"
        return False

    monkeypatch.setattr(starting, "is_installed", is_installed)
    monkeypatch.setenv("RUNSTREAM_INGEST", INGEST)
    with pytest.raises(InvalidSetting, match=r"pip install 'runstream\[kafka\]'"):
        rs.init()
    assert not spool.exists()
    rs.init(mode="offline").finish()  # whoever syncs it needs the package, not this machine
    assert [info.ingest for info in infos(spool)] == [INGEST]


def test_without_the_extra_the_sender_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "runstream.sender.kafka", raising=False)
    monkeypatch.setitem(sys.modules, "aiokafka", None)
    with pytest.raises(InvalidTarget, match=r"package aiokafka: pip install 'runstream\[kafka\]'"):
        connected_to_kafka(INGEST, SYSTEM_CLOCK)


def test_nothing_of_kafka_is_loaded_without_the_setting() -> None:
    requested = "import sys, runstream.sender.process, runstream.client.starting; print('aiokafka' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", requested], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_sync_may_send_offline_runs_another_way(spool: Path) -> None:
    rs.init(mode="offline").finish()
    assert retarget_offline(spool, "http://new:7070", None, INGEST) == 1
    assert [(info.url, info.ingest) for info in infos(spool)] == [("http://new:7070", INGEST)]


def test_a_server_that_moved_takes_what_was_begun_and_only_what_was_its_own(spool: Path) -> None:
    for run_id, url in (("begun", "http://old:7070"), ("other", "http://elsewhere:7070")):
        rs.init(run_id=run_id, url=url).finish(timeout_s=0)
    for folder in (spool / "writers").iterdir():
        (folder / "acked").write_bytes(Acked(next_seq=1, offset=100).pack())
    assert retarget_moved(spool, "http://old:7070/", "http://new:7070", "key-of-sixteen-chars") == 1
    assert {info.run_id: (info.url, info.api_key) for info in infos(spool)} == {
        "begun": ("http://new:7070", "key-of-sixteen-chars"),
        "other": ("http://elsewhere:7070", None),
    }
