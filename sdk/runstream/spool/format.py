"""The spool's layout on disk: names, headers, marks (docs/design/spool.md). Shared by the writer and the reader."""

import json
import os
import struct
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from runstream.private import NotPrivate, open_own, read_own

SEGMENT_MAGIC: Final = b"RSPL"
SEGMENT_VERSION: Final = 1
#: magic, version, first_seq, writer id, created (us since 1970 UTC), crc32 of what is before it; padded to 64 bytes.
SEGMENT_HEADER: Final = struct.Struct("<4sIQ16sqI")
SEGMENT_HEADER_BYTES: Final = 64

KIND: Final = struct.Struct("<I")
SIZED: Final = struct.Struct("<II")  # kind, size of what follows, the commit mark not counted
KIND_NONE: Final = 0  # nothing was written here yet
KIND_SCHEMA: Final = 1
KIND_EVENT: Final = 2
#: A row's kind is this plus the number of its schema in the segment (0, 1, ...).
KIND_ROW: Final = 0x10000
#: Every record ends with it; no prefix of a record can look finished, because it is written last.
COMMIT: Final = 0x5AC0FFEE
COMMIT_BYTES: Final = struct.pack("<I", COMMIT)
ROW_HEAD_BYTES: Final = KIND.size
ROW_TAIL_BYTES: Final = len(COMMIT_BYTES)

_ACKED: Final = struct.Struct("<QQII")
#: A writer.json holds two addresses, a key and a few names: some 600 bytes.
_MAX_INFO_BYTES: Final = 64_000
#: Segments have at most 8 MiB, or the size of their largest record: a row of 20,000 metrics with its schema (names of
#: at most 500 bytes) has 10.2 MB.
MAX_SEGMENT_FILE_BYTES: Final = 64_000_000
#: The numbers that fit into `acked`.
_MAX_SEGMENT_DIGITS: Final = 9


class SpoolCorrupt(Exception):
    """Bytes of the spool do not check out; the message names the file and the place. Nothing behind it is read."""


def row_struct(metrics: int) -> struct.Struct:
    """The whole row record: kind, step, time in ns, the values, commit mark."""
    return struct.Struct(f"<Iqq{metrics}dI")


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    first_seq: int
    writer_id: str
    created_us: int

    def pack(self) -> bytes:
        """64 bytes."""
        writer = bytes.fromhex(self.writer_id)
        body = SEGMENT_HEADER.pack(SEGMENT_MAGIC, SEGMENT_VERSION, self.first_seq, writer, self.created_us, 0)[:-4]
        return (body + zlib.crc32(body).to_bytes(4, "little")).ljust(SEGMENT_HEADER_BYTES, b"\0")

    @classmethod
    def unpack(cls, data: bytes | memoryview, path: Path) -> Self:
        """Raises SpoolCorrupt naming `path`."""
        if len(data) < SEGMENT_HEADER_BYTES:
            raise SpoolCorrupt(f"{path} has {len(data)} bytes, a segment's header alone has {SEGMENT_HEADER_BYTES}")
        magic, version, first_seq, writer, created_us, crc = SEGMENT_HEADER.unpack_from(data)
        if magic != SEGMENT_MAGIC:
            raise SpoolCorrupt(f"{path} is no spool segment: it begins with {bytes(magic)!r}, not {SEGMENT_MAGIC!r}")
        if version != SEGMENT_VERSION:
            raise SpoolCorrupt(f"{path} has version {version}, this runstream reads {SEGMENT_VERSION}: upgrade it")
        if zlib.crc32(bytes(data[: SEGMENT_HEADER.size - 4])) != crc:
            raise SpoolCorrupt(f"the header of {path} is damaged: its checksum does not match")
        return cls(first_seq, writer.hex(), created_us)


@dataclass(frozen=True, slots=True)
class WriterInfo:
    """Who writes into a writer's folder and where it is to be sent. `writer.json`, mode 0600."""

    writer_id: str
    run_id: str
    workspace: str
    project: str
    rank: int | None
    pid: int
    #: psutil's create_time of that process, so that a later process with the same pid is not taken for it.
    process_started_s: float
    url: str
    api_key: str | None
    #: "online" is sent by the sender; "offline" waits for `runstream sync`.
    mode: str
    created_us: int
    sdk_version: str
    #: Where frames go instead of the gateway at `url`: an address of Kafka. Empty: to the gateway.
    ingest: str = ""

    def write(self, folder: Path) -> None:
        write_private_json(folder / "writer.json", asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises SpoolCorrupt; FileNotFoundError while the writer has not written it yet."""
        path = folder / "writer.json"
        try:
            # What an older version left out has its default.
            fields = {"ingest": "", **json.loads(read_own(path, _MAX_INFO_BYTES))}
            info = cls(**{name: fields[name] for name in cls.__slots__})
        except FileNotFoundError:
            raise
        except NotPrivate as error:
            raise SpoolCorrupt(str(error)) from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise SpoolCorrupt(f"{path} cannot be read: {error!r}") from None
        wrong = next((name for name, kinds in _INFO_TYPES.items() if not _is_one_of(getattr(info, name), kinds)), None)
        if wrong is not None or not _is_id(info.writer_id):
            wrong = wrong or "writer_id"
            raise SpoolCorrupt(f"{path} cannot be read: its {wrong} is {str(getattr(info, wrong))[:80]!r}")
        return info


_INFO_TYPES: Final[dict[str, tuple[type, ...]]] = {
    **dict.fromkeys(("writer_id", "run_id", "workspace", "project", "url", "mode", "sdk_version", "ingest"), (str,)),
    **dict.fromkeys(("pid", "created_us"), (int,)),
    "rank": (int, type(None)),
    "process_started_s": (int, float),
    "api_key": (str, type(None)),
}


def _is_one_of(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _is_id(text: str) -> bool:
    return len(text) == 32 and not text.strip("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Acked:
    """How far a writer's spool is acknowledged: `next_seq` is the first that is not, and where its record begins."""

    next_seq: int = 0
    segment: int = 0
    offset: int = SEGMENT_HEADER_BYTES

    def pack(self) -> bytes:
        body = struct.pack("<QQI", self.next_seq, self.offset, self.segment)
        return body + zlib.crc32(body).to_bytes(4, "little")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What the file says; the beginning if it is absent, cut, damaged or no file of ours (sending again is
        harmless)."""
        try:
            data = read_own(folder / "acked", _ACKED.size)
        except OSError:
            return cls()
        if len(data) != _ACKED.size or zlib.crc32(data[:-4]).to_bytes(4, "little") != data[-4:]:
            return cls()
        next_seq, offset, segment, _ = _ACKED.unpack(data)
        return cls(next_seq, segment, offset)


def segment_path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.rows"


def segment_numbers(folder: Path) -> list[int]:
    """The numbers of the segments that are there, ascending."""
    stems = (path.stem for path in folder.glob("*.rows"))
    return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit() and len(stem) <= _MAX_SEGMENT_DIGITS)


def write_private_json(path: Path, fields: dict[str, object]) -> None:
    """Replace `path` by `fields` as JSON, readable by this user alone, never half-written."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with os.fdopen(open_own(temporary, os.O_WRONLY | os.O_CREAT), "w") as file:
        file.truncate(0)
        json.dump(fields, file, indent=1)
    temporary.replace(path)
