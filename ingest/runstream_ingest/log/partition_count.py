"""How many partitions the directory of an embedded log has: written down once, checked at every opening."""

import json
import os
from pathlib import Path

from runstream.private import private_opener
from runstream_ingest.log.disk import fsync_folder
from runstream_ingest.log.errors import LogMismatch
from runstream_ingest.log.format import MAX_PARTITIONS, VERSION
from runstream_ingest.log.segment import base_offsets
from runstream_service.log import LogCorrupt


def checked_partitions(directory: Path, wanted: int | None, created_us: int) -> int:
    """Return how many there are. Write it down at the first opening, compare at every later one. Raises LogMismatch,
    LogCorrupt, OSError."""
    path = directory / "log.json"
    try:
        kept = json.loads(path.read_text())
        version, partitions = int(kept["version"]), int(kept["partitions"])
    except FileNotFoundError:
        partitions = 1 if wanted is None else wanted
        temporary = path.with_suffix(".tmp")
        with open(temporary, "w", opener=private_opener) as file:
            json.dump({"version": VERSION, "partitions": partitions, "created_us": created_us}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        fsync_folder(directory)
        return partitions
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as error:
        raise LogCorrupt(f"{path} cannot be read ({error!r}): restore it, it names the number of partitions") from None
    if version != VERSION:
        raise LogMismatch(
            f"the log in {directory} has version {version}, this build reads {VERSION}: use one that reads {version}"
        )
    if wanted not in (None, partitions):
        raise LogMismatch(
            f"the log in {directory} has {partitions} partitions, asked for were {wanted}: open it with {partitions}, "
            "or replay it into a new directory"
        )
    _check_folders(directory, path, partitions)
    return partitions


def _check_folders(directory: Path, path: Path, partitions: int) -> None:
    """Raises LogCorrupt where there cannot be so many partitions, or one is gone. All of them are made at the first
    opening, before anything is appended, so that only a log without a record may lack some."""
    if not 1 <= partitions <= MAX_PARTITIONS:
        raise LogCorrupt(f"{path} names {partitions} partitions, 1 to {MAX_PARTITIONS} can be: restore it")
    folders = [directory / str(number) for number in range(partitions)]
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing and any(base_offsets(folder) for folder in folders if folder.is_dir()):
        raise LogCorrupt(
            f"{path} names {partitions} partitions, and {missing[0]} is not there: restore it from a copy of the log"
        )
