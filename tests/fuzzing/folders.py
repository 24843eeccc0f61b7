"""A folder of files as bytes, and a place to write it to."""

import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_ENTRY = struct.Struct("<HI")


def packed_folder(files: Mapping[str, bytes]) -> bytes:
    """Names, sizes and contents, one file behind the other."""
    return b"".join(_ENTRY.pack(len(name.encode()), len(data)) + name.encode() + data for name, data in files.items())


def unpacked_folder(data: bytes) -> dict[str, bytes]:
    """As many files as there are; what is cut (a smaller input of a fault) is as short as what is left."""
    files: dict[str, bytes] = {}
    at = 0
    while at + _ENTRY.size <= len(data):
        name_size, size = _ENTRY.unpack_from(data, at)
        at += _ENTRY.size
        name = data[at : at + name_size].decode(errors="replace")
        at += name_size
        parts = [part for part in name.split("/") if part.isascii() and part.strip(".\0 ")]
        if parts:
            files["/".join(parts)] = data[at : at + size]
        at += size
    return files


@contextmanager
def on_disk(files: Mapping[str, bytes]) -> Iterator[Path]:
    """The files in a new folder, in memory where the system has a place for that; removed afterwards."""
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="runstream-fuzz-", dir=parent))
    try:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
