"""Code as it was uploaded: one Python file, or an archive (zip) of a folder. Nothing of an archive is believed."""

import io
import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Final

MAIN: Final = "train.py"
_MAX_ENTRIES: Final = 20_000
_MAX_NAME_BYTES: Final = 1_000
#: Of the central directory: 20,000 entries with 400 bytes each. In memory it takes up to ten times as much.
_MAX_DIRECTORY_BYTES: Final = 8_000_000
_PIECE_BYTES: Final = 1 << 18
#: What `zipfile` and the libraries below it raise for archives that are damaged, encrypted or of an unknown kind.
_DAMAGED: Final = (
    *(zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error, lzma.LZMAError),
    *(struct.error, IndexError, KeyError),
)


class BadCode(Exception):
    """The code cannot be used. The message says what to upload instead."""


class _Bounded(io.BufferedReader):
    """A file of which `zipfile` reads the central directory at once, or not at all where it is too large."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _MAX_DIRECTORY_BYTES:
            raise BadCode(
                f"the archive has a directory of {size} bytes, at most {_MAX_DIRECTORY_BYTES} are read: pack less"
            )
        return super().read(size)


def unpack(uploaded: Path, name: str, folder: Path, limit_bytes: int) -> Path:
    """Put the code into a new folder, and return the folder in it that has `train.py`. `name`: as it was uploaded.
    Raises BadCode, OSError."""
    folder.mkdir(mode=0o700)
    if zipfile.is_zipfile(uploaded):
        try:
            with _Bounded(io.FileIO(uploaded)) as file, zipfile.ZipFile(file) as archive:
                _extract(archive, folder, limit_bytes)
        except _DAMAGED as error:
            raise BadCode(f"the archive {name} cannot be unpacked ({error}): pack it again") from None
        return _root_of(folder, name)
    if not name.endswith(".py"):
        raise BadCode(f"the code {name} is neither a Python file nor a zip archive: upload one of these, or a folder")
    shutil.copyfile(uploaded, folder / MAIN)
    return folder


def _extract(archive: zipfile.ZipFile, folder: Path, limit_bytes: int) -> None:
    entries = archive.infolist()
    if len(entries) > _MAX_ENTRIES:
        raise BadCode(f"the archive has {len(entries)} entries, at most {_MAX_ENTRIES} are unpacked: pack less")
    declared = sum(one.file_size for one in entries)
    if declared > limit_bytes:
        raise BadCode(f"the archive unpacks to {declared} bytes, at most {limit_bytes} are kept: pack less")
    left = limit_bytes
    for entry in entries:
        target = folder / _checked(entry)
        if entry.is_dir():
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with archive.open(entry) as packed, target.open("xb") as file:
            while piece := packed.read(_PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    raise BadCode(f"the archive unpacks to more than {limit_bytes} bytes, against what it says itself")
                file.write(piece)


def _checked(entry: zipfile.ZipInfo) -> PurePosixPath:
    """The path of an entry below the folder. Raises BadCode for one that leads elsewhere, or that is no file."""
    name = entry.filename
    path = PurePosixPath(name)
    shown = name[:100]
    if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        raise BadCode(f"the archive has an entry {shown!r}, which leads out of its folder: pack the folder itself")
    if len(name.encode("utf-8", "replace")) > _MAX_NAME_BYTES:
        raise BadCode(f"the archive has an entry whose name is too long, {shown!r}...: give shorter names")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadCode(f"the archive has an entry {shown!r}, which is a link or a device: pack the files themselves")
    return path


def _root_of(folder: Path, name: str) -> Path:
    """The folder with `train.py`: of an archive of a folder, the one folder in it."""
    if (folder / MAIN).is_file():
        return folder
    inside = [one for one in folder.iterdir() if one.name != "__MACOSX"]
    if len(inside) == 1 and (inside[0] / MAIN).is_file():
        return inside[0]
    raise BadCode(f"the archive {name} has no {MAIN}: it has to be at its top, with a function train")
