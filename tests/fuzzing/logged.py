"""Target: the embedded log's files after damage of any kind. What was durable is read as it was, or refused."""

import asyncio
import functools
import logging
import random
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fuzzing.cases import Fault, Target
from fuzzing.folders import on_disk, packed_folder, unpacked_folder
from fuzzing.values import damaged
from runstream_ingest.log.embedded import EmbeddedLog
from runstream_service.log import LogError

_SEGMENT_BYTES: Final = 4096


def _values() -> list[bytes]:
    return [b"%04d" % number + b"v" * (number * 37 % 600) for number in range(40)]


@functools.cache
def _log() -> Mapping[str, bytes]:
    """A log of several segments."""

    async def fill(directory: Path) -> None:
        log = EmbeddedLog.open(directory, segment_bytes=_SEGMENT_BYTES)
        values = _values()
        for at in range(0, len(values), 3):
            await log.append([(b"run", value) for value in values[at : at + 3]])
        await log.close()

    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        asyncio.run(fill(directory))
        return {
            str(path.relative_to(directory)): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.is_file()
        }


def make_log(rng: random.Random) -> bytes:
    files = dict(_log())
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice([name for name in files for _ in range(3 if name.endswith(".segment") else 1)])
        files[name] = damaged(rng, files[name])
        if rng.random() < 0.05 and len(files) > 1:
            del files[name]
    return packed_folder(files)


def run_log(data: bytes) -> None:
    logging.getLogger("runstream_ingest").setLevel(logging.CRITICAL)  # it says what it cut, case by case
    with on_disk(unpacked_folder(data)) as folder:
        asyncio.run(_read(folder))


async def _read(folder: Path) -> None:
    known = _values()
    try:
        log = EmbeddedLog.open(folder, partitions=None, segment_bytes=_SEGMENT_BYTES)
    except LogError:
        return
    try:
        offset = (await log.begin_offsets())[0]
        end = (await log.next_offsets())[0]
        while offset < end:
            records = await log.read(0, offset, 1 << 20, 0.5)
            if not records:
                raise Fault("a log without an end", f"nothing at {offset} of {end}")
            for record in records:
                if record.offset != offset or offset >= len(known) or record.value != known[offset]:
                    raise Fault(
                        "a wrong record", f"{record.value[:20]!r} at offset {record.offset}, where {offset} was next"
                    )
                offset += 1
    except LogError:
        return
    finally:
        await log.close()


TARGETS: Final = (Target("log", make_log, run_log, lambda data: 30 * len(data) + 8_000_000, 6),)
