"""How `finish` waits, and how `init` finds out whether a run is there."""

import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import runstream as rs
from runstream.client.waiting import sender_reason, wait_until_acknowledged
from runstream.clock import Clock
from runstream.errors import RunExists, RunMissing, Unavailable
from runstream.sender.lock import SpoolLock
from runstream.sender.status import ChannelStatus, SenderStatus, WriterStatus
from runstream.spool.format import Acked

WRITER = "a" * 32


class Waiting:
    """Time that goes on only by sleeping, and a sender that acknowledges at given times."""

    def __init__(self, folder: Path, acknowledges: dict[float, int]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.now_s = 0.0
        self.messages: list[tuple[float, str]] = []
        self._acknowledges = sorted(acknowledges.items())

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        while self._acknowledges and self._acknowledges[0][0] <= self.now_s:
            (self.folder / "acked").write_bytes(Acked(self._acknowledges.pop(0)[1], 0, 64).pack())

    def wait(self, next_seq: int, timeout_s: float, stalled_s: float | None = None) -> bool:
        clock = Clock(monotonic_s=lambda: self.now_s)
        return wait_until_acknowledged(
            self.folder,
            next_seq,
            timeout_s,
            clock,
            self.sleep,
            lambda text: self.messages.append((self.now_s, text)),
            stalled_s,
        )


def _status(folder: Path, **fields: Any) -> None:
    channel = ChannelStatus(url="http://x", **fields)
    SenderStatus(pid=1, version="0", state="running", started_us=0, updated_us=0, targets=(channel,)).write(
        folder.parent.parent
    )


def test_what_is_acknowledged_soon_is_waited_for_in_silence(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path / "spool" / "writers" / WRITER, {0.5: 3, 1.0: 10})
    assert waiting.wait(10, 30)
    assert waiting.messages == []
    assert 1.0 <= waiting.now_s < 1.1


def test_a_folder_that_somebody_removed_ends_the_wait(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path / "spool" / "writers" / WRITER, {})
    waiting.folder.rmdir()
    assert not waiting.wait(10, 30)
    assert waiting.now_s == 0


def test_a_long_wait_says_how_far_it_is_and_ends(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path / "spool" / "writers" / WRITER, {3.0: 4})
    assert not waiting.wait(1000, 30)
    assert 30 <= waiting.now_s < 30.1
    assert [round(at_s) for at_s, _ in waiting.messages] == [2, 12, 22]
    assert "1,000 of 1,000" in waiting.messages[0][1]
    assert "996 of 1,000" in waiting.messages[1][1]


def test_no_time_is_no_wait(tmp_path: Path) -> None:
    waiting = Waiting(tmp_path / "spool" / "writers" / WRITER, {})
    assert not waiting.wait(1, 0)
    assert waiting.now_s == 0


def test_a_server_that_is_away_is_not_waited_for_to_the_end(
    tmp_path: Path, make_writer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_writer().folder  # of http://127.0.0.1:1
    waiting = Waiting(tmp_path / "other", {})
    waiting.folder = folder
    lock = SpoolLock(folder.parent.parent)
    assert lock.take()
    channel = ChannelStatus(url="http://127.0.0.1:1", state="retrying", last_error="Connection refused")
    SenderStatus(pid=1, version="0", state="running", started_us=0, updated_us=0, targets=(channel,)).write(
        folder.parent.parent
    )
    assert not waiting.wait(5, 30, stalled_s=10)
    assert 10 <= waiting.now_s < 10.1
    assert "Connection refused" in waiting.messages[0][1]
    lock.release()


def test_without_a_sender_it_says_so_and_asks_for_one(make_writer: Any, tmp_path: Path) -> None:
    waiting = Waiting(tmp_path / "other", {})
    waiting.folder = make_writer().folder
    wanted: list[float] = []
    assert not wait_until_acknowledged(
        waiting.folder,
        5,
        3.0,
        Clock(monotonic_s=lambda: waiting.now_s),
        waiting.sleep,
        lambda text: waiting.messages.append((waiting.now_s, text)),
        keep_sender=lambda: wanted.append(waiting.now_s),
    )
    assert len(wanted) >= 5
    assert "no sender runs" in waiting.messages[0][1]


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (None, "no sender has said anything yet"),
        ({"state": "stopped"}, "the sender has stopped"),
        ({"unusable": {WRITER: "no writer.json"}}, "no writer.json"),
        ({"targets": (ChannelStatus("http://x"),)}, None),
        ({"targets": (ChannelStatus("http://y", last_error="away"),)}, None),
        ({"targets": (ChannelStatus("http://x", last_error="away"),)}, "away"),
        (
            {"targets": (ChannelStatus("http://x", telling=(WriterStatus(WRITER, "r", 1, 2, 3, problem="refused"),)),)},
            "refused",
        ),
        (
            {"targets": (ChannelStatus("http://x", telling=(WriterStatus("b", "r", 1, 2, 3, problem="refused"),)),)},
            None,
        ),
    ],
)
def test_the_senders_reason(status: dict[str, Any] | None, reason: str | None) -> None:
    base: dict[str, Any] = {"pid": 1, "version": "0", "state": "running", "started_us": 0, "updated_us": 0}
    messages = SenderStatus(**{**base, **status}) if status is not None else None
    assert sender_reason(messages, WRITER, "http://x") == reason


