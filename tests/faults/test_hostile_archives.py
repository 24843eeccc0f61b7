"""Names that somebody gave to files lead nowhere: not out of an archive of ours, not out of a download's folder."""

import asyncio
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import unicodedata
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from runstream.api.parts.artifact_files import target_of
from runstream.api.parts.saving import saved, target_in, targets_of
from runstream.errors import Invalid
from runstream.events.positions import Positions
from runstream_ingest.assets.local import LocalAssets
from runstream_protocols.kit.archives import NAMES_FILE, stream_zip
from runstream_query.http.context import Context
from runstream_query.http.files import file_headers
from runstream_query.http.outgoing import Outgoing
from runstream_query.settings import QuerySettings
from runstream_service.problems import problem_middleware

NAMES = [
    *("../../tmp/pwned", "/etc/cron.d/x", "C:\\x", "..\\..\\x", "\\\\host\\share\\x", "a/../../../x", "./.", ""),
    *("..", "/", "CON", "aux.txt", "a.", "a ", " a", "a:b", "nul\0byte", "line\nbreak", "\x1b[2J", "turn\u202eexe.txt"),
    *("x" * 300 + ".bin", "same", "same", "SAME", "same/below", "a\u0308", "\u00e4", "ﬁ", "fi", "plain.bin"),
    *("folder ☃/plain.bin", "d/" * 200 + "x"),
    *(NAMES_FILE, "~/x", "$(id)", "-rf", "*", "|sh", "%2e%2e/x", "\ud800lone"),
]


async def context_of(folder: Path, **settings: int) -> Context:
    storage = LocalAssets(folder)
    visibility = SimpleNamespace(visible=Positions)
    bounds = QuerySettings(**settings)
    made = SimpleNamespace(assets=storage, visibility=visibility, settings=bounds, outgoing=Outgoing(bounds))
    return cast(Context, made)


async def stored(context: Context, content: bytes) -> str:
    sha256 = hashlib.sha256(content).hexdigest()

    async def chunks() -> AsyncIterator[bytes]:
        yield content

    await cast(LocalAssets, context.assets).write(sha256, chunks(), 10_000)
    return sha256


async def archive(context: Context, name: str, files: list[tuple[str, str, int]]) -> tuple[int, Any, bytes]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await stream_zip(context, request, name, files)

    app = web.Application(middlewares=[problem_middleware()])
    app.router.add_get("/", handle)
    async with TestClient(TestServer(app)) as client, client.get("/") as response:
        return response.status, response.headers, await response.read()


async def test_an_archive_has_safe_names_only_and_says_what_they_were(tmp_path: Path) -> None:
    context = await context_of(tmp_path / "assets")
    contents = [f"content {number}".encode() for number in range(len(NAMES))]
    files = [(name, await stored(context, content), 10**12) for name, content in zip(NAMES, contents, strict=True)]
    status, headers, body = await archive(context, 'm"; x="\r\nSet-Cookie: a=b\u202e.zip', files)
    assert status == 200
    assert "Set-Cookie" not in headers
    assert "sandbox" in headers["Content-Security-Policy"]
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        assert packed.testzip() is None
        entries = packed.namelist()
        *made, names_file = entries
        assert [packed.read(name) for name in made] == contents
        was = json.loads(packed.read(names_file))
        assert was == {name: given for name, given in zip(made, NAMES, strict=True) if name != given}
        assert "plain.bin" in made
        assert "folder ☃/plain.bin" in made
        packed.extractall(tmp_path / "python")
    folded = {unicodedata.normalize("NFKC", name).casefold() for name in entries}
    assert len(folded) == len(entries)
    for name in entries:
        assert not re.search(r'(^|/)\.{0,2}(/|$)|[\\:*?"<>|\x00-\x1f\u202a-\u202e]', name), name
    assert files_below(tmp_path / "python") == sorted(entries)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["assets", "python"]


