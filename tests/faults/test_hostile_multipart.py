"""Multipart bodies that are malformed, and storage that is full: words, and nothing that is left. (About 15 s.)"""

import errno
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kit.comet.gateway import KEY, Log, Served, form_of, serving
from runstream.events.control import AssetLogged
from runstream_ingest.assets import LocalAssets, local

UPLOAD = f"api/rest/v2/write/experiment/upload-asset?experimentKey={KEY}&fileName=a"
FORM = "multipart/form-data; boundary=B"
NAMED = b'--B\r\nContent-Disposition: form-data; name="file"\r\n'
FILE = NAMED + b"\r\ncontent\r\n"
END = b"--B--\r\n"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, Log()) as started:
        await started.begun()
        yield started


def files_in(folder: Path) -> list[Path]:
    return [path for path in (folder / "assets").rglob("*") if path.is_file()]


async def sent(served: Served, body: bytes, kind: str = FORM) -> tuple[int, str]:
    status, response = await served.send_with({"Content-Type": kind}, UPLOAD, body)
    return status, response.get("msg", "")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "does not stand in it"),
        (b"\r\n" * 200, "does not stand in it"),
        (FILE + END.replace(b"B", b"C"), "does not end"),
        (FILE.replace(b"--B", b"--C") + END, "no part `file`"),
        (FILE, "does not end"),
        (FILE[:-2], "does not end"),
        (NAMED + b"\r\nconte", "does not end"),
        (NAMED, "ends within the headers"),
        (NAMED[:-9], "ends within the headers"),
        (FILE + b"--B", "ends within a boundary"),
        (FILE + b"--Bx\r\n\r\n", "behind a boundary"),
        (FILE.replace(b"\r\n", b"\n") + END, "behind a boundary"),
        (b"--B\r\n\r\ncontent\r\n" + END, "no Content-Disposition"),
        (b"--B\r\nno header at all\r\n\r\ncontent\r\n" + END, "which is none"),
        (b"--B\r\nContent-Disposition: attachment; name=file\r\n\r\ncontent\r\n" + END, "no Content-Disposition"),
        (b"--B\r\nContent-Disposition: form-data\r\n\r\ncontent\r\n" + END, "no name"),
        (b'--B\r\nContent-Disposition: form-data; name=""\r\n\r\ncontent\r\n' + END, "no name"),
        (b'--B\r\nContent-Disposition: form-data; filename="; name=\\"file\\""\r\n\r\ncontent\r\n' + END, "no name"),
        (b'--B\r\nContent-Disposition: form-data; name="file\r\n\r\ncontent\r\n' + END, "no name"),
        (NAMED + b"Content-Transfer-Encoding: base64\r\n\r\nY29udGVudA==\r\n" + END, "base64"),
        (NAMED + b"Content-Transfer-Encoding: no such\r\n\r\ncontent\r\n" + END, "no such"),
        (NAMED + b"Content-Encoding: gzip\r\n\r\ncontent\r\n" + END, "gzip"),
        (NAMED + b"Content-Type: multipart/mixed; boundary=C\r\n\r\n--C--\r\n" + END, "parts of its own"),
        (FILE + FILE + END, "twice"),
        (FILE + FILE.replace(b"file", b"thumbnail") + END, "twice"),
        (FILE.replace(b"file", b"metadata") * 2 + FILE + END, "twice"),
        (FILE.replace(b"file", b"other") + END, "no part `file`"),
        (END, "no part `file`"),
        (FILE + NAMED.replace(b"file", b"metadata") + b"\r\n" + b"x" * 200_000 + b"\r\n" + END, "more than"),
        (FILE + NAMED.replace(b"file", b"x") + b"X: " + b"x" * 200_000 + b"\r\n\r\n\r\n" + END, "headers"),
        (b"x" * 5_000 + b"\r\n" + FILE + END, "first 1000 bytes"),
        (FILE + END + b"x" * 5_000, "behind its end"),
        (b"".join(FILE.replace(b"file", b"%d" % n) for n in range(150)) + FILE + END, "100 parts"),
    ],
)  # fmt: skip
async def test_a_malformed_body_is_refused_with_words_and_leaves_nothing(
    served: Served, tmp_path: Path, body: bytes, words: str
) -> None:
    status, told = await sent(served, body)
    assert (status, words in told) == (400, True), told
    assert files_in(tmp_path) == []
    assert len(await served.log.read(0, 0, 1 << 30, 0.0)) == 1


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "B" * 71,
        'multipart/form-data; boundary="B',
        "multipart/form-data; boundary=B\u00e9",
        "multipart/form-data; x=B",
        "multipart/",
    ],
)
async def test_a_body_without_a_boundary_is_refused(served: Served, tmp_path: Path, kind: str) -> None:
    assert (await sent(served, FILE + END, kind))[0] == 400
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "body",
    [
        FILE + END,
        FILE + END[:-2],
        b"preamble\r\n" + FILE + END + b"epilogue",
        NAMED + b"Content-Transfer-Encoding: binary\r\n\r\ncontent\r\n" + END,
        FILE.replace(b"--B\r\n", b"--B \t\r\n") + END,
        b'--B\r\ncontent-disposition: form-data; filename="; name=\\"x\\""; name="file"\r\n\r\ncontent\r\n' + END,
        b"--B\r\nContent-Disposition: form-data; filename=a; name=file\r\n\r\ncontent\r\n" + END,
        NAMED.replace(b"file", b"x") + b"\r\n\r\n" + FILE + END,
    ],
)
async def test_a_body_that_is_in_order_is_stored(served: Served, tmp_path: Path, body: bytes) -> None:
    assert (await sent(served, body))[0] == 200
    [logged] = [event for event in (await served.folded()).events if isinstance(event, AssetLogged)]
    [path] = files_in(tmp_path)
    assert (path.name, path.read_bytes()) == (logged.sha256, b"content")