class _Server(http.server.BaseHTTPRequestHandler):
    """Has the run `there`, fails for `broken`, and keeps what it was asked."""

    requested: list[tuple[str, str | None]] = []  # noqa: RUF012 - one server a test

    def do_GET(self) -> None:
        self.requested.append((self.path, self.headers.get("Authorization")))
        status = {"/api/v1/runs/there": 200, "/api/v1/runs/broken": 500}.get(self.path, 404)
        body = {
            200: b'{"run":{"run":"there"},"last_step":41}',
            404: b'{"type":"urn:runstream:problem:no-such-run"}',
        }.get(status, b"{}")
        self.send_response(status)
        self.send_header("Runstream-Protocol", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    _Server.requested = []
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}"
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Arguments of a run without captures, whose sender is not started."""
    monkeypatch.setattr("runstream.client.sending.ensure_sender", lambda spool: None)
    return {
        "dir": tmp_path / "spool",
        "capture_console": False,
        "capture_code": False,
        "system_metrics_s": 0,
        "finish_timeout_s": 0,
    }


@pytest.mark.sockets
def test_resuming_asks_the_server(server: str, quiet: dict[str, Any], read: Any) -> None:
    run = rs.init(run_id="there", resume="must", url=server, api_key="k", **quiet)
    assert _Server.requested == [("/api/v1/runs/there", "Bearer k")]
    assert run.spool_folder is not None
    assert read(run.spool_folder).events[0][1]["resumed"] is True
    run.log({"a": 1})
    assert run.last_step == 42
    assert rs.init(run_id="there", resume="allow", resume_from_step=7, url=server, **quiet).last_step == 6
    assert rs.init(run_id="not-there", resume="allow", url=server, **quiet).spool_folder is not None
    with pytest.raises(RunMissing, match=r"run nope is not there.*check the id"):
        rs.init(run_id="nope", resume="must", url=server, **quiet)
    with pytest.raises(RunExists, match="run there is there already"):
        rs.init(run_id="there", resume="never", url=server, **quiet)
    assert rs.init(run_id="new", resume="never", url=server, **quiet).run_id == "new"
    with pytest.raises(Unavailable, match="answered 500"):
        rs.init(run_id="broken", resume="must", url=server, **quiet)


@pytest.mark.sockets
def test_without_a_server_the_spool_knows(quiet: dict[str, Any], read: Any) -> None:
    away = "http://127.0.0.1:1"
    first = rs.init(run_id="r", url=away, **quiet)
    for step in (3, 900, 4):
        first.log({"a": 1}, step=step)
    first.sample({"system/cpu": 1.0}, 5_000)
    with pytest.raises(RunExists):
        rs.init(run_id="r", resume="never", url=away, **quiet)
    assert rs.init(run_id="r", resume="must", url=away, **quiet).last_step == 900
    with pytest.raises(Unavailable, match=r"http://127.0.0.1:1 cannot be asked"):
        rs.init(run_id="other", resume="must", url=away, **quiet)
    with pytest.raises(Unavailable, match="offline"):
        rs.init(run_id="other", resume="never", mode="offline", **quiet)
    allowed = rs.init(run_id="other", resume="allow", url=away, **quiet)
    assert allowed.spool_folder is not None
    assert read(allowed.spool_folder).events[0][1]["resumed"] is False
    assert first.finish(timeout_s=0) is False


def test_a_sender_that_cannot_start_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, quiet: dict[str, Any]
) -> None:
    def broken(_: Path) -> None:
        raise OSError("no processes left")

    monkeypatch.setattr("runstream.client.sending.ensure_sender", broken)
    run = rs.init(url="http://127.0.0.1:1", **quiet)
    run.log({"a": 1})
    run.finish(timeout_s=0.01)
    assert caplog.text.count("no processes left") == 1
    assert "runstream sync" in caplog.text


def test_a_run_whose_spool_can_never_be_written_again_ends_all_the_same(
    quiet: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    run = rs.init(url="http://127.0.0.1:1", **quiet)
    run.log({"a": 1})
    spool: Path = quiet["dir"]
    shutil.rmtree(spool)
    spool.write_text("a file where the spool was")
    run.log({"a": 2})
    assert run.finish(timeout_s=0.1) is False
    assert rs.active_run() is not run
    assert "was removed, and there can be no other" in caplog.text
    assert "stands in the spool" not in caplog.text
    run.log({"a": 3})
    assert caplog.text.count("is finished") == 1