def files_below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def test_other_programs_unpack_it_to_the_same_names(tmp_path: Path) -> None:
    if shutil.which("unzip") is None:
        pytest.skip("no unzip")
    context = await context_of(tmp_path / "assets")
    names = [name for name in NAMES if len(name) < 255]
    files = [(name, await stored(context, name.encode(errors="replace")), 1) for name in names]
    _, _, body = await archive(context, "m.zip", files)
    (tmp_path / "m.zip").write_bytes(body)
    out = tmp_path / "out"
    command = ["unzip", "-q", "m.zip", "-d", "out"]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, capture_output=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(io.BytesIO(body)) as packed:
        assert files_below(out) == sorted(packed.namelist())


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"max_archive_files": 2}, 413),
        ({"max_archive_bytes": 29}, 413),
        ({"max_archive_files": 3, "max_archive_bytes": 30}, 200),
    ],
)
async def test_an_archive_that_is_too_large_does_not_begin_and_the_way_around_is_told(
    tmp_path: Path, settings: dict[str, int], status: int
) -> None:
    """By what is stored, not by what somebody logged as its size."""
    context = await context_of(tmp_path / "assets", **settings)
    files = [(f"{number}", await stored(context, b"0123456789"), 0) for number in range(3)]
    answered, _, body = await archive(context, "m.zip", files)
    assert answered == status
    if status == 413:
        told = json.loads(body)
        assert told["type"] == "urn:runstream:problem:archive-too-large"
        assert "one by one" in told["detail"]


@pytest.mark.parametrize("name", [*NAMES, 'x"; filename=evil.exe', "a\r\nX: y", "☃" * 10_000])
def test_no_name_breaks_out_of_a_header(name: str) -> None:
    value = file_headers(name, "text/html")["Content-Disposition"]
    assert value.isascii()
    assert value.isprintable()
    assert value.count('"') == 2
    assert len(value) < 1_200, "clients refuse longer ones"


@pytest.mark.parametrize(
    "name", ["../x", "/x", "..", ".", "\\x", "C:\\x", "a/../../x", "nul\0", "a\nb", "", "x" * 5_000]
)
def test_a_single_download_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    target = target_in(tmp_path, name, "../asset-id")
    assert target.parent == tmp_path
    assert target.name not in ("", ".", "..")
    with saved(target) as file:
        file.write(b"x")
    assert target.read_bytes() == b"x"


def test_a_download_does_not_write_through_links(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    for folder in (outside, inside):
        folder.mkdir()
    (outside / "kept").write_bytes(b"kept")
    (inside / "link").symlink_to(outside)
    (inside / "file").symlink_to(outside / "kept")
    (inside / "loop").symlink_to(inside / "loop")
    with pytest.raises(Invalid, match="symbolic link"):
        target_of(inside, "link/x")
    with saved(inside / "file", inside) as file:
        file.write(b"new")
    assert ((inside / "file").read_bytes(), (outside / "kept").read_bytes()) == (b"new", b"kept")
    target = target_of(inside, "later/x")
    (inside / "later").symlink_to(outside)
    with pytest.raises(Invalid, match="symbolic link"), saved(target, inside):
        pass
    assert [path.name for path in outside.iterdir()] == ["kept"]


def test_a_failed_download_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    def fetch() -> None:
        with saved(folder / "x") as file:
            file.write(b"half")
            raise RuntimeError("the server broke off")

    with pytest.raises(RuntimeError):
        fetch()
    assert list(folder.iterdir()) == []


def test_names_that_cannot_be_written_as_they_are_are_changed_and_the_others_kept(tmp_path: Path) -> None:
    names = ["a.bin", "b/turn\u202etxt.exe", "b/c.bin", "CON", "a:b"]
    made = [path.relative_to(tmp_path).as_posix() for path in targets_of(tmp_path, names)]
    assert made == ["a.bin", "b/turn_txt.exe", "b/c.bin", "CON", "a:b"]
    with pytest.raises(Invalid, match="cannot be written"):
        targets_of(tmp_path, ["fine", "../not"])
