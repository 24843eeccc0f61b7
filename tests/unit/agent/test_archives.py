"""Code as it is uploaded: what is unpacked, and what is refused."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runstream.agent.archives import BadCode, unpack

LIMIT = 1_000_000


def archive(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries:
            made.writestr(name, content)
    return packed.getvalue()


def unpacked(folder: Path, content: bytes, name: str = "code.zip", limit_bytes: int = LIMIT) -> Path:
    uploaded = folder / "uploaded"
    uploaded.write_bytes(content)
    return unpack(uploaded, name, folder / "code", limit_bytes)


def of_kind(name: str, kind: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (kind | 0o777) << 16
    return entry


def test_a_python_file_is_the_code_whatever_it_is_called(tmp_path: Path) -> None:
    assert unpacked(tmp_path, b"x = 1\n", "model.py") == tmp_path / "code"
    assert (tmp_path / "code" / "train.py").read_text() == "x = 1\n"


@pytest.mark.parametrize("prefix", ["", "package/"])
def test_an_archive_has_train_at_its_top_or_in_its_one_folder(tmp_path: Path, prefix: str) -> None:
    content = archive((f"{prefix}train.py", b"a"), (f"{prefix}deep/er/x.py", b"b"), ("__MACOSX/._x", b"c"))
    root = unpacked(tmp_path, content)
    assert root == tmp_path / "code" / prefix.rstrip("/")
    assert (root / "deep" / "er" / "x.py").read_bytes() == b"b"


def lying(content: bytes, size: int) -> bytes:
    """An archive that says of its first entry that it unpacks to less than it does."""
    said = struct.pack("<L", size)
    return content[:22] + said + content[26:].replace(struct.pack("<L", 5 * LIMIT), said)


BAD: dict[str, Callable[[], bytes]] = {
    "leads up": lambda: archive(("../train.py", b"")),
    "leads up later": lambda: archive(("a/../../train.py", b"")),
    "is absolute": lambda: archive(("/tmp/train.py", b"")),
    "has the signs of another system": lambda: archive(("a\\..\\train.py", b"")),
    "is a link": lambda: archive((of_kind("train.py", stat.S_IFLNK), b"/etc/passwd")),
    "is a device": lambda: archive((of_kind("train.py", stat.S_IFCHR), b"")),
    "is a bomb": lambda: archive(("train.py", b"0" * (5 * LIMIT))),
    "is a bomb of many": lambda: archive(*((f"{number}.py", b"0" * 300_000) for number in range(20))),
    "is a bomb that lies": lambda: lying(archive(("train.py", b"0" * (5 * LIMIT))), 10),
    "has too many entries": lambda: archive(*((f"{number}.py", b"") for number in range(20_001))),
    "has too long a name": lambda: archive(("a/" * 600 + "train.py", b"")),
    "has no train.py": lambda: archive(("model.py", b"")),
    "has two folders": lambda: archive(("a/train.py", b""), ("b/train.py", b"")),
    "is empty": lambda: archive(),
    "is cut off": lambda: archive(("train.py", b"x" * 1_000))[:-30],
    "is damaged": lambda: archive(("train.py", bytes(range(256)) * 50)).replace(b"\x03\x04", b"\x03\x05", 1),
    "is no archive": lambda: b"#!/bin/sh\n",
}


@pytest.mark.parametrize("what", sorted(BAD))
def test_an_archive_that_means_no_good_is_refused(tmp_path: Path, what: str) -> None:
    with pytest.raises(BadCode):
        unpacked(tmp_path, BAD[what]())
    outside = {path.name for path in tmp_path.iterdir()}
    assert outside == {"uploaded", "code"}, "nothing was written elsewhere"
    assert sum(path.stat().st_size for path in (tmp_path / "code").rglob("*") if path.is_file()) <= LIMIT


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 200), st.binary(max_size=4))
def test_any_bytes_are_unpacked_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, at: int, spoilt: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    whole = archive(("train.py", content), ("a/b.py", content))
    try:
        unpacked(folder, whole[:at] + spoilt + whole[at + len(spoilt) :])
    except (BadCode, OSError):
        return
    assert (folder / "code" / "train.py").exists()
