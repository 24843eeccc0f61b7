"""Spools written by hand after docs/design/spool.md, independent of the writer in the SDK."""

import fcntl
import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runstream.spool.format import SegmentHeader, WriterInfo

COMMIT = 0x5AC0FFEE


def writer_info(writer_id: str, url: str, **fields: Any) -> WriterInfo:
    known = {
        "writer_id": writer_id,
        "run_id": f"run-{writer_id[-6:]}",
        "workspace": "default",
        "project": "p",
        "rank": None,
        "pid": os.getpid(),
        "process_started_s": 0.0,
        "url": url,
        "api_key": None,
        "mode": "online",
        "created_us": 1,
        "sdk_version": "test",
    }
    return WriterInfo(**(known | fields))


class SpoolMaker:
    """Writes records with plain file writes. `commit=False` leaves one without its mark, as a killed writer does."""

    def __init__(self, spool: Path, info: WriterInfo, segment_bytes: int = 1 << 16, first_seq: int = 0) -> None:
        self.info = info
        self.folder = spool / "writers" / info.writer_id
        self.folder.mkdir(parents=True)
        self.segment_bytes = segment_bytes
        self.seq = first_seq
        self.number = -1
        self.lock: int | None = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.rotate()
        info.write(self.folder)

    @property
    def path(self) -> Path:
        return self.folder / f"{self.number:08d}.rows"

    def rotate(self) -> None:
        self.number += 1
        self.schemas: dict[tuple[str, ...], int] = {}
        self.at = 64
        self.path.write_bytes(SegmentHeader(self.seq, self.info.writer_id, 1).pack().ljust(self.segment_bytes, b"\0"))
        self._file = self.path.open("r+b")

    def row(self, names: Sequence[str], step: int, values: Sequence[float], ns: int = 0, commit: bool = True) -> int:
        """Returns the row's seq."""
        names = tuple(names)
        record = struct.pack(f"<qq{len(values)}d", step, ns, *values)
        if self.at + len(record) + 8 + 16 + len("\n".join(names)) > self.segment_bytes:
            self.rotate()
        if names not in self.schemas:
            number = self.schemas[names] = len(self.schemas)
            body = struct.pack("<I", number) + "\n".join(names).encode()
            self._put(struct.pack("<II", 1, len(body)) + body, True)
        self._put(struct.pack("<I", 0x10000 + self.schemas[names]) + record, commit)
        return self._counted(commit)

    def event(self, commit: bool = True, **fields: Any) -> int:
        """Returns the event's seq."""
        data = json.dumps(fields).encode()
        if self.at + len(data) + 12 > self.segment_bytes:
            self.rotate()
        self._put(struct.pack("<II", 2, len(data)) + data, commit)
        return self._counted(commit)

    def raw(self, data: bytes) -> None:
        """Bytes behind the last record."""
        self._put(data, False)

    def die(self) -> None:
        """Let go of the lock, as the kernel does for a killed process."""
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def _counted(self, commit: bool) -> int:
        self.seq += commit
        return self.seq - commit

    def _put(self, record: bytes, commit: bool) -> None:
        record += struct.pack("<I", COMMIT) if commit else b""
        os.pwrite(self._file.fileno(), record, self.at)
        self.at += len(record)