async def test_what_looks_like_a_boundary_is_content(served: Served, tmp_path: Path) -> None:
    content = (b"\r\n--" + b"\r\n-" + b"--B" + b"\r\r\n--C") * 50_000 + b"\r\n"
    assert (await served.send_with({"Content-Type": FORM}, UPLOAD, NAMED + b"\r\n" + content + b"\r\n" + END))[0] == 200
    [path] = files_in(tmp_path)
    assert path.read_bytes() == content


async def test_a_file_goes_into_the_storage_and_nowhere_else(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory for temporary files is full, or not there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))
    form = form_of(bytes(5_000_000))
    assert (await served.send(UPLOAD, form))[0] == 200
    assert [path.stat().st_size for path in files_in(tmp_path)] == [5_000_000]


@pytest.mark.parametrize("size", [10, 5_000_000])
@pytest.mark.parametrize("where", ["write", "keep"])
async def test_a_full_disk_is_told_and_leaves_nothing(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, where: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "write":
        monkeypatch.setattr(local._Staged, "write", full)
    else:
        monkeypatch.setattr(local, "_publish", full)
    status, response = await served.send(UPLOAD, form_of(bytes(size)))
    assert (status, "free some space" in response["msg"]) == (503, True)
    async with served.client.put(f"{served.url}/ingest/v1/assets/{'a' * 64}", data=bytes(size)) as told:
        assert told.status == (503 if where == "write" else 422)
    assert files_in(tmp_path) == []
    monkeypatch.undo()
    assert (await served.send(UPLOAD, form_of(bytes(size))))[0] == 200


CHILD = """
import asyncio, sys
from pathlib import Path
from runstream_ingest.assets import LocalAssets

async def chunks():
    yield bytes(1_000_000)
    print("WRITTEN", flush=True)
    await asyncio.sleep(600)
    yield b""

asyncio.run(LocalAssets(Path(sys.argv[1])).receive(chunks(), 1 << 30))
"""


def test_what_a_killed_server_left_goes_at_the_next_start_and_what_a_live_one_writes_stays(tmp_path: Path) -> None:
    def child() -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "WRITTEN\n"
        return process

    killed = child()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(list((tmp_path / "incoming").iterdir())) == 1
    alive = child()
    try:
        LocalAssets(tmp_path)
        assert len(list((tmp_path / "incoming").iterdir())) == 1, "that of the one that is alive"
    finally:
        alive.kill()
        alive.wait()
    LocalAssets(tmp_path)
    assert list((tmp_path / "incoming").iterdir()) == []
